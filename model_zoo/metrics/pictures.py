"""Likeness of pictures: PSNR and SSIM."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

PEAK = 255.0
_LUMA = np.array((0.299, 0.587, 0.114))  # ITU-R BT.601


def psnr(mean_square: float) -> float:
    """Peak signal-to-noise ratio, dB, from the mean squared error of 8-bit values; 99 where there is no error."""
    return 99.0 if mean_square <= 0 else float(min(99.0, 10 * np.log10(PEAK**2 / mean_square)))


def ssim_map(picture: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Structural similarity of luma at every pixel, Gaussian window of 1.5 px (Wang et al., TIP 2004).

    Args:
        picture: Shape (H, W, 3), uint8.
        truth: Shape (H, W, 3), uint8.

    Returns:
        Shape (H, W), -1 to 1.
    """
    x, y = picture @ _LUMA, truth @ _LUMA

    def mean(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5, truncate=3.5)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    return ((2 * mx * my + c1) * (2 * both + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
