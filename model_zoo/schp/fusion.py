"""From pictures to the network's square window and back: both passes fused in memory, pixel by pixel.

The original writes the logits of all 20 classes of every pixel to disk. Here the networks' 119 x 119 logits are sampled
once, where they are needed: enlarging them to 473 x 473 with aligned corners and sampling that bilinearly is the same
as sampling them bilinearly, because 472 is four times 118.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numba
import numpy as np

MEAN = np.array([0.406, 0.456, 0.485], np.float32)  # ImageNet, BGR
STD = np.array([0.225, 0.224, 0.229], np.float32)
EXPANSION = 1.2  # of a person's box
MIN_SCORE = 0.5
MAX_COVERED = 0.5  # of an instance's mask by surer instances


@dataclass(frozen=True)
class Window:
    """A rectangle of the picture that the network sees as its square, x0, y0, x1, y1, px, both ends included."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def longer(self) -> int:
        """Distance between the first and the last pixel of the longer side."""
        return max(self.x1 - self.x0, self.y1 - self.y0, 1)

    def square_from_image(self, size: int) -> np.ndarray:
        """Affine map, shape (2, 3): the centre to the square's centre, the longer side to the whole square."""
        scale, middle = (size - 1) / self.longer, (size - 1) / 2
        centre = np.array([self.x0 + self.x1, self.y0 + self.y1]) / 2
        return np.array([[scale, 0, middle - scale * centre[0]], [0, scale, middle - scale * centre[1]]])


def person_window(box: np.ndarray, width: int, height: int, expansion: float = EXPANSION) -> Window:
    """Window round a person's box x0, y0, x1, y1, px: grown about its centre, rounded, cut to the picture."""
    x0, y0, x1, y1 = (float(value) for value in box[:4])
    grow = (expansion - 1) / 2
    dx, dy = (x1 - x0) * grow, (y1 - y0) * grow
    low = [int(np.clip(np.round(value), 0, last)) for value, last in ((x0 - dx, width - 1), (y0 - dy, height - 1))]
    high = [int(np.clip(np.round(value), 0, last)) for value, last in ((x1 + dx, width - 1), (y1 + dy, height - 1))]
    return Window(low[0], low[1], max(high[0], low[0]), max(high[1], low[1]))


def look(rgb: np.ndarray, window: Window, size: int) -> np.ndarray:
    """What the network sees: normalised BGR, shape (3, size, size), float32; black outside the window.

    Args:
        rgb: Shape (H, W, 3), uint8.
        window: Part of the picture.
        size: Side of the square, px.
    """
    part = rgb[window.y0 : window.y1 + 1, window.x0 : window.x1 + 1]
    local = Window(0, 0, part.shape[1] - 1, part.shape[0] - 1)
    square = cv2.warpAffine(
        np.ascontiguousarray(part), local.square_from_image(size), (size, size), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    return np.ascontiguousarray(((square[..., ::-1].astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1))


def separate(masks: Sequence[np.ndarray], scores: Sequence[float]) -> tuple[list[int], np.ndarray]:
    """Choose instances, surest first, and give every pixel to the surest that covers it.

    Args:
        masks: Shape (H, W) bool each, in falling order of score.
        scores: Likewise.

    Returns:
        Indices of the chosen, and shape (H, W), uint8: 1 + place in that list, 0 where nobody is.
    """
    chosen: list[int] = []
    owner = np.zeros(masks[0].shape if len(masks) else (0, 0), np.uint8)
    for index, (mask, score) in enumerate(zip(masks, scores)):
        if score < MIN_SCORE or len(chosen) == 255:
            break
        area, covered = int(mask.sum()), int((mask & (owner > 0)).sum())
        if area == 0 or covered / area > MAX_COVERED:
            continue
        chosen.append(index)
        owner[mask & (owner == 0)] = len(chosen)
    return chosen, owner


def fuse(
    whole: np.ndarray,
    persons: Sequence[tuple[np.ndarray, Window]],
    width: int,
    height: int,
    region: Window | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels from the sum of both passes.

    Outside all persons' windows a pixel is background. Inside, a class other than background gets the mean of the
    windows that cover the pixel, background the smallest of them; the whole picture's logits are added.

    Args:
        whole: Logits of the whole picture, shape (classes, s, s).
        persons: Logits, shape (classes, s, s), and window of each person.
        width: Of the picture, px.
        height: Of the picture, px.
        region: Where labels are wanted; by default everywhere. Elsewhere they are 0.

    Returns:
        Labels (H, W), uint8, and margins (H, W), float32: best logit of a class other than background minus that of
        background; a pixel is background where it is not positive. -inf outside `region` and all windows.
    """
    region = region or Window(0, 0, width - 1, height - 1)
    stack = np.ascontiguousarray(
        np.stack([whole, *(logits for logits, _ in persons)]).transpose(0, 2, 3, 1), dtype=np.float32
    )
    windows = [Window(0, 0, width - 1, height - 1), *(window for _, window in persons)]
    bounds = np.array([[w.x0, w.y0, w.x1, w.y1] for w in windows], np.int64)
    longest = np.array([w.longer for w in windows], np.float64)
    labels, margins = np.zeros((height, width), np.uint8), np.full((height, width), -np.inf, np.float32)
    if persons:
        wanted = np.array([region.x0, region.y0, region.x1, region.y1], np.int64)
        _fuse(stack, bounds, longest, wanted, labels, margins)
    return labels, margins


@numba.njit(cache=True, fastmath={"contract", "nsz", "arcp"})
def _fuse(
    stack: np.ndarray,
    bounds: np.ndarray,
    longest: np.ndarray,
    wanted: np.ndarray,
    labels: np.ndarray,
    margins: np.ndarray,
) -> None:  # pragma: no cover  (compiled)
    """Sample logits (P, s, s, C) of the whole picture (first) and of the persons, and take the best class."""
    count, side, _, classes = stack.shape
    rows = np.empty((count, side, classes), np.float32)  # logits of the current picture row, at the grid's columns
    cell = np.empty((count, bounds[0, 2] + 1), np.int64)
    share = np.empty((count, bounds[0, 2] + 1), np.float32)
    middle = (side - 1) / 2
    for p in range(count):
        centre = (bounds[p, 0] + bounds[p, 2]) / 2
        for x in range(bounds[p, 0], bounds[p, 2] + 1):
            u = (x - centre) * (side - 1) / longest[p] + middle
            cell[p, x] = min(max(int(u), 0), side - 2)
            share[p, x] = u - cell[p, x]
    sums = np.empty(classes, np.float32)
    for y in range(wanted[1], wanted[3] + 1):
        first, last = wanted[2] + 1, wanted[0] - 1
        for p in range(count):
            if y < bounds[p, 1] or y > bounds[p, 3]:
                continue
            centre = (bounds[p, 1] + bounds[p, 3]) / 2
            v = (y - centre) * (side - 1) / longest[p] + middle
            row = min(max(int(v), 0), side - 2)
            below = np.float32(v - row)
            if p > 0:
                first, last = min(first, bounds[p, 0]), max(last, bounds[p, 2])
            for column in range(side):
                for c in range(classes):
                    above = stack[p, row, column, c]
                    rows[p, column, c] = above + below * (stack[p, row + 1, column, c] - above)
        for x in range(max(first, wanted[0]), min(last, wanted[2]) + 1):
            covering = 0
            background = np.float32(0)
            for p in range(1, count):
                if y < bounds[p, 1] or y > bounds[p, 3] or x < bounds[p, 0] or x > bounds[p, 2]:
                    continue
                at, part = cell[p, x], share[p, x]
                if covering == 0:
                    for c in range(classes):
                        left = rows[p, at, c]
                        sums[c] = left + part * (rows[p, at + 1, c] - left)
                    background = sums[0]
                else:
                    for c in range(classes):
                        left = rows[p, at, c]
                        sums[c] += left + part * (rows[p, at + 1, c] - left)
                    left = rows[p, at, 0]
                    background = min(background, left + part * (rows[p, at + 1, 0] - left))
                covering += 1
            if covering == 0:
                continue
            scale = np.float32(1) / np.float32(covering)
            at, part = cell[0, x], share[0, x]
            for c in range(classes):
                left = rows[0, at, c]
                sums[c] = sums[c] * scale + left + part * (rows[0, at + 1, c] - left)
            left = rows[0, at, 0]
            background += left + part * (rows[0, at + 1, 0] - left)
            best, label = sums[1], 1
            for c in range(2, classes):
                if sums[c] > best:
                    best, label = sums[c], c
            margins[y, x] = best - background
            if best > background:
                labels[y, x] = label
