"""What a person's clothes look like, as colour histograms, to tell people apart."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP, LEFT_KNEE, RIGHT_KNEE = 11, 12, 23, 24, 25, 26
BINS_Lab = (6, 10, 10)
LOW_Lab, HIGH_Lab = (0.0, 68.0, 68.0), (256.0, 188.0, 188.0)  # 8-bit CIELAB; clothes rarely leave this part of it
SMOOTHING_bins = 0.8
TORSO_SHARE = 0.6
VISIBLE = 0.5
THIGH_WIDTH = 0.18  # of the thigh's length


@dataclass(frozen=True)
class Appearance:
    """Smoothed Lab histograms that sum to one, (6, 10, 10); the legs' one is None where they are not seen."""

    torso: np.ndarray
    legs: np.ndarray | None


def describe(rgb: np.ndarray, xy: np.ndarray, visibility: np.ndarray) -> Appearance:
    """Describe the clothes of a person with 33 pose landmarks.

    Args:
        rgb: (H, W, 3) uint8.
        xy: (33, 2) px, image frame.
        visibility: (33,) in [0, 1].
    """
    torso = _quad(xy[[LEFT_SHOULDER, RIGHT_SHOULDER, RIGHT_HIP, LEFT_HIP]], across=(0.15, 0.85), along=(0.1, 0.9))
    thighs = [
        _strip(xy[hip], xy[knee])
        for hip, knee in ((LEFT_HIP, LEFT_KNEE), (RIGHT_HIP, RIGHT_KNEE))
        if visibility[knee] > VISIBLE
    ]
    return Appearance(_histogram(rgb, torso), _histogram(rgb, np.concatenate(thighs)) if thighs else None)


def similarity(a: Appearance, b: Appearance) -> float:
    """Bhattacharyya coefficient in [0, 1]; torso and legs weighted, the torso alone where one has no legs."""
    torso = float(np.sqrt(a.torso * b.torso).sum())
    if a.legs is None or b.legs is None:
        return torso
    return TORSO_SHARE * torso + (1 - TORSO_SHARE) * float(np.sqrt(a.legs * b.legs).sum())


def _quad(corners: np.ndarray, across: tuple[float, float], along: tuple[float, float]) -> np.ndarray:
    """Grid of points (N, 2) inside the quadrilateral (4, 2)."""
    u, v = np.meshgrid(np.linspace(*across, 16), np.linspace(*along, 20))
    u, v = u.reshape(-1, 1), v.reshape(-1, 1)
    return (corners[0] * (1 - u) + corners[1] * u) * (1 - v) + (corners[3] * (1 - u) + corners[2] * u) * v


def _strip(hip: np.ndarray, knee: np.ndarray) -> np.ndarray:
    side = (knee - hip)[::-1] * (-1, 1) * THIGH_WIDTH / 2
    corners = np.stack([hip - side, hip + side, knee + side, knee - side])
    return _quad(corners, across=(0.1, 0.9), along=(0.1, 0.9))


def _histogram(rgb: np.ndarray, points: np.ndarray) -> np.ndarray:
    column, row = np.rint(points).astype(int).T
    height, width = rgb.shape[:2]
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    if not seen.any():
        return np.full(BINS_Lab, 1 / np.prod(BINS_Lab))
    colours = cv2.cvtColor(rgb[row[seen], column[seen]][None], cv2.COLOR_RGB2LAB)[0].astype(np.float64)
    low, high = np.array(LOW_Lab), np.array(HIGH_Lab)
    cell = np.clip(((colours - low) / (high - low) * BINS_Lab).astype(int), 0, np.array(BINS_Lab) - 1)
    counts = np.zeros(BINS_Lab)
    np.add.at(counts, tuple(cell.T), 1.0)
    smooth = gaussian_filter(counts, SMOOTHING_bins, mode="nearest")
    return smooth / smooth.sum()
