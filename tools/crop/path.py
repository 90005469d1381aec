"""Where the window goes: smooth, without lag, around every box."""

from __future__ import annotations

import numpy as np


def fill_gaps(boxes: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Boxes of all frames: straight lines between valid ones, the nearest valid one before and after them.

    Args:
        boxes: Shape (T, 4).
        valid: Shape (T,), bool, at least one true.
    """
    times = np.arange(len(boxes))
    known = np.flatnonzero(valid)
    return np.stack([np.interp(times, known, boxes[known, k]) for k in range(boxes.shape[1])], axis=1)


def without_outliers(boxes: np.ndarray, radius: int) -> np.ndarray:
    """Running median over `2 * radius + 1` frames, shape (T, 4): a box that jumps for a few frames is ignored."""
    if radius < 1 or len(boxes) < 3:
        return boxes
    padded = np.pad(boxes, ((radius, radius), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=0)
    return np.median(windows, axis=-1)


def envelope(values: np.ndarray, radius: int) -> np.ndarray:
    """Smooth curve that is nowhere below the values.

    Running maximum over `radius` frames to both sides, then a weighted mean over as many: every frame that the mean
    takes in has the value itself in its maximum, so the mean cannot fall below it. Symmetric, hence without lag.

    Args:
        values: Shape (T,).
        radius: Frames.

    Returns:
        Shape (T,).
    """
    if radius < 1:
        return values.astype(np.float64)
    padded = np.pad(values.astype(np.float64), 2 * radius, mode="edge")
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1).max(-1)
    window = np.hanning(2 * radius + 3)[1:-1]
    return np.convolve(highest, window / window.sum(), mode="valid")


def limits(boxes: np.ndarray, radius: int) -> np.ndarray:
    """Smooth boxes that hold all the given ones, shape (T, 4): x0, y0, x1, y1."""
    low = np.stack([-envelope(-boxes[:, k], radius) for k in (0, 1)], axis=1)
    high = np.stack([envelope(boxes[:, k], radius) for k in (2, 3)], axis=1)
    return np.concatenate([low, high], axis=1)


def window_sides(boxes: np.ndarray, aspect: float, margin: float, radius: int, fixed: bool) -> np.ndarray:
    """Width of the window in every frame.

    Args:
        boxes: Shape (T, 4), from `limits`, px, source.
        aspect: Width over height of the window.
        margin: Share of the box added on each side.
        radius: Frames over which a changing width is smoothed.
        fixed: Whether all frames get the same width.

    Returns:
        Shape (T,), px, source.
    """
    size = (boxes[:, 2:] - boxes[:, :2]) * (1 + 2 * margin)
    width = np.maximum(size[:, 0], size[:, 1] * aspect)
    return np.full(len(boxes), width.max()) if fixed else envelope(width, radius)


def within_source(widths: np.ndarray, needed: np.ndarray, aspect: float, source: tuple[int, int]) -> np.ndarray:
    """Give up margin rather than show black: no window larger than the source, unless the subject needs it.

    Args:
        widths: Wanted width of the window in every frame, shape (T,), px.
        needed: Least width that holds the subject, shape (T,), px.
        aspect: Width over height of the window.
        source: Height and width of the source, px.

    Returns:
        Shape (T,), px.
    """
    largest = min(source[1], source[0] * aspect)
    return np.minimum(widths, np.maximum(needed, largest))


def centres(boxes: np.ndarray, widths: np.ndarray, aspect: float, source: tuple[int, int]) -> np.ndarray:
    """Centre of the window in every frame, shifted into the source as far as it goes.

    A window smaller than the source stays inside it; a larger one holds all of it. Neither loses any of the box,
    which lies in the source.

    Args:
        boxes: Shape (T, 4), px.
        widths: Shape (T,), px.
        aspect: Width over height of the window.
        source: Height and width of the source, px.

    Returns:
        Shape (T, 2): x and y, px.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.stack([widths, widths / aspect], axis=1) / 2
    extent = np.array([source[1], source[0]], np.float64)
    one, other = half - 0.5, extent - half - 0.5
    return np.clip(centre, np.minimum(one, other), np.maximum(one, other))
