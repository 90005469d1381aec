"""People by YOLOX (Ge et al., arXiv 2107.08430), `yolox_l.onnx`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from model_zoo.loading import onnx

SIDE = 640
STRIDES = (8, 16, 32)
_PAD = 114
_PERSON = 0
_LEAST = 0.1  # score below which a box is not looked at
_OVERLAP = 0.45  # intersection over union above which the weaker of two boxes goes


def letterbox(rgb: np.ndarray) -> tuple[np.ndarray, float]:
    """Picture (H, W, 3) uint8 at the top left of a grey square; the input (1, 3, 640, 640) float32, and the zoom."""
    height, width = rgb.shape[:2]
    zoom = min(SIDE / height, SIDE / width)
    size = (max(int(width * zoom), 1), max(int(height * zoom), 1))
    square = np.full((SIDE, SIDE, 3), _PAD, np.uint8)
    square[: size[1], : size[0]] = cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(square.transpose(2, 0, 1), np.float32)[None], zoom


def _anchors() -> tuple[np.ndarray, np.ndarray]:
    """Cell (N, 2), x, y, and stride (N, 1) of every row of the output."""
    cells, strides = [], []
    for stride in STRIDES:
        count = SIDE // stride
        y, x = np.mgrid[:count, :count]
        cells.append(np.stack([x.ravel(), y.ravel()], 1))
        strides.append(np.full((count * count, 1), stride))
    return np.concatenate(cells).astype(np.float64), np.concatenate(strides).astype(np.float64)


_CELLS, _STRIDES = _anchors()


def decode(output: np.ndarray, zoom: float, min_score: float) -> np.ndarray:
    """People of an output.

    Args:
        output: Shape (8400, 85): centre, logarithm of the size, objectness, 80 class scores.
        zoom: Of the letterbox.
        min_score: Objectness times class score from which on a box counts.

    Returns:
        Shape (K, 5): x0, y0, x1, y1 px of the source and score, surest first.
    """
    rows = output.astype(np.float64)
    score = rows[:, 4] * rows[:, 5 + _PERSON]
    chosen = score > _LEAST
    middle = (rows[chosen, :2] + _CELLS[chosen]) * _STRIDES[chosen]
    half = np.exp(np.minimum(rows[chosen, 2:4], 20.0)) * _STRIDES[chosen] / 2
    boxes = np.concatenate([middle - half, middle + half], 1) / zoom
    kept = suppress(boxes, score[chosen])
    found = np.concatenate([boxes[kept], score[chosen][kept, None]], 1)
    return found[found[:, 4] > min_score]


def suppress(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """Greedy suppression of overlapping boxes (N, 4), with the original's areas that count border pixels."""
    area = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    order = list(np.argsort(scores, kind="stable")[::-1])
    kept: list[int] = []
    while order:
        best, rest = order[0], np.array(order[1:], int)
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        common = np.clip(high - low + 1, 0, None).prod(1)
        order = list(rest[common / (area[best] + area[rest] - common) <= _OVERLAP])
    return kept


class Detector:
    """The network, loaded once."""

    def __init__(self, path: Path, device: str = "cpu", threads: int = 1, min_score: float = 0.3) -> None:
        """Open an ONNX file. See `model_zoo.loading.onnx.load` for `device`."""
        self._session = onnx.load(path, device, threads)
        self._input = self._session.get_inputs()[0].name
        self._path = path
        self._min_score = min_score

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """People in a picture (H, W, 3) uint8: (K, 5), x0, y0, x1, y1 px and score; K may be 0.

        Channels go in as they come, red first: the original does not swap them.

        Raises:
            ValueError: The file is another network.
        """
        picture, zoom = letterbox(rgb)
        output = onnx.run(self._session, self._path, {self._input: picture})[0]
        if output.shape != (1, len(_CELLS), 85):
            raise ValueError(f"{self._path}: gives {output.shape}, expected (1, {len(_CELLS)}, 85); it is not YOLOX")
        return decode(output[0], zoom, self._min_score)
