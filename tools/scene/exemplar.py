"""Large holes filled with patches of the rest of the picture, from coarse to fine.

Wexler, Shechtman and Irani ("Space-Time Completion of Video", PAMI 2007): every patch that touches the hole is to look
like some patch of the known picture; patches and colours are found in turn. Which patches may be taken follows the
idea of He and Sun ("Statistics of Patch Offsets for Image Completion", ECCV 2012), that few offsets explain a picture,
with a rule instead of statistics at the coarse levels: where people stand, cameras are held upright. Floors, walls and
furniture go on along rows, door frames and stripes along columns, so patches come from about the same row or column.

Shapes: h, w of the picture; O offsets. Offsets are whole pixels (dx, dy) from a hole's patch to the one it copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

_PATCH_px = 9
_COARSEST_px = 40  # side of a square with the pixels of the coarsest level, roughly
_SEARCHED = 2  # coarsest levels, at which all offsets are tried; finer ones try those that were useful
_ITERATIONS = (16, 8, 4, 2, 1)  # from coarse to fine; finer levels as the last
_KEPT = 40  # most frequent offsets that a finer level tries, each with its eight neighbours
_ASIDE = 0.05  # of the shorter side: farthest offset from row or column
_REACH = 0.3  # of the height: farthest offset along a column; from farther, grass would climb up walls
_ASIDE_COST = 1.0  # squared Lab difference per pixel of the finest level, for leaving row or column
_DECAY_px = 84.0  # depth in the hole over which votes lose 1 - 1/e of their weight


@dataclass
class _Level:
    """One size of the picture.

    Attributes:
        lab: Shape (h, w, 3), float32.
        hole: Shape (h, w), bool.
        scale: Pixels of the finest level per pixel.
    """

    lab: np.ndarray
    hole: np.ndarray
    scale: int

    @cached_property
    def sources(self) -> np.ndarray:
        """Middles of patches that can be copied, shape (h, w), bool."""
        return _sources(self.hole)

    @cached_property
    def targets(self) -> np.ndarray:
        """Middles of patches that touch the hole, shape (h, w), bool."""
        return _targets(self.hole)


def complete(rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill a hole so that its patches are those of the picture round it.

    Args:
        rgb: Shape (h, w, 3), uint8; values in the hole do not count.
        hole: Shape (h, w), bool. Where it leaves no whole patch known, diffusion (Telea 2004) is all there is.

    Returns:
        Shape (h, w, 3), uint8; `rgb` outside the hole.
    """
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    levels = _pyramid(lab, hole)
    while levels and not levels[-1].sources.any():
        levels.pop()
    if not levels:
        return cv2.inpaint(rgb, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    current: np.ndarray | None = None
    offsets: np.ndarray | None = None
    for number, level in enumerate(reversed(levels)):
        height, width = level.hole.shape
        if current is None:
            level.lab = _diffused(level)
        else:
            finer = cv2.resize(current, (width, height), interpolation=cv2.INTER_CUBIC)
            level.lab = np.where(level.hole[..., None], finer, level.lab)
        everything = _upright(height, width) if number < _SEARCHED else None
        if offsets is not None:
            offsets = 2 * cv2.resize(offsets.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
        for _ in range(_ITERATIONS[min(number, len(_ITERATIONS) - 1)]):
            tried = everything if everything is not None else _useful(offsets[level.targets])
            offsets, cost = _nearest(level, tried)
            level.lab = _voted(level, offsets, cost)
        current = level.lab
    assert current is not None
    filled = np.clip(cv2.cvtColor(current, cv2.COLOR_Lab2RGB) * 255, 0, 255).round().astype(np.uint8)
    return np.where(hole[..., None], filled, rgb)


def _pyramid(lab: np.ndarray, hole: np.ndarray) -> list[_Level]:
    """Halved again and again; a pixel is known where half of what it covers is."""
    levels = [_Level(np.where(hole[..., None], 0, lab).astype(np.float32), hole, 1)]
    while levels[-1].hole.size >= (1.5 * _COARSEST_px) ** 2 and min(levels[-1].hole.shape) >= 4 * _PATCH_px:
        finer = levels[-1]
        size = tuple((length + 1) // 2 for length in finer.hole.shape[::-1])
        known = (~finer.hole).astype(np.float32)
        weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
        mean = cv2.resize(finer.lab * known[..., None], size, interpolation=cv2.INTER_AREA)
        mean /= np.maximum(weight, 1e-6)[..., None]
        coarse_hole = weight < 0.5
        levels.append(_Level(np.where(coarse_hole[..., None], 0, mean), coarse_hole, 2 * finer.scale))
    return levels


def _diffused(level: _Level) -> np.ndarray:
    """First guess: every row continued from both sides, where there are any; smoothed downwards."""
    lab, hole = level.lab.copy(), level.hole
    columns = np.arange(hole.shape[1])
    for row, gap in zip(lab, hole):
        if gap.any() and not gap.all():
            for channel in range(3):
                row[gap, channel] = np.interp(columns[gap], columns[~gap], row[~gap, channel])
    whole = hole.all(1)
    if whole.any():
        nearest = np.abs(np.flatnonzero(~whole)[None] - np.flatnonzero(whole)[:, None]).argmin(1)
        lab[whole] = lab[np.flatnonzero(~whole)[nearest]]
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.0)
    return np.where(hole[..., None], smooth, lab)


def _sources(hole: np.ndarray) -> np.ndarray:
    """Middles of patches that are known and inside the picture, shape (h, w), bool."""
    brush = np.ones((_PATCH_px, _PATCH_px), np.uint8)
    return cv2.erode((~hole).astype(np.uint8), brush, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0


def _targets(hole: np.ndarray) -> np.ndarray:
    """Middles of patches that touch the hole, shape (h, w), bool."""
    return cv2.dilate(hole.astype(np.uint8), np.ones((_PATCH_px, _PATCH_px), np.uint8)) > 0


def _upright(height: int, width: int) -> np.ndarray:
    """All offsets along rows and columns, shape (O, 2)."""
    aside = max(1, round(_ASIDE * min(height, width)))
    along_row = {(dx, dy) for dy in range(-aside, aside + 1) for dx in range(1 - width, width)}
    reach = max(1, round(_REACH * height))
    along_column = {(dx, dy) for dx in range(-aside, aside + 1) for dy in range(-reach, reach + 1)}
    return np.array(sorted((along_row | along_column) - {(0, 0)}))


def _useful(offsets: np.ndarray) -> np.ndarray:
    """The most frequent of offsets (n, 2) and those beside them, shape (O, 2)."""
    found, count = np.unique(offsets.astype(int), axis=0, return_counts=True)
    kept = found[np.argsort(-count, kind="stable")[:_KEPT]]
    beside = np.array([(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)])
    tried = np.unique((kept[:, None] + beside).reshape(-1, 2), axis=0)
    return tried[(tried != 0).any(1)]


def _nearest(level: _Level, tried: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every patch that touches the hole the offset of the least difference.

    Returns:
        Offsets (h, w, 2) int32 and their costs (h, w) float32, mean squared Lab difference; infinite where no offset
        leads to a known patch.
    """
    lab = level.lab
    height, width = level.hole.shape
    half = _PATCH_px // 2
    x, y, w, h = cv2.boundingRect(level.targets.astype(np.uint8))
    top, bottom, left, right = max(y - half, 0), min(y + h + half, height), max(x - half, 0), min(x + w + half, width)
    best = np.zeros((height, width, 2), np.int32)
    cost = np.full((height, width), np.inf, np.float32)
    for dx, dy in tried:
        # The part round the hole that stays inside the picture when moved.
        rows = slice(max(top, -dy), min(bottom, height - dy))
        columns = slice(max(left, -dx), min(right, width - dx))
        if rows.stop - rows.start < _PATCH_px or columns.stop - columns.start < _PATCH_px:
            continue
        moved = slice(rows.start + dy, rows.stop + dy), slice(columns.start + dx, columns.stop + dx)
        difference = cv2.absdiff(lab[rows, columns], lab[moved])
        squared = cv2.transform(cv2.multiply(difference, difference), np.ones((1, 3), np.float32))
        found = cv2.boxFilter(squared, -1, (_PATCH_px, _PATCH_px), borderType=cv2.BORDER_REPLICATE)
        found += _ASIDE_COST * level.scale * min(abs(dx), abs(dy))
        better = level.sources[moved] & (found < cost[rows, columns])
        cost[rows, columns][better] = found[better]
        best[rows, columns][better] = dx, dy
    return best, cost


def _voted(level: _Level, offsets: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Colours of the hole: mean of what the patches over a pixel copy there, good ones and those near the rim first."""
    hole = level.hole
    height, width = hole.shape
    y, x = np.nonzero(level.targets & np.isfinite(cost))
    if not len(y):
        return level.lab
    dx, dy = offsets[y, x].T
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)[y, x] * level.scale
    typical = np.percentile(cost[y, x], 75) + 1e-3
    weight = np.exp(-cost[y, x] / (2 * typical) - depth / _DECAY_px) + 1e-12
    total = np.zeros((height * width, 4))
    half = _PATCH_px // 2
    for down in range(-half, half + 1):
        for across in range(-half, half + 1):
            rows, columns = y + down, x + across
            there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            there[there] &= hole[rows[there], columns[there]]
            at = rows[there] * width + columns[there]
            colour = level.lab[rows[there] + dy[there], columns[there] + dx[there]]
            for channel in range(3):
                total[:, channel] += np.bincount(at, weight[there] * colour[:, channel], height * width)
            total[:, 3] += np.bincount(at, weight[there], height * width)
    total = total.reshape(height, width, 4)
    known = hole & (total[..., 3] > 0)
    lab = level.lab.copy()
    lab[known] = total[known][:, :3] / total[known][:, 3:]
    return lab
