"""State dicts from safetensors files and from checkpoints of `torch.save`, by their declared format."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.serialization import safe_globals

FORMATS = ("state_dict", "safetensors")
_ZIP = b"PK\x03\x04"
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the number with which files of torch < 1.6 begin


class _Inert:
    """Stands for a class that a checkpoint names and nobody needs; holds nothing and does nothing."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def load(path: Path, form: str, *, entry: str = "", prefix: str = "", ignore: Iterable[str] = ()) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint.

    Args:
        path: The file.
        form: "safetensors", or "state_dict" for what `torch.save` wrote; read with `weights_only`.
        entry: Key under which the checkpoint holds its state dict, such as "state_dict"; empty: it is one itself.
        prefix: Dropped from every name that starts with it; names without it are left out where it is not empty.
        ignore: Full names of classes that the checkpoint holds beside its tensors (settings, for example) and that
            are replaced by empty stand-ins. Every other class is refused.

    Returns:
        Name to tensor, on the CPU.

    Raises:
        ValueError: The file is damaged, of another format, holds no such tensors, or asks for code to be run.
    """
    if form not in FORMATS:
        raise ValueError(f"format is {form!r}, expected one of {', '.join(FORMATS)}")
    content = _safetensors(path) if form == "safetensors" else _checkpoint(path, ignore)
    if entry:
        if not isinstance(content, Mapping) or entry not in content:
            raise ValueError(f"{path}: holds no {entry!r}; found {_some(content)}")
        content = content[entry]
    if not isinstance(content, Mapping):
        raise ValueError(f"{path}: holds {type(content).__name__}, expected a state dict")
    found = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if prefix:
        found = {key[len(prefix) :]: value for key, value in found.items() if key.startswith(prefix)}
    if not found:
        raise ValueError(f"{path}: holds no tensors{f' named {prefix}...' if prefix else ''}; found {_some(content)}")
    return found


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: not a readable safetensors file: {error}") from None


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a readable checkpoint: {error}") from None


def _checkpoint(path: Path, ignore: Iterable[str]) -> Any:
    with path.open("rb") as file:
        start = file.read(len(_LEGACY))
    if not (start.startswith(_ZIP) or start == _LEGACY):
        raise ValueError(f"{path}: not a readable checkpoint: it does not begin as a file of torch.save does; refused")
    if start.startswith(_ZIP) and _is_torchscript(path):
        raise ValueError(f"{path}: is a TorchScript archive, expected a state dict")
    stand_ins = [(type("_Inert", (_Inert,), {}), name) for name in ignore]
    try:
        with safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = named.group(1) if named else " ".join(str(error).split())[-200:]
        raise ValueError(
            f"{path}: refused: the checkpoint asks for more than tensors and plain containers ({what}). "
            "It is no state dict, or it is hostile: do not open it with pickle."
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: not a readable checkpoint: {' '.join(str(error).split())[:300]}") from None


def fill(network: nn.Module, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Give a network its weights; every name and shape must fit.

    Counters of batches, which old checkpoints lack and inference does not use, are left alone.

    Raises:
        ValueError: The weights are those of another architecture; says what differs.
    """
    own = network.state_dict()
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    missing = [key for key in own if key not in tensors and key not in counters]
    foreign = [key for key in tensors if key not in own and not key.endswith("num_batches_tracked")]
    shapes = [
        f"{key} is {tuple(value.shape)}, expected {tuple(own[key].shape)}"
        for key, value in tensors.items()
        if key in own and value.shape != own[key].shape
    ]
    faults = [
        f"{len(names)} {what}, such as {'; '.join(names[:3])}"
        for what, names in (("missing", missing), ("not known", foreign), ("of another shape", shapes))
        if names
    ]
    if faults:
        raise ValueError(
            f"{source}: weights of another architecture than {type(network).__name__}: " + ". ".join(faults)
        )
    kept = {key: own[key] for key in counters if key not in tensors}
    network.load_state_dict({**{key: value for key, value in tensors.items() if key in own}, **kept}, strict=True)


def _some(content: Any) -> str:
    if isinstance(content, Mapping):
        return ", ".join(map(repr, list(content)[:8])) or "nothing"
    return type(content).__name__
