"""Outliers in time: joints that leave their path for one frame and return."""

from __future__ import annotations

import numpy as np

SPIKE = 0.04  # of the body's size: least distance from the path that counts
RETURN = 0.35  # of that distance: how near each other the frames before and after must be
MAX_STEP_s = 0.1  # frames farther apart tell nothing about each other
DOUBT = 0.5  # factor on the confidence of a mended joint


def mend_spikes(
    xy: np.ndarray, confidence: np.ndarray, size: np.ndarray, valid: np.ndarray, timestamps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put a joint that jumps away for one frame back between its neighbours; leave everything else as it is.

    Args:
        xy: (T, J, 2) px, image frame.
        confidence: (T, J) in [0, 1]; 0 where absent.
        size: (T,) px, body size.
        valid: (T,) bool.
        timestamps: (T,) s.

    Returns:
        New xy and confidence, and which were mended, (T, J) bool.
    """
    xy, confidence = xy.copy(), confidence.copy()
    mended = np.zeros(confidence.shape, bool)
    if len(xy) < 3:
        return xy, confidence, mended
    middle = (xy[:-2] + xy[2:]) / 2
    away = np.linalg.norm(xy[1:-1] - middle, axis=-1)
    apart = np.linalg.norm(xy[2:] - xy[:-2], axis=-1)
    present = (confidence > 0) & valid[:, None]
    near = (timestamps[2:] - timestamps[:-2]) <= 2 * MAX_STEP_s
    spike = (away > SPIKE * size[1:-1, None]) & (apart < RETURN * away) & near[:, None]
    spike &= present[:-2] & present[1:-1] & present[2:]
    spike[1:] &= ~spike[:-1]  # of two in a row it is not known which is wrong: mend the first only
    mended[1:-1] = spike
    xy[1:-1][spike] = middle[spike]
    confidence[1:-1][spike] = DOUBT * np.minimum(confidence[:-2], confidence[2:])[spike]
    return xy, confidence, mended


def drop_short_runs(valid: np.ndarray, least: int) -> np.ndarray:
    """Clear runs of fewer than `least` frames that have gaps on both sides; (T,) bool to (T,) bool."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], valid.astype(np.int8), [0]])))
    kept = valid.copy()
    for start, stop in zip(edges[::2], edges[1::2]):
        if start > 0 and stop < len(valid) and stop - start < least:
            kept[start:stop] = False
    return kept
