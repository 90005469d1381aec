"""Which pixels of a person segmentation are the subject: steadied in time, foreign things out, holes closed."""

from __future__ import annotations

import cv2
import numpy as np

from workflow.conventions import COCO_EDGES

_SAME_COLOUR = 8.0  # CIELAB units within which a pixel is taken for unchanged between frames
_FOREIGN = 24.0  # CIELAB units from any colour of the body from which on a pixel is not the body
_OWN = 14.0  # within which it surely may be
_ALIKE = 16.0  # CIELAB units within which pixels belong to the same thing
_THING = 0.1  # share of the height by which a thing goes on beyond the part that is clearly foreign
_LIMB = 0.045  # half thickness of a limb, share of the person's height
_SMALLEST = 0.008  # foreign thing, share of the body's area
_SMALLEST_JOINT = 0.4  # confidence from which on a joint shows where the subject is


def steady(
    probability: np.ndarray,
    colours: np.ndarray,
    neighbours: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Average with the frames before and after, only where the picture has not changed: no ghosts behind motion.

    Args:
        probability: Shape (H, W).
        colours: Shape (H, W, 3), CIELAB.
        neighbours: Per neighbouring frame its probability and colours, this frame's and its own
            `input_from_source`, each shape (2, 3).

    Returns:
        Shape (H, W), float32.
    """
    total, weight = probability.copy(), np.ones_like(probability)
    size = probability.shape[::-1]
    for other, other_colours, own_from_source, other_from_source in neighbours:
        square = np.vstack([other_from_source, [0, 0, 1]])
        own_from_other = (np.vstack([own_from_source, [0, 0, 1]]) @ np.linalg.inv(square))[:2]
        moved = cv2.warpAffine(other, own_from_other, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        there = cv2.warpAffine(
            other_colours, own_from_other, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        change = np.abs(colours - there).sum(-1)
        change = cv2.blur(change, (5, 5))
        gate = np.exp(-((change / _SAME_COLOUR) ** 2))
        total += gate * moved
        weight += gate
    return total / weight


def support(body: np.ndarray, joints: np.ndarray, confidence: np.ndarray, height_px: float) -> np.ndarray:
    """Where the subject is for sure roughly: the posed body and the limbs between the seen keypoints.

    Args:
        body: Shape (H, W), bool: silhouette of the posed body.
        joints: Shape (23, 2), px of this picture.
        confidence: Shape (23,).
        height_px: Height of the person.

    Returns:
        Shape (H, W), bool.
    """
    drawn = body.astype(np.uint8)
    thick = max(int(2 * _LIMB * height_px), 1)
    for a, b in COCO_EDGES:
        if confidence[a] >= _SMALLEST_JOINT and confidence[b] >= _SMALLEST_JOINT:
            ends = np.clip(np.rint(joints[[a, b]]), -4096, 4096).astype(int)
            cv2.line(drawn, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 1, thick)
    return drawn.astype(bool)


def foreign(
    probability: np.ndarray, distance: np.ndarray, colours: np.ndarray, body: np.ndarray, height_px: float
) -> np.ndarray:
    """Solid things inside the mask whose colour the body does not have there.

    Args:
        probability: Shape (H, W), of the person.
        distance: Shape (H, W), from `Appearance.distance`.
        colours: Shape (H, W, 3), CIELAB.
        body: Shape (H, W), bool: silhouette of the posed body.
        height_px: Height of the person.

    Returns:
        Shape (H, W), float32: 1 where a foreign thing is, with a soft edge.
    """
    out = np.zeros_like(probability)
    inside = probability > 0.3
    odd = ((distance > _FOREIGN) & inside).astype(np.uint8)
    size = max(int(0.02 * height_px), 1)
    odd = cv2.morphologyEx(odd, cv2.MORPH_OPEN, _disc(size))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(odd, connectivity=4)
    least = _SMALLEST * max(float(body.sum()), 1.0)
    for k in range(1, count):
        if stats[k, cv2.CC_STAT_AREA] < least:
            continue
        seed = labels == k
        out[seed] = 1.0
        # The rest of the thing: connected pixels of its own colour, which the body does not clearly have there.
        tone = np.median(colours[seed], axis=0)
        alike = np.linalg.norm(colours - tone, axis=-1) < _ALIKE
        alike &= inside & (distance > _OWN) | seed
        near = cv2.dilate(seed.astype(np.uint8), _disc(max(int(_THING * height_px), 1))).astype(bool)
        _, parts = cv2.connectedComponents(cv2.morphologyEx((alike & near).astype(np.uint8), cv2.MORPH_OPEN, _disc(1)))
        out[np.isin(parts, np.unique(parts[seed & (parts > 0)]))] = 1.0
        out[seed] = 1.0
    if not out.any():
        return out
    # Up to the thing's own edge, where its colour ends, and without pinholes.
    grown = cv2.dilate(out, _disc(size)) * (distance > 0.7 * _FOREIGN)
    out = cv2.morphologyEx(np.maximum(out, grown.astype(np.float32)), cv2.MORPH_CLOSE, _disc(size))
    return cv2.GaussianBlur(out, (3, 3), 0)


def fill_holes(probability: np.ndarray, distance: np.ndarray, body: np.ndarray, height_px: float) -> np.ndarray:
    """Close holes that lie inside the body and look like it; a real occluder looks different and stays out.

    Args:
        probability: Shape (H, W), of the person.
        distance: Shape (H, W), from `Appearance.distance`.
        body: Shape (H, W), bool: silhouette of the posed body.
        height_px: Height of the person.

    Returns:
        Shape (H, W), float32.
    """
    mask = probability > 0.5
    inner = cv2.erode(body.astype(np.uint8), _disc(max(int(0.01 * height_px), 1))).astype(bool)
    missing = (inner & ~mask & (distance < _OWN)).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(missing, connectivity=4)
    out = probability.copy()
    for k in range(1, count):
        hole = labels == k
        ring = cv2.dilate(hole.astype(np.uint8), _disc(2)).astype(bool) & ~hole
        if ring.any() and mask[ring].mean() > 0.6:
            out[hole] = np.maximum(out[hole], 0.9)
    return out


def keep_subject(
    probability: np.ndarray, near: np.ndarray, body: np.ndarray, reach_px: float, min_share: float
) -> np.ndarray:
    """Drop what is too far from the body and islands that are too small or do not touch it.

    Args:
        probability: Shape (H, W).
        near: Shape (H, W), bool, from `support`.
        body: Shape (H, W), bool: silhouette of the posed body.
        reach_px: Distance from `near` up to which the subject may extend.
        min_share: Of the mask's area; smaller islands are dropped.

    Returns:
        Shape (H, W), float32.
    """
    away = cv2.distanceTransform((~near).astype(np.uint8), cv2.DIST_L2, 3) if near.any() else np.zeros_like(probability)
    fall = np.clip((reach_px - away) / max(0.25 * reach_px, 1.0), 0.0, 1.0)
    out = (probability * fall).astype(np.float32)
    mask = out > 0.5
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count > 1:
        area = stats[1:, cv2.CC_STAT_AREA]
        touching = np.bincount(labels[near & mask], minlength=count)[1:]
        keep = np.flatnonzero((area >= min_share * area.sum()) & (touching > 0.2 * area)) + 1
        dropped = mask & ~np.isin(labels, keep)
        if dropped.any():
            out[cv2.dilate(dropped.astype(np.uint8), _disc(2)).astype(bool) & ~np.isin(labels, keep)] = 0.0
    return out


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
