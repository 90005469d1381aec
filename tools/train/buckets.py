"""Clips sorted by the aspect of their frames, so that a batch holds frames of one size and nothing is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np


class Buckets:
    """Numbers of clips by aspect, each with its weight."""

    def __init__(self, sizes: Sequence[tuple[int, int]], weights: np.ndarray) -> None:
        """Sort.

        Args:
            sizes: (H, W) of every clip's frames, px.
            weights: Shape (n,), float64, of every clip; at least one is more than 0.
        """
        aspects = [Fraction(height, width) for height, width in sizes]
        kinds = sorted(set(aspects))
        self._members = [np.flatnonzero([aspect == kind for aspect in aspects]) for kind in kinds]
        totals = np.array([weights[members].sum() for members in self._members])
        self._among = np.cumsum(totals / totals.sum())
        self._within = [
            np.cumsum(weights[members] / max(total, 1e-300)) for members, total in zip(self._members, totals)
        ]

    def __len__(self) -> int:
        """Number of aspects."""
        return len(self._members)

    def bucket(self, share: float) -> int:
        """Bucket at a place of 0 to 1 on the scale of all weights."""
        return _place(self._among, share)

    def clip(self, bucket: int, share: float) -> int:
        """Number of the clip at a place of 0 to 1 on the scale of a bucket's weights."""
        return int(self._members[bucket][_place(self._within[bucket], share)])


def _place(cumulative: np.ndarray, share: float) -> int:
    return min(int(np.searchsorted(cumulative, share, side="right")), len(cumulative) - 1)
