"""Where a thing is in the next frame: pixel by pixel, whether it or what it covers moved there.

What is in front stays whole when it moves, and what is behind is covered and comes out again. So every pixel is looked
up in the frame before under several motions, that of the picture, none, and the thing's own, and belongs to that of
which it is a better copy. Optical flow is DIS (Kroeger et al., ECCV 2016) as OpenCV has it.
"""

from __future__ import annotations

import cv2
import numpy as np

from tools.still import apart, lab

_REACH = 0.2  # of the subject's height: how far a thing moves between frames at most
_NEEDED = 30  # pixels of a thing that tell its motion
_SAMPLED = 800
_RANSAC_px = 1.5
_PATCH_px = 5  # over which copies are compared
_UNLIKE = 1e3  # no copy there at all
_ALIKE = 25.0  # weighted CIELAB units beyond which a pixel is not a copy of the thing
_UNIT = 4.0  # weighted CIELAB units that count as one
_SURE = 2.0


class Carrier:
    """Carries masks from frame to frame.

    Args:
        height_px: Of the subject.
    """

    def __init__(self, height_px: float) -> None:
        self._reach = max(int(_REACH * height_px), 8)
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def __call__(self, current: np.ndarray, previous: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """How much better a pixel copies the thing than something else.

        Args:
            current: Shape (H, W, 3), uint8 RGB.
            previous: The frame before (or after), brought to the same camera, shape (H, W, 3).
            mask: Where the thing is in it, shape (H, W), bool.

        Returns:
            Shape (H, W), float32, -2 to 2; -inf where it cannot be.
        """
        out = np.full(mask.shape, -np.inf, np.float32)
        left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
        if width == 0:
            return out
        rows = slice(max(top - self._reach, 0), top + height + self._reach)
        columns = slice(max(left - self._reach, 0), left + width + self._reach)
        out[rows, columns] = self._compare(current[rows, columns], previous[rows, columns], mask[rows, columns])
        return out

    def _compare(self, current: np.ndarray, previous: np.ndarray, mask: np.ndarray) -> np.ndarray:
        grey, grey_before = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (current, previous))
        back, forth = self._flow.calc(grey, grey_before, None), self._flow.calc(grey_before, grey, None)
        colours, before, covered = lab(current), lab(previous), mask.astype(np.float32)
        of_thing = np.full(mask.shape, _UNLIKE, np.float32)
        of_other = of_thing.copy()
        for motion in (back, np.zeros_like(back), *_motions_of(mask, forth)):
            x, y = _grid(mask.shape)
            x, y = x + motion[..., 0], y + motion[..., 1]
            copy = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            thing = cv2.remap(covered, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) > 0.5
            error = cv2.blur(apart(colours, copy), (_PATCH_px, _PATCH_px))
            np.minimum(of_thing, error, out=of_thing, where=thing)
            np.minimum(of_other, error, out=of_other, where=~thing)
        odds = np.clip((of_other - of_thing) / _UNIT, -_SURE, _SURE)
        return np.where(of_thing < _ALIKE, odds, -np.inf)


def _grid(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of all pixels, each (H, W), float32."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return x, y


def _motions_of(mask: np.ndarray, forth: np.ndarray) -> list[np.ndarray]:
    """The thing's motion, continued beyond its edge: that of its nearest pixel, and one for all of it.

    Args:
        mask: Shape (H, W), bool: where it was.
        forth: Flow from there to now, shape (H, W, 2), px.

    Returns:
        From every pixel now to where it was, each (H, W, 2), px, float32.
    """
    rows, columns = np.nonzero(mask)
    if len(rows) < _NEEDED:
        return []
    was = np.stack([columns, rows], 1).astype(np.float32)
    now = was + forth[rows, columns]
    found = []
    landed = np.rint(now).astype(int)
    there = ((landed >= 0) & (landed < mask.shape[::-1])).all(1)
    if there.any():
        u, v = landed[there].T
        hit, motion = np.zeros(mask.shape, bool), np.zeros((*mask.shape, 2), np.float32)
        hit[v, u] = True
        motion[v, u] = was[there] - now[there]
        _, nearest = cv2.distanceTransformWithLabels(
            (~hit).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_label = np.zeros((nearest.max() + 1, 2), np.float32)
        of_label[nearest[hit]] = motion[hit]
        found.append(of_label[nearest])
    chosen = np.unique(np.linspace(0, len(was) - 1, _SAMPLED).astype(int))
    affine, _ = cv2.estimateAffine2D(now[chosen], was[chosen], method=cv2.RANSAC, ransacReprojThreshold=_RANSAC_px)
    if affine is not None:
        x, y = _grid(mask.shape)
        to = np.stack([x, y, np.ones_like(x)], -1) @ affine.T.astype(np.float32)
        found.append(to - np.stack([x, y], -1))
    return found
