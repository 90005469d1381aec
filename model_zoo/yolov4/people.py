"""Boxes of people: letterbox, selection, and back to the pixels of the picture (EasyMocap's `yolo.py`)."""

from __future__ import annotations

import cv2
import numpy as np

PERSON = 0  # class


def letterbox(rgb: np.ndarray, size: int) -> np.ndarray:
    """Square picture with the longer side scaled to `size`, centred on black.

    Args:
        rgb: Shape (H, W, 3), uint8.
        size: Side, px.

    Returns:
        Shape (size, size, 3), uint8.
    """
    height, width = rgb.shape[:2]
    inner = scaled(width, height, size)
    square = np.zeros((size, size, 3), np.uint8)
    left, top = (size - inner[0]) // 2, (size - inner[1]) // 2
    square[top : top + inner[1], left : left + inner[0]] = cv2.resize(rgb, inner, interpolation=cv2.INTER_LINEAR)
    return square


def scaled(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height of a picture in its letterbox, px; at least one pixel."""
    if width >= height:
        return size, max(int(height / width * size), 1)
    return max(int(width / height * size), 1), size


def select(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, least: float = 0.3, overlap: float = 0.5
) -> np.ndarray:
    """People among proposals, surest first: scored above `least`, and none that overlaps a surer one too much.

    Args:
        boxes: Shape (A, 4).
        scores: Shape (A,).
        labels: Shape (A,), the best class.
        least: Score.
        overlap: Intersection over union up to which a box is kept beside a surer one.

    Returns:
        Shape (K, 5): box and score.
    """
    chosen = (scores > least) & (labels == PERSON)
    boxes, scores = boxes[chosen], scores[chosen]
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order], scores[order]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    left = np.arange(len(boxes))
    kept = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(first)
        low, high = np.maximum(boxes[first, :2], boxes[left, :2]), np.minimum(boxes[first, 2:], boxes[left, 2:])
        common = np.clip(high - low, 0, None).prod(1)
        left = left[common <= overlap * (area[first] + area[left] - common)]
    return np.concatenate([boxes[kept], scores[kept, None]], 1)


def to_pixels(boxes: np.ndarray, width: int, height: int, size: int) -> np.ndarray:
    """Boxes of the square, in [0, 1], to px of the picture; they may reach outside it.

    Args:
        boxes: Shape (K, 5), from `select`.
        width: Of the picture, px.
        height: Of the picture, px.
        size: Side of the square, px.
    """
    inner = scaled(width, height, size)
    out = boxes.astype(np.float64)
    longer = max(width, height)
    out[:, :4] *= longer
    if width >= height:
        out[:, [1, 3]] -= (size - inner[1]) // 2 * longer / size
    else:
        out[:, [0, 2]] -= (size - inner[0]) // 2 * longer / size
    return out
