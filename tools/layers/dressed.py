"""How far clothes stand off the body, told from the outline that is seen."""

from __future__ import annotations

import cv2
import numpy as np

from tools.layers.missing import disc, height_of

_ZOOM = 0.5  # of the picture in which outlines are compared
_MOST = 0.04  # share of the body's height up to which an outline stands off; farther away the fit is wrong
_ROUND = 0.06  # share of the body's height over which outlines are averaged
_EDGE = 3  # px within which an outline may be the edge of what covers the subject


def dressed(body: np.ndarray, human: np.ndarray, covered: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The body with its clothes, as wide where it is covered as the outline is beside that place.

    Args:
        body: Shape (H, W), bool: silhouette of the fitted body.
        human: Shape (H, W), bool: the subject as seen, without what is covered.
        covered: Shape (H, W), bool: where something stands in front.
        inside: Shape (H, W), bool: pixels of the source picture.

    Returns:
        Shape (H, W), bool.
    """
    size = body.shape[::-1]
    small = (max(round(size[0] * _ZOOM), 1), max(round(size[1] * _ZOOM), 1))
    body_, human_, covered_, outside_ = (
        cv2.resize(mask.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST)
        for mask in (body, human, covered, ~inside)
    )
    height = height_of(body_)
    away = _signed_distance(body_ > 0)
    outline = (human_ > 0) & (cv2.erode(human_, disc(1), borderValue=0) == 0)
    near_edge = cv2.dilate(np.pad(covered_ | outside_, 1, constant_values=1), disc(_EDGE))[1:-1, 1:-1] > 0
    outline &= ~near_edge & (np.abs(away) <= _MOST * height)
    sigma = max(_ROUND * height, 1.0)
    weight = cv2.GaussianBlur(outline.astype(np.float32), (0, 0), sigma)
    total = cv2.GaussianBlur(np.where(outline, away, 0).astype(np.float32), (0, 0), sigma)
    # Far from any outline that is seen, the usual one counts.
    usual = float(np.median(away[outline])) if outline.any() else 0.0
    faint = 1e-4 / sigma
    standoff = (total + faint * usual) / (weight + faint)
    wide = (away <= standoff).astype(np.float32)
    return cv2.resize(wide, size, interpolation=cv2.INTER_LINEAR) > 0.5


def _signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel from the edge of a mask, px; negative inside, and 0.5 at the first pixel outside."""
    padded = np.pad(mask, 1, mode="edge").astype(np.uint8)
    out = cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5) - 0.5 * (padded == 0)
    out -= cv2.distanceTransform(padded, cv2.DIST_L2, 5) - 0.5 * (padded == 1)
    return out[1:-1, 1:-1]
