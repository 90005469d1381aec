"""The whole of a thing of which the occluder mask holds only what hides the body."""

from __future__ import annotations

import cv2
import numpy as np

from tools.scene.plate import within

_ALIKE = 30.0  # sum of 8-bit CIELAB differences within which pixels are of the same thing
_MOST = 3.0  # times the hidden part that the rest of the thing may cover


def continued(piece: np.ndarray, rgb: np.ndarray, free: np.ndarray, reach_px: float) -> np.ndarray:
    """The piece and what belongs to the same thing right beside the body: connected pixels of its colours.

    A thing that seems to go on and on is not followed: then its colours are the background's too.

    Args:
        piece: Shape (H, W), bool: occluder where it hides the body.
        rgb: Shape (H, W, 3), uint8.
        free: Shape (H, W), bool: pixels that are not the subject's.
        reach_px: How far it is followed.

    Returns:
        Shape (H, W), bool.
    """
    out = piece.copy()
    reach = max(int(reach_px), 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(piece.astype(np.uint8), connectivity=8)
    for k in range(1, count):
        x, y, w, h, area = (int(n) for n in stats[k])
        part = (slice(max(y - reach, 0), y + h + reach), slice(max(x - reach, 0), x + w + reach))
        own = labels[part] == k
        lab = cv2.cvtColor(np.ascontiguousarray(rgb[part]), cv2.COLOR_RGB2Lab).astype(np.float32)
        tone = np.median(lab[own], axis=0)
        spread = float(np.median(np.abs(lab[own] - tone).sum(-1)))
        alike = np.abs(lab - tone).sum(-1) < _ALIKE + 1.5 * min(spread, _ALIKE)
        alike = cv2.morphologyEx((alike & free[part]).astype(np.uint8), cv2.MORPH_OPEN, _disc(1)).astype(bool)
        alike = (alike & within(own, reach)) | own
        _, parts = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
        grown = np.isin(parts, np.unique(parts[own]))
        if grown.sum() <= (1 + _MOST) * area:
            closed = cv2.morphologyEx(grown.astype(np.uint8), cv2.MORPH_CLOSE, _disc(3)).astype(bool)
            out[part] |= closed & free[part]
    return out


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
