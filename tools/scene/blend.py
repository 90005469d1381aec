"""Putting a plate into a frame without a visible border."""

from __future__ import annotations

import cv2
import numpy as np

_RING_px = 8  # width of the border from which the plate is adjusted, at 512
_SPREAD_px = 24.0  # how far an adjustment at the border reaches into the hole, at 512
_OUTLIER = 40.0  # difference of 8-bit colours that is another object, not exposure
_LARGEST = 30.0  # adjustment
_COARSE = 4  # the adjustment is smooth: worked out at a quarter of the size


def adjust(picture: np.ndarray, known: np.ndarray, frame: np.ndarray, hole: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Shift the plate's colours so that they meet the frame's along the border of the hole.

    The differences along the border are spread smoothly over the hole, as in mean-value cloning (Farbman et al.,
    SIGGRAPH 2009), with a Gaussian in place of the mean-value weights.

    Args:
        picture: Shape (H, W, 3), uint8: the plate in the frame's pixels.
        known: Shape (H, W), bool: where it is.
        frame: Shape (H, W, 3), uint8.
        hole: Shape (H, W), bool.
        usable: Shape (H, W), bool: frame pixels that show the scene.

    Returns:
        Shape (H, W, 3), uint8.
    """
    scale = max(frame.shape[:2]) / 512
    width = max(int(round(_RING_px * scale)), 2)
    ring = cv2.dilate(hole.astype(np.uint8), np.ones((2 * width + 1, 2 * width + 1), np.uint8)).astype(bool)
    ring &= ~hole & usable & known
    x, y, w, h = cv2.boundingRect((hole | ring).astype(np.uint8))
    if not ring.any() or w == 0:
        return picture
    part = (slice(y, y + h), slice(x, x + w))
    difference = frame[part].astype(np.float32) - picture[part].astype(np.float32)
    weight = (ring[part] & (np.abs(difference).max(-1) < _OUTLIER)).astype(np.float32)
    if weight.sum() < 16:
        return picture
    small = (max(w // _COARSE, 1), max(h // _COARSE, 1))
    weighted = cv2.resize(difference * weight[..., None], small, interpolation=cv2.INTER_AREA)
    weights = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
    mean = weighted.reshape(-1, 3).sum(0) / weights.sum()
    sigma = _SPREAD_px * scale / _COARSE
    border = cv2.BORDER_CONSTANT
    top = cv2.GaussianBlur(weighted, (0, 0), sigma, borderType=border)
    bottom = cv2.GaussianBlur(weights, (0, 0), sigma, borderType=border)[..., None]
    shift = (top + 1e-3 * mean) / (bottom + 1e-3)
    shift = np.clip(cv2.resize(shift, (w, h), interpolation=cv2.INTER_LINEAR), -_LARGEST, _LARGEST)
    out = picture.copy()
    out[part] = np.clip(picture[part] + shift, 0, 255).round().astype(np.uint8)
    return out


def feather(hole: np.ndarray, subject: np.ndarray, width_px: float) -> np.ndarray:
    """Weight of the plate: 0 just outside the hole, 1 from `width_px` on and wherever the subject is.

    Args:
        hole: Shape (H, W), bool.
        subject: Shape (H, W), bool: pixels that must not show through.
        width_px: Of the transition.

    Returns:
        Shape (H, W), float32.
    """
    depth = cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.maximum(np.clip(depth / max(width_px, 1.0), 0.0, 1.0), subject.astype(np.float32))
