"""Errors of depth and normals over the pixels where both are known."""

from __future__ import annotations

import numpy as np


def abs_rel(depth: np.ndarray, truth: np.ndarray) -> float:
    """Mean of |d - d*| / d* (Eigen et al., NIPS 2014); (N,) each, m."""
    return float((np.abs(depth - truth) / truth).mean())


def delta1(depth: np.ndarray, truth: np.ndarray) -> float:
    """Share of pixels with max(d / d*, d* / d) below 1.25 (Eigen et al., NIPS 2014)."""
    return float((np.maximum(depth / truth, truth / depth) < 1.25).mean())


def scale_and_shift(depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Depth after the scale and shift that bring it nearest to the truth (Ranftl et al., TPAMI 2022, in depth)."""
    known = np.stack([depth, np.ones_like(depth)], 1).astype(np.float64)
    (scale, shift), *_ = np.linalg.lstsq(known, truth.astype(np.float64), rcond=None)
    return np.maximum(scale * depth + shift, 1e-3)


def angles_deg(normals: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Angle between unit normals, (N, 3) each to (N,), degrees."""
    length = np.linalg.norm(normals, axis=1) * np.linalg.norm(truth, axis=1)
    cosine = np.einsum("nc,nc->n", normals, truth) / np.maximum(length, 1e-9)
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
