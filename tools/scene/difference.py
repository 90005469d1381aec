"""How far two pictures are apart, pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np


def farthest_channel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Largest absolute difference over the channels.

    Args:
        one: Shape (H, W, 3), uint8.
        other: Likewise.

    Returns:
        Shape (H, W), uint8.
    """
    red, green, blue = cv2.split(cv2.absdiff(one, other))
    return cv2.max(cv2.max(red, green), blue)
