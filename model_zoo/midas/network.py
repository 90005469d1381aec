"""Pictures through MiDaS: its input, and its output at the pictures' size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model_zoo.loading import torchscript
from model_zoo.loading.batches import Batches

SIDE = 256  # the traced file knows this size only
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def prepare(rgb: np.ndarray) -> Tensor:
    """Input (3, 256, 256), float32, of a picture (H, W, 3), uint8."""
    small = cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
    values = (small - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


class Midas:
    """The network, loaded once."""

    def __init__(self, path: Path, device: torch.device, batch: int = 1) -> None:
        """Open a TorchScript file that maps (N, 3, 256, 256) to inverse depth (N, h, w)."""
        self._path = path
        self._network = torchscript.load(path, device)
        self._batches = Batches(self._forward, batch, device)

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Inverse depth, larger is nearer, at the size of each picture (H, W, 3): (H, W), float32.

        Raises:
            ValueError: The file is another network.
            MemoryError: Not even one picture fits.
        """
        outputs = self._batches(torch.stack([prepare(rgb) for rgb in pictures]))
        found = []
        for output, rgb in zip(outputs, pictures):
            sized = functional.interpolate(output[None, None], rgb.shape[:2], mode="bicubic", align_corners=False)
            found.append(sized[0, 0].cpu().numpy())
        return found

    def _forward(self, items: Tensor) -> Tensor:
        out = torchscript.run(self._network, self._path, items)
        if isinstance(out, Tensor) and out.ndim == 4 and out.shape[1] == 1:
            out = out[:, 0]
        if not isinstance(out, Tensor) or out.ndim != 3 or len(out) != len(items):
            found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(f"{self._path}: gives {found}, expected ({len(items)}, h, w); another network?")
        return out
