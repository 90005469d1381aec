"""The same windows in WebDataset and MosaicML MDS, written and read as their users do: one sample per window.

Pictures are JPEG 95 4:4:4, masks and labels PNG, everything else uncompressed arrays (the quickest choice their users
have). Samples are decoded by the libraries' own decoders (Pillow) in the workers of torch's DataLoader.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, default_convert

from workflow.images import encode_jpg, encode_png
from workflow.shard import LAYERS

WORKERS = 2
_PHOTOS = ("rgb", "scene")
_MASKS = ("scene_origin", "human", "occluder", "matte", "inside", "parsing")
_FILE_BYTES = 200_000_000
_SAMPLES = 1_000_000  # of an epoch: it never ends while it is measured

Window = Mapping[str, np.ndarray]


def absent() -> list[str]:
    """Packages that are not installed."""
    return [name for name in ("webdataset", "streaming") if importlib.util.find_spec(name) is None]


def _others(window: Window) -> dict[str, np.ndarray]:
    return {
        name.replace("/", "-"): array.view(np.uint8) if array.dtype == bool else array  # MDS has no bool
        for name, array in window.items()
        if name not in (*_PHOTOS, *_MASKS)
    }


def _stack(pictures: Iterable[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures])


def _member(name: str, frame: int) -> str:
    return f"{name}-{frame:02d}.{'jpg' if name in _PHOTOS else 'png'}"


def write_webdataset(windows: Iterable[Window], folder: Path) -> None:
    """Tar files of samples; members are `<key>.<layer>-<frame>.jpg|png` and `<key>.rest.npz`."""
    import webdataset

    folder.mkdir()
    with webdataset.ShardWriter(str(folder / "%04d.tar"), maxsize=_FILE_BYTES, verbose=0) as writer:
        for number, window in enumerate(windows):
            sample: dict[str, Any] = {"__key__": f"{number:06d}"}
            for name in (*_PHOTOS, *_MASKS):
                encode = encode_jpg if name in _PHOTOS else encode_png
                for frame, picture in enumerate(window[name]):
                    sample[_member(name, frame)] = encode(picture)
            packed = io.BytesIO()
            np.savez(packed, **_others(window))
            sample["rest.npz"] = packed.getvalue()
            writer.write(sample)


def _png(key: str, data: bytes) -> Image.Image | None:
    """Decoder of WebDataset for PNG of any mode."""
    return Image.open(io.BytesIO(data)) if key.endswith(".png") else None


def _gathered(sample: dict[str, Any]) -> dict[str, np.ndarray]:
    """Pictures of a decoded sample stacked by layer."""
    made = dict(sample["rest.npz"])
    for name in (*_PHOTOS, *_MASKS):
        frames = len(made["valid"])
        made[name] = _stack(sample[_member(name, frame)] for frame in range(frames))
    return made


def read_webdataset(folder: Path) -> Iterator[dict[str, torch.Tensor]]:
    """Samples without end, shuffled, from worker processes."""
    import webdataset

    files = sorted(str(path) for path in folder.glob("*.tar"))
    data = webdataset.WebDataset(files, resampled=True, shardshuffle=False).shuffle(20)
    # Masks as they are: "pil" alone would make every picture RGB.
    data = data.decode(webdataset.imagehandler("pil", ["jpg"]), _png).map(_gathered)
    return iter(webdataset.WebLoader(data, batch_size=None, num_workers=WORKERS))


def _streaming() -> Any:
    """`streaming.base`, without the package's own start, which imports torchvision and cloud storage."""
    if "streaming" not in sys.modules:
        spec = importlib.util.find_spec("streaming")
        assert spec is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules["streaming"] = package
    return importlib.import_module("streaming.base")


def write_mds(windows: Iterable[Window], folder: Path) -> None:
    """MDS files in the library's own encodings."""
    base = _streaming()
    writer = None
    for window in windows:
        others = _others(window)
        if writer is None:
            columns = dict.fromkeys(_PHOTOS, "jpeg_array")
            columns |= dict.fromkeys(_MASKS, "list[png]")
            columns |= dict.fromkeys(others, "ndarray")
            writer = base.MDSWriter(out=str(folder), columns=columns, size_limit=_FILE_BYTES)
        sample: dict[str, Any] = {name: [encode_jpg(picture) for picture in window[name]] for name in _PHOTOS}
        for name in _MASKS:
            scale = 255 if LAYERS[name].dtype == "bool" else 1
            sample[name] = [Image.fromarray(picture.astype(np.uint8) * np.uint8(scale)) for picture in window[name]]
        writer.write({**sample, **others})
    if writer is not None:
        writer.finish()


def _one(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """The only sample of a batch, its pictures stacked by layer."""
    (sample,) = batch
    return default_convert(
        {name: _stack(value) if isinstance(value, list) else value for name, value in sample.items()}
    )


def read_mds(folder: Path) -> Iterator[dict[str, torch.Tensor]]:
    """Samples without end, shuffled, from worker processes."""
    base = _streaming()
    data = base.StreamingDataset(local=str(folder), shuffle=True, batch_size=1, epoch_size=_SAMPLES)
    return iter(DataLoader(data, batch_size=1, num_workers=WORKERS, collate_fn=_one))
