"""Agreement of masks and of part labels."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

BOUNDARY_TOLERANCE = 0.008  # of the picture's diagonal (Perazzi et al., DAVIS, CVPR 2016)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = int((mask | truth).sum())
    return int((mask & truth).sum()) / union if union else 1.0


def boundary_f(mask: np.ndarray, truth: np.ndarray, tolerance_px: float | None = None) -> float:
    """F measure of the outlines: share of boundary points with one of the other near, both ways (Perazzi et al.).

    Args:
        mask: Shape (H, W), bool.
        truth: Shape (H, W), bool.
        tolerance_px: How near; `BOUNDARY_TOLERANCE` of the diagonal by default.
    """
    if tolerance_px is None:
        tolerance_px = max(1.0, np.ceil(BOUNDARY_TOLERANCE * np.hypot(*mask.shape)))
    ours, theirs = _outline(mask), _outline(truth)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    precision = float((distance_transform_edt(~theirs)[ours] <= tolerance_px).mean())
    recall = float((distance_transform_edt(~ours)[theirs] <= tolerance_px).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask that touch its outside; the picture's edge is none."""
    return mask & ~binary_erosion(mask, border_value=1)


class Confusion:
    """Counts of true and found labels, added up over frames."""

    def __init__(self, labels: int) -> None:
        """Start with none; labels are 0 to `labels` - 1."""
        self.counts = np.zeros((labels, labels), np.int64)

    def add(self, found: np.ndarray, truth: np.ndarray) -> None:
        """Count pixels; two label maps of one shape."""
        size = len(self.counts)
        pairs = truth.astype(np.int64).ravel() * size + found.ravel()
        self.counts += np.bincount(pairs, minlength=size * size).reshape(size, size)

    def ious(self) -> dict[int, float]:
        """Intersection over union of every label that occurs in the truth."""
        union = self.counts.sum(0) + self.counts.sum(1) - self.counts.diagonal()
        there = np.flatnonzero(self.counts.sum(1))
        return {int(label): float(self.counts[label, label] / union[label]) for label in there}

    def miou(self, with_background: bool = True) -> float:
        """Mean of `ious` (Gong et al., ECCV 2018, count the background, label 0, as well)."""
        values = [value for label, value in self.ious().items() if label or with_background]
        return float(np.mean(values)) if values else float("nan")
