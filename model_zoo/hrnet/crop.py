"""Crops of people for top-down networks, and the way back into the picture.

Pixel coordinates have their origin at the centre of the top-left pixel.
"""

from __future__ import annotations

import cv2
import numpy as np

MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # ImageNet, RGB
STD = np.array([0.229, 0.224, 0.225], np.float32)
POSE_MARGIN = 1.25  # of the box; EasyMocap's hrnet_api


def crop_from_image(box: np.ndarray, size: tuple[int, int], margin: float) -> np.ndarray:
    """Affine map into a crop that shows a box whole, centred and without rotation.

    The box grows, never shrinks, to the crop's aspect, then by `margin`; its centre goes to the crop's half size.
    Computed in float32 through three points, as the original does, so that results agree to the last digits.

    Args:
        box: x0, y0, x1, y1 px; further entries are ignored.
        size: Width and height of the crop, px.
        margin: Factor.

    Returns:
        Shape (2, 3), float64.
    """
    x0, y0, x1, y1 = (float(value) for value in box[:4])
    aspect = size[0] / size[1]
    width = np.float32(max(x1 - x0, (y1 - y0) * aspect) * margin)
    centre = np.array([x0 + (x1 - x0) * 0.5, y0 + (y1 - y0) * 0.5], np.float32)
    middle = np.array(size, np.float32) / 2
    arms = np.array([[0, 0], [0, -0.5], [-0.5, -0.5]], np.float32)  # centre, up, and up turned left
    return cv2.getAffineTransform(centre + arms * width, middle + arms * np.float32(size[0]))


def invert(matrix: np.ndarray) -> np.ndarray:
    """Inverse of an affine map, shape (2, 3)."""
    return cv2.invertAffineTransform(matrix)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Affine map (2, 3) of points (..., 2)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def cut(rgb: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Normalised crop, shape (3, H, W), float32, of a picture (h, w, 3) uint8; black outside the picture."""
    patch = cv2.warpAffine(rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.ascontiguousarray(((patch.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1))
