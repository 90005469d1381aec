"""From heatmaps to joints."""

from __future__ import annotations

import numpy as np

STRIDE = 4  # crop pixels per heatmap pixel; both grids share the centre of their first pixel
_SHIFT = 0.25  # heatmap pixels towards the higher neighbour


def decode(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Peaks, moved a quarter pixel towards the higher neighbour on each axis.

    A heatmap without a positive value gives (0, 0). Peaks within one pixel of the left or upper border, or on the
    right or lower one, are not moved (Sun et al. 2019, as published).

    Args:
        heatmaps: Shape (N, J, h, w).

    Returns:
        Positions in the crop (N, J, 2), px, float32, and confidences (N, J), the raw maxima, float32.
    """
    height, width = heatmaps.shape[2:]
    flat = heatmaps.reshape(*heatmaps.shape[:2], -1)
    best = flat.argmax(-1)
    peak = np.take_along_axis(flat, best[..., None], -1)[..., 0]
    x, y = best % width, best // width
    inner = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1) & (peak > 0)
    n, j = np.nonzero(inner)
    px, py = x[n, j], y[n, j]
    moved = np.stack([x, y], -1).astype(np.float32) * (peak > 0)[..., None]
    moved[n, j, 0] += _SHIFT * np.sign(heatmaps[n, j, py, px + 1] - heatmaps[n, j, py, px - 1])
    moved[n, j, 1] += _SHIFT * np.sign(heatmaps[n, j, py + 1, px] - heatmaps[n, j, py - 1, px])
    return moved * np.float32(STRIDE), peak.astype(np.float32)
