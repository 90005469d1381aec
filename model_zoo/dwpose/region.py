"""The part of a picture that a top-down network sees."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

PADDING = 1.25  # by which a box grows about its centre
ASPECT = 3 / 4  # width to height


@dataclass(frozen=True)
class Region:
    """Rectangle in a picture: centre and size, px, both (x, y), float64."""

    centre: np.ndarray
    scale: np.ndarray

    def matrix(self, size: tuple[int, int]) -> np.ndarray:
        """Source pixels to those of a cut of (width, height) px, shape (2, 3); the centre goes to the middle."""
        zoom = np.array(size) / self.scale
        return np.column_stack([np.diag(zoom), np.array(size) / 2 - zoom * self.centre])

    def udp_matrix(self, size: tuple[int, int]) -> np.ndarray:
        """As `matrix`, from border pixel to border pixel (Huang et al., CVPR 2020)."""
        zoom = (np.array(size) - 1) / self.scale
        return np.column_stack([np.diag(zoom), zoom * (self.scale / 2 - self.centre)])


def region_of(box: np.ndarray, padding: float = PADDING, aspect: float = ASPECT) -> Region:
    """Region round a box x0, y0, x1, y1 px: enlarged about its centre, then grown to the network's aspect."""
    box = np.asarray(box, np.float64)
    width, height = np.maximum((box[2:4] - box[:2]) * padding, 1e-3)
    if width > height * aspect:
        height = width / aspect
    else:
        width = height * aspect
    return Region((box[:2] + box[2:4]) / 2, np.array([width, height]))


def cut(rgb: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut of (width, height) px, bilinear, black outside the picture."""
    return cv2.warpAffine(rgb, matrix, size, flags=cv2.INTER_LINEAR)
