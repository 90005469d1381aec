"""Similarity warps of pictures without aliasing."""

from __future__ import annotations

import cv2
import numpy as np

_RESIDUAL_BLUR = 0.45  # sigma, px of the shrunk picture, per sqrt(reduction^2 - 1): mild, keeps detail


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], zoom: float) -> np.ndarray:
    """Warp with antialiasing; 0 outside the source.

    A reduction by two or more is done first by averaging whole blocks of pixels, the rest by a small blur and cubic
    interpolation; an enlargement by cubic interpolation.

    Args:
        image: Shape (H, W) or (H, W, 3), uint8.
        matrix: Shape (3, 3), from source pixels to the result's.
        size: Width and height of the result.
        zoom: Result pixels per source pixel.

    Returns:
        Shape (height, width) or (height, width, 3), uint8.
    """
    matrix = matrix.astype(np.float64)
    corners = np.array([[0, 0, 1], [size[0] - 1, size[1] - 1, 1]]) @ np.linalg.inv(matrix).T
    border = 4 + int(np.ceil(4 / zoom))
    x0, y0 = np.maximum(np.floor(corners[:, :2].min(0)).astype(int) - border, 0)
    x1, y1 = np.ceil(corners[:, :2].max(0)).astype(int) + border
    part = image[y0:y1, x0:x1]
    if 0 in part.shape:
        return np.zeros((size[1], size[0], *image.shape[2:]), np.uint8)
    matrix = matrix @ np.array([[1, 0, x0], [0, 1, y0], [0, 0, 1]], np.float64)
    shrink = int(1.0 / zoom + 1e-9)
    if shrink >= 2:
        rows, columns = -(-part.shape[0] // shrink), -(-part.shape[1] // shrink)
        padding = (rows * shrink - part.shape[0], columns * shrink - part.shape[1])
        part = cv2.copyMakeBorder(part, 0, padding[0], 0, padding[1], cv2.BORDER_REPLICATE)
        part = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
        middle = (shrink - 1) / 2
        matrix = matrix @ np.array([[shrink, 0, middle], [0, shrink, middle], [0, 0, 1]], np.float64)
        zoom *= shrink
    if zoom < 0.95:
        part = cv2.GaussianBlur(
            part, (0, 0), _RESIDUAL_BLUR * np.sqrt(1 / zoom**2 - 1), borderType=cv2.BORDER_REPLICATE
        )
    flags = cv2.INTER_LINEAR if _is_whole_shift(matrix) else cv2.INTER_CUBIC
    return cv2.warpAffine(part, matrix[:2], size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def nearest(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Warp without mixing values (labels); 0 outside the source."""
    return cv2.warpAffine(image, matrix[:2].astype(np.float64), size, flags=cv2.INTER_NEAREST, borderValue=0)


def inside(matrix: np.ndarray, size: tuple[int, int], source: tuple[int, int]) -> np.ndarray:
    """Where the result lies in the source.

    Args:
        matrix: Shape (3, 3), axis-aligned, from source pixels to the result's.
        size: Width and height of the result.
        source: Height and width of the source.

    Returns:
        Shape (height, width), bool: pixel centres that fall on a pixel of the source.
    """
    x = (np.arange(size[0]) - matrix[0, 2]) / matrix[0, 0]
    y = (np.arange(size[1]) - matrix[1, 2]) / matrix[1, 1]
    in_x = (x >= -0.5) & (x <= source[1] - 0.5)
    in_y = (y >= -0.5) & (y <= source[0] - 0.5)
    return in_y[:, None] & in_x[None, :]


def _is_whole_shift(matrix: np.ndarray) -> bool:
    """Whether pixels only move by whole steps, so that interpolation must not touch them."""
    return bool(np.array_equal(matrix[:2, :2], np.eye(2)) and np.array_equal(matrix[:2, 2], np.rint(matrix[:2, 2])))
