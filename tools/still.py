"""What a place of the picture looks like over the frames of a clip, where the camera stands still."""

from __future__ import annotations

import cv2
import numpy as np

_LIGHTNESS = 0.7  # weight: lightness varies with shading, chroma less
_FROM_8BIT = np.array([_LIGHTNESS * 100 / 255, 1.0, 1.0], np.float32)  # OpenCV's 8-bit CIELAB
_ZERO = np.array([0.0, 128.0, 128.0], np.float32)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIELAB with lightness weighted down, shape (H, W, 3), float32, from (H, W, 3) uint8 RGB."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab).astype(np.float32) * _FROM_8BIT - _ZERO


def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of two pictures' colours, shape (H, W), float32, from two (H, W, 3), float32."""
    difference = cv2.subtract(a, b)
    return cv2.sqrt(cv2.transform(cv2.multiply(difference, difference), np.ones((1, 3), np.float32)))


def middle(colours: np.ndarray, chosen: np.ndarray, near: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median colour of every pixel over the frames chosen for it.

    Args:
        colours: Shape (N, h, w, 3), from `lab`.
        chosen: Shape (N, h, w), bool.
        near: Difference up to which a frame shows that colour.

    Returns:
        median: Shape (h, w, 3); 0 where no frame is chosen.
        count: Shape (h, w), frames chosen.
        alike: Shape (h, w), how many of them show nearly that colour.
    """
    masked = np.where(chosen[..., None], colours, np.inf)
    masked.sort(axis=0)
    count = chosen.sum(0)
    place = np.maximum(count - 1, 0) // 2
    median = np.take_along_axis(masked, place[None, ..., None], axis=0)[0]
    median[count == 0] = 0.0
    alike = ((np.linalg.norm(colours - median, axis=-1) < near) & chosen).sum(0)
    return median, count, alike
