"""Joints of people in boxes by `dw-ll_ucoco_384.onnx` (Yang et al., ICCVW 2023): 133, COCO-WholeBody order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model_zoo.dwpose.region import Region, cut, region_of
from model_zoo.loading import onnx

WIDTH, HEIGHT = 288, 384
JOINTS = 133
SPLIT = 2.0  # bins per pixel
_MEAN = np.array((123.675, 116.28, 103.53), np.float32)
_STD = np.array((58.395, 57.12, 57.375), np.float32)


def prepare(rgb: np.ndarray, region: Region) -> np.ndarray:
    """Input (3, 384, 288), float32, of a region of a picture (H, W, 3) uint8."""
    patch = cut(rgb, region.matrix((WIDTH, HEIGHT)), (WIDTH, HEIGHT))
    return ((patch.astype(np.float32) - _MEAN) / _STD).transpose(2, 0, 1)


def decode(simcc_x: np.ndarray, simcc_y: np.ndarray, region: Region) -> np.ndarray:
    """Joints of one person.

    The score is the smaller of the two maxima (rtmlib takes their mean, and draws brighter).

    Args:
        simcc_x: Shape (K, 576).
        simcc_y: Shape (K, 768).
        region: Where the network looked.

    Returns:
        Shape (K, 3): x, y px of the source, and score; a joint whose score is not positive lies where bin -1 would.
    """
    score = np.minimum(simcc_x.max(1), simcc_y.max(1)).astype(np.float64)
    bins = np.stack([simcc_x.argmax(1), simcc_y.argmax(1)], 1).astype(np.float64)
    bins[score <= 0] = -1
    xy = bins / SPLIT / (WIDTH, HEIGHT) * region.scale + region.centre - region.scale / 2
    return np.concatenate([xy, score[:, None]], 1)


class Poser:
    """The network, loaded once."""

    def __init__(self, path: Path, device: str = "cpu", threads: int = 1, batch: int = 1) -> None:
        """Open an ONNX file. See `model_zoo.loading.onnx.load` for `device`."""
        self._run = onnx.Batches(onnx.load(path, device, threads), path, batch)
        self._path = path

    def __call__(self, pictures: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> np.ndarray:
        """Joints (N, 133, 3), x, y px and score, of one person per picture (H, W, 3) uint8.

        Raises:
            ValueError: The file is another network.
        """
        regions = [region_of(box) for box in boxes]
        inputs = np.stack([prepare(rgb, region) for rgb, region in zip(pictures, regions)])
        found = self._run(inputs)
        wanted = [(len(inputs), JOINTS, int(WIDTH * SPLIT)), (len(inputs), JOINTS, int(HEIGHT * SPLIT))]
        if [output.shape for output in found] != wanted:
            shapes = ", ".join(str(output.shape) for output in found)
            raise ValueError(f"{self._path}: gives {shapes}, expected {wanted[0]}, {wanted[1]}; it is not DWPose")
        return np.stack([decode(x, y, region) for x, y, region in zip(*found, regions)])

    def people(self, rgb: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Joints (K, 133, 3) of everybody in one picture; without a box, of the whole picture, as the original does."""
        if len(boxes) == 0:
            boxes = np.array([[0, 0, rgb.shape[1], rgb.shape[0]]], np.float64)
        return self([rgb] * len(boxes), list(boxes))
