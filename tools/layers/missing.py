"""Pieces of the body that should be seen and are not: real occluders told from errors of the fitted body."""

from __future__ import annotations

import cv2
import numpy as np

_BALANCE = 0.6  # subject found beside the body, relative to the missing piece, that marks it as misplaced
_NEAR = 0.12  # share of the body's height within which a misplaced piece is looked for
_ALIKE = 30.0  # sum of 8-bit CIELAB differences within which pixels are of the same thing
_SCENERY = 0.6  # share of the surroundings with a piece's colours that makes it scene
_JOINT = 0.5  # confidence from which on a keypoint is seen, and judges the fit
DRESSED = 0.01  # share of the body's height by which clothes stand off
_LIMB = 0.045  # half thickness of a limb, share of the body's height
_AROUND = 0.03  # share of the body's height round a joint that goes with it
_TRUSTED = 0.01  # share of the body's height a keypoint may lie outside the body without casting doubt


def disc(radius: int) -> np.ndarray:
    """Structuring element of a radius in px."""
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def within(mask: np.ndarray, distance_px: float) -> np.ndarray:
    """Pixels no farther than a distance from a mask that is not empty, shape (H, W), bool."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) <= distance_px


def height_of(body: np.ndarray) -> int:
    """Longer side of the body's bounding box, px, at least 1."""
    _, _, width, height = cv2.boundingRect(body.astype(np.uint8))
    return max(width, height, 1)


def doubtful(body: np.ndarray, keypoints: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Where the fitted body is visibly off: around seen keypoints that lie outside it.

    Args:
        body: Shape (H, W), bool: silhouette of the fitted body.
        keypoints: Shape (J, 2), px, crop frame.
        confidence: Shape (J,).

    Returns:
        Shape (H, W), bool.
    """
    out = np.zeros(body.shape, np.uint8)
    if not body.any():
        return out.astype(bool)
    height, width = body.shape
    away = cv2.distanceTransform((~body).astype(np.uint8), cv2.DIST_L2, 3)
    size = height_of(body)
    for (x, y), sure in zip(keypoints, confidence):
        column, row = int(round(float(x))), int(round(float(y)))
        if sure < _JOINT or not (0 <= column < width and 0 <= row < height):
            continue
        error = float(away[row, column])
        if error > _TRUSTED * size:
            cv2.circle(out, (column, row), int(round(2.0 * error + 0.03 * size)), 1, -1)
    return out.astype(bool)


def hidden(body: np.ndarray, keypoints: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Surroundings of joints that are not seen; arguments and result as of `doubtful`."""
    out = np.zeros(body.shape, np.uint8)
    radius = int(round(_AROUND * height_of(body)))
    for (x, y), sure in zip(keypoints, confidence):
        if 0 < sure < _JOINT and 0 <= x < body.shape[1] and 0 <= y < body.shape[0]:
            cv2.circle(out, (int(round(float(x))), int(round(float(y)))), radius, 1, -1)
    return out.astype(bool)


def candidates(
    rgb: np.ndarray,
    body: np.ndarray,
    human: np.ndarray,
    doubt: np.ndarray,
    unseen: np.ndarray,
    inside: np.ndarray,
    min_area: float,
    min_depth_px: float,
) -> np.ndarray:
    """Solid pieces of the body that the subject's mask lacks and that the fit does not explain.

    Args:
        rgb: Shape (H, W, 3), uint8.
        body: Shape (H, W), bool: silhouette of the fitted body.
        human: Shape (H, W), bool: the subject as seen.
        doubt: Shape (H, W), bool, from `doubtful`.
        unseen: Shape (H, W), bool, from `hidden`.
        inside: Shape (H, W), bool: pixels of the source picture.
        min_area: Share of the body's area.
        min_depth_px: How far inside the outline a piece must reach.

    Returns:
        Shape (H, W), bool.
    """
    out = np.zeros(body.shape, bool)
    missing = body & ~human & inside
    least = min_area * float(body.sum())
    if missing.sum() < least:
        return out
    size = height_of(body)
    depth = cv2.distanceTransform(np.pad(body, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    excess = human & ~body
    beside = cv2.distanceTransform((~body).astype(np.uint8), cv2.DIST_L2, 3)
    excess &= beside > min_depth_px
    core = cv2.morphologyEx((missing & ~doubt).astype(np.uint8), cv2.MORPH_OPEN, disc(max(int(min_depth_px / 2), 1)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=4)
    for k in range(1, count):
        if stats[k, cv2.CC_STAT_AREA] < least:
            continue
        piece = labels == k
        if depth[piece].max() < min_depth_px:
            continue
        if (excess & within(piece, _NEAR * size)).sum() > _BALANCE * piece.sum():
            continue
        # A thing larger than the body looks like what is round it, too; but joints behind it are not seen, or it
        # reaches farther into the body than a misplaced limb is thick.
        deep = depth[piece].max() > _LIMB * size
        if (
            not deep
            and not (piece & unseen).any()
            and _like_surroundings(piece, rgb, inside & ~body & ~human, _NEAR * size)
        ):
            continue
        out |= piece
    if not out.any():
        return out
    # Back to full size: everything missing next to the piece, up to the subject's edge and where its clothes end.
    margin = max(round(DRESSED * size), 1)
    dressed = cv2.dilate(body.astype(np.uint8), disc(margin)).astype(bool)
    grown = cv2.dilate(out.astype(np.uint8), disc(max(int(min_depth_px / 2), margin, 1) + 2)).astype(bool)
    return dressed & ~human & inside & grown


def _like_surroundings(piece: np.ndarray, rgb: np.ndarray, scene: np.ndarray, reach_px: float) -> bool:
    """Whether nearly all of the scene round a piece has its colours: then it is the scene, past a misplaced limb."""
    ring = within(piece, reach_px) & scene
    if ring.sum() < 0.25 * piece.sum():
        return False
    tone = np.median(_lab(rgb[piece]), axis=0)
    own = np.abs(_lab(rgb[piece]) - tone).sum(-1)
    around = np.abs(_lab(rgb[ring]) - tone).sum(-1)
    limit = max(_ALIKE, float(np.percentile(own, 80)))
    return bool((around <= limit).mean() > _SCENERY)


def _lab(pixels: np.ndarray) -> np.ndarray:
    """8-bit CIELAB of pixels (N, 3) uint8 RGB, float32."""
    return cv2.cvtColor(pixels[None], cv2.COLOR_RGB2Lab)[0].astype(np.float32)


def persistent(piece: np.ndarray, others: list[np.ndarray], reach_px: int) -> np.ndarray:
    """Parts of a piece near which most neighbouring frames have one too.

    Args:
        piece: Shape (H, W), bool.
        others: The same of the neighbouring frames; empty for a clip of one frame.
        reach_px: How far an occluder may move between frames.

    Returns:
        Shape (H, W), bool.
    """
    if not piece.any() or not others:
        return piece
    count, labels = cv2.connectedComponents(piece.astype(np.uint8), connectivity=4)
    out = np.zeros_like(piece)
    for k in range(1, count):
        part = labels == k
        near = within(part, reach_px)
        if 2 * sum(bool((near & other).any()) for other in others) >= len(others):
            out |= part
    return out
