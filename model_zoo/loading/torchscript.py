"""TorchScript archives, looked through before they are opened.

TorchScript runs no Python, but its operators include some that read and write files (`torch.save`,
`torch.from_file`), and `__setstate__` methods run while an archive is loaded. A network needs none of them.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from model_zoo.loading.batches import FAILURES, is_out_of_memory

_FILES = re.compile(
    r"(?<![\w.])(?:torch|ops\s*\.\s*aten)\s*\.\s*(?:save|load|from_file)\b"
    r"|(?<![\w.])ops\s*\.\s*(?!aten\b|prim\b|prims\b|quantized\b|_quantized\b|mkldnn_prepacked\b|sparse\b)\w+"
)
_LARGEST_SOURCE = 256 << 20  # bytes of one source file; a network of 2 billion parameters has a few MB


def check(path: Path) -> None:
    """Refuse what is no TorchScript archive, or one whose code touches files or needs foreign operators.

    Raises:
        ValueError: Says why.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not a TorchScript archive (it is no zip file); it is damaged or of another format")
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if any(name.endswith(("models/model.json", "serialized_exported_program.json")) for name in names):
                raise ValueError(f"{path}: is an archive of torch.export; a TorchScript archive is expected")
            if not any(name.endswith("/constants.pkl") for name in names):
                kind = "a checkpoint of torch.save" if any(n.endswith("/data.pkl") for n in names) else "a zip file"
                raise ValueError(f"{path}: not a TorchScript archive but {kind}")
            for info in infos:
                if "/code/" not in info.filename or not info.filename.endswith(".py"):
                    continue
                if info.file_size > _LARGEST_SOURCE:
                    raise ValueError(f"{path}: refused: {info.filename} has {info.file_size} bytes")
                found = _FILES.search(archive.read(info).decode(errors="replace"))
                if found:
                    raise ValueError(
                        f"{path}: refused: {info.filename} uses {found.group(0)}, which a network does not need. "
                        "The file is not the published one, or it is hostile."
                    )
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise ValueError(f"{path}: not a readable TorchScript archive: {error}") from None


def load(path: Path, device: torch.device, *, half: bool = False) -> torch.jit.ScriptModule:
    """Open a network for inference.

    Args:
        path: TorchScript archive (.pt, .pt2).
        device: Where it runs.
        half: Whether its weights become 16-bit floats.

    Raises:
        ValueError: It is no such archive, is damaged, or is refused.
    """
    check(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch 2.13 deprecates TorchScript as a whole
            network = torch.jit.load(str(path), map_location=device)
            network.eval()
            return network.half() if half else network
    except RuntimeError as error:
        raise ValueError(f"{path}: not a readable TorchScript archive: {str(error).strip()[:300]}") from None


def run(network: torch.jit.ScriptModule, path: Path, items: torch.Tensor) -> Any:
    """Run a network on a batch.

    Raises:
        ValueError: It does not run on such inputs; names the file.
        RuntimeError: Out of memory; the caller decides what to do.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return network(items)
    except FAILURES as error:
        if is_out_of_memory(error):
            raise
        raise ValueError(f"{path}: does not run on {tuple(items.shape)}: {str(error).strip()[-300:]}") from None
