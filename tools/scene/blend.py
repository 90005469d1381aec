"""Putting a plate into a frame without a visible border."""

from __future__ import annotations

import cv2
import numpy as np

from tools.scene.difference import farthest_channel

_RING_px = 8  # width of the border from which the plate is adjusted, at 512
_SPREAD_px = 24.0  # how far an adjustment at the border reaches into the hole, at 512
_OUTLIER = 40.0  # difference of 8-bit colours that is another object, not exposure
_LARGEST = 30.0  # adjustment
_MOVED = 18.0  # 8-bit difference from the plate that is another thing, after a small blur
_GAP_px = 8.0  # between the hole and a piece that belongs to it
_LARGEST_PIECE = 0.35  # share of the subject's area
_COARSE = 4  # the adjustment is smooth: worked out at a quarter of the size


def adjust(
    picture: np.ndarray,
    known: np.ndarray,
    frame: np.ndarray,
    hole: np.ndarray,
    usable: np.ndarray,
    scale: float = 1.0,
) -> np.ndarray:
    """Shift the plate's colours so that they meet the frame's along the border of the hole.

    The differences along the border are spread smoothly over the hole, as in mean-value cloning (Farbman et al.,
    SIGGRAPH 2009), with a Gaussian in place of the mean-value weights.

    Args:
        picture: Shape (H, W, 3), uint8: the plate in the frame's pixels.
        known: Shape (H, W), bool: where it is.
        frame: Shape (H, W, 3), uint8.
        hole: Shape (H, W), bool.
        usable: Shape (H, W), bool: frame pixels that show the scene.
        scale: Of the picture against 512 px.

    Returns:
        Shape (H, W, 3), uint8.
    """
    width = max(int(round(_RING_px * scale)), 2)
    ring = cv2.dilate(hole.astype(np.uint8), np.ones((2 * width + 1, 2 * width + 1), np.uint8)).astype(bool)
    ring &= ~hole & usable & known
    x, y, w, h = cv2.boundingRect((hole | ring).astype(np.uint8))
    if not ring.any() or w == 0:
        return picture
    part = (slice(y, y + h), slice(x, x + w))
    difference = frame[part].astype(np.float32) - picture[part].astype(np.float32)
    weight = (ring[part] & (farthest_channel(frame[part], picture[part]) < _OUTLIER)).astype(np.float32)
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


def attached(
    picture: np.ndarray, known: np.ndarray, frame: np.ndarray, hole: np.ndarray, subject: np.ndarray, reach_px: float
) -> np.ndarray:
    """What moves with the subject beside it: the racket in its hand, its shadow, the rest of a ball in front of it.

    Pieces next to the hole in which frame and plate differ. A piece that goes on beyond `reach_px`, or is large
    against the subject, is somebody or something else and stays in the scene.

    Args:
        picture: Shape (H, W, 3), uint8: the plate, adjusted to the frame.
        known: Shape (H, W), bool: where it shows what was seen.
        frame: Shape (H, W, 3), uint8.
        hole: Shape (H, W), bool.
        subject: Shape (H, W), bool.
        reach_px: How far beside the hole.

    Returns:
        Shape (H, W), bool; a piece with a small margin, outside the hole.
    """
    x, y, w, h = cv2.boundingRect(hole.astype(np.uint8))
    margin = int(reach_px) + 4
    part = (slice(max(y - margin, 0), y + h + margin), slice(max(x - margin, 0), x + w + margin))
    inner = hole[part]
    out = np.zeros_like(hole)
    away = cv2.distanceTransform((~inner).astype(np.uint8), cv2.DIST_L2, 3)
    difference = farthest_channel(frame[part], picture[part]).astype(np.float32)
    difference[~known[part]] = 0.0
    other = (cv2.blur(difference, (5, 5)) > _MOVED) & (away <= reach_px) & known[part] & ~inner
    other = cv2.morphologyEx(other.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)).astype(bool) & ~inner
    count, labels, stats, _ = cv2.connectedComponentsWithStats(other.astype(np.uint8), connectivity=8)
    if count == 1:
        return out
    closest = np.full(count, np.inf)
    farthest = np.zeros(count)
    np.minimum.at(closest, labels[other], away[other])
    np.maximum.at(farthest, labels[other], away[other])
    area = stats[:, cv2.CC_STAT_AREA]
    take = (
        (closest <= _GAP_px) & (farthest < reach_px - 2) & (area < _LARGEST_PIECE * max(subject.sum(), 1)) & (area >= 8)
    )
    take[0] = False
    if take.any():
        pieces = cv2.dilate(take[labels].astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        out[part] = pieces & ~inner & known[part]
    return out
