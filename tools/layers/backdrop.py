"""What a camera that stands still sees without anybody, and where a frame differs from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tools.layers.missing import disc
from tools.still import apart, lab, middle

_LARGEST_px = 640  # longer side of the backdrop
_TIMES = 3  # frames that must show a place
_SAME = 7.0  # weighted CIELAB units within which a place is unchanged
_MOSTLY = 0.5  # share of the frames in which a place must look the same to be known
_STILL = 0.95  # share of the places that must be known: the camera stands still
_CHANGED = 14.0  # weighted CIELAB units from which on something else is there


@dataclass(frozen=True)
class View:
    """A frame as it is compared.

    Attributes:
        rgb: Shape (h, w, 3), uint8.
        free: Shape (h, w), bool: pixels of the source where nobody is.
        view_from_source: Shape (3, 3).
    """

    rgb: np.ndarray
    free: np.ndarray
    view_from_source: np.ndarray


@dataclass(frozen=True)
class Backdrop:
    """The empty scene.

    Attributes:
        rgb: Shape (H, W, 3), uint8.
        known: Shape (H, W), bool.
        from_source: Its pixels from the source's, shape (3, 3).
    """

    rgb: np.ndarray
    known: np.ndarray
    from_source: np.ndarray

    def compare(self, rgb: np.ndarray, view_from_source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where a picture shows something else (also a shadow), and where that can be told; both (h, w), bool.

        Args:
            rgb: Shape (h, w, 3), uint8.
            view_from_source: Its pixels from the source's, shape (3, 3).
        """
        matrix = (view_from_source @ np.linalg.inv(self.from_source))[:2]
        size = rgb.shape[1::-1]
        known = cv2.warpAffine(self.known.astype(np.float32), matrix, size) > 0.99
        there, empty = (
            cv2.blur(picture, (3, 3))
            for picture in (rgb, cv2.warpAffine(self.rgb, matrix, size, flags=cv2.INTER_LINEAR))
        )
        differs = apart(lab(there), lab(empty)) > _CHANGED
        return differs & known, known


def backdrop(views: Sequence[View]) -> Backdrop | None:
    """Put together what is seen where nobody is; None where the camera moves or too little is seen."""
    from_source, size = _frame_of(views)
    pictures, free = [], []
    for view in views:
        matrix = (from_source @ np.linalg.inv(view.view_from_source))[:2]
        pictures.append(cv2.warpAffine(view.rgb, matrix, size, flags=cv2.INTER_LINEAR))
        free.append(cv2.warpAffine(view.free.astype(np.float32), matrix, size) > 0.99)
    colours, chosen = np.stack([lab(picture) for picture in pictures]), np.stack(free)
    median, count, alike = middle(colours, chosen, _SAME)
    seen = count >= _TIMES
    known = seen & (alike >= _MOSTLY * count)
    if not seen.any() or known.sum() < _STILL * seen.sum():
        return None
    # The frame that is nearest to the median gives the colour.
    distance = np.where(chosen, np.linalg.norm(colours - median, axis=-1), np.inf)
    rgb = np.take_along_axis(np.stack(pictures), distance.argmin(0)[None, ..., None], axis=0)[0]
    return Backdrop(rgb, cv2.erode(known.astype(np.uint8), disc(1)) > 0, from_source)


def _frame_of(views: Sequence[View]) -> tuple[np.ndarray, tuple[int, int]]:
    """A frame that holds all views at their size, or smaller: its pixels from the source's, its width and height."""
    height, width = views[0].rgb.shape[:2]
    corners = np.array(
        [[-0.5, -0.5, 1], [width - 0.5, -0.5, 1], [-0.5, height - 0.5, 1], [width - 0.5, height - 0.5, 1]]
    )
    source = np.stack([np.linalg.inv(view.view_from_source) @ corners.T for view in views])[:, :2]
    low, high = source.min((0, 2)), source.max((0, 2))
    zoom = float(np.median([np.hypot(*view.view_from_source[0, :2]) for view in views]))
    zoom = min(zoom, _LARGEST_px / float((high - low).max()))
    columns, rows = (max(int(np.ceil(side * zoom)), 1) for side in high - low)
    from_source = np.array([[zoom, 0, -low[0] * zoom - 0.5], [0, zoom, -low[1] * zoom - 0.5], [0, 0, 1.0]])
    return from_source, (columns, rows)
