"""The networks' input and output, which are alike for all tasks and sizes."""

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

HEIGHT, WIDTH = 1024, 768
SIZES = ("0.3b", "0.6b", "1b", "2b")
MEAN = (123.5, 116.5, 103.5)  # RGB, 0 to 255, as in facebookresearch/sapiens
STD = (58.5, 57.0, 57.5)


def prepare(rgb: np.ndarray) -> Tensor:
    """Network input of a picture: resized without regard to its aspect, normalised.

    Args:
        rgb: Shape (H, W, 3), uint8.

    Returns:
        Shape (3, 1024, 768), float32.
    """
    if rgb.shape[:2] != (HEIGHT, WIDTH):
        rgb = cv2.resize(rgb, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(((rgb.astype(np.float32) - mean) / std).transpose(2, 0, 1)))


class Network:
    """A network, loaded once."""

    def __init__(
        self, path: Path, device: torch.device, channels: Sequence[int], batch: int = 1, half: bool = False
    ) -> None:
        """Open a TorchScript file.

        Args:
            path: The file.
            device: Where it runs.
            channels: Numbers of channels the task may have; another one is another network.
            batch: Pictures at a time; halved when the GPU's memory does not suffice.
            half: Whether it runs in 16-bit floats; on a GPU only.
        """
        half = half and device.type == "cuda"
        self._path = path
        self._channels = tuple(channels)
        self._network = torchscript.load(path, device, half=half)
        self._batches = Batches(self._forward, batch, device, half)

    @property
    def batch(self) -> int:
        """Pictures at a time, now."""
        return self._batches.size

    def __call__(self, inputs: Tensor) -> Tensor:
        """Outputs (N, C, h, w), float32, of inputs (N, 3, 1024, 768).

        Raises:
            ValueError: The file is another network.
            MemoryError: Not even one picture fits.
        """
        return self._batches(inputs)

    def _forward(self, items: Tensor) -> Tensor:
        out = torchscript.run(self._network, self._path, items)
        if not isinstance(out, Tensor) or out.ndim != 4 or len(out) != len(items) or out.shape[1] not in self._channels:
            found = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            wanted = " or ".join(map(str, self._channels))
            raise ValueError(f"{self._path}: gives {found}, expected ({len(items)}, {wanted}, h, w); another network?")
        return out


def resized(outputs: Tensor, height: int, width: int) -> Tensor:
    """Outputs (N, C, h, w) at another size, bilinear, as the original puts them onto the picture."""
    return functional.interpolate(outputs, (height, width), mode="bilinear", align_corners=False)
