"""Things that stand in front of the subject: pixels that do not change when the subject passes behind them.

A network takes a thin post before a person for a part of the person, in every frame. But where the subject is there in
some frames and not in others, a pixel that looks the same in both shows something in front of it.
"""

from __future__ import annotations

import cv2
import numpy as np

from tools.still import middle

LONGEST_px = 320  # side of the pictures that are compared
_TIMES = 3  # frames that must show a pixel with the subject, and without
_ON, _OFF = 0.7, 0.05  # probabilities of the subject from which on it is there, and up to which it is not
_STILL = 6.0  # weighted CIELAB units within which a pixel is unchanged
_MOSTLY = 0.8  # share of the frames in which it must be
_CONTRAST = 14.0  # by which the thing must differ from the subject beside it
_SMALLEST = 30  # px


def standing(colours: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Find what stands in front of the subject. Needs a camera that stands still; finds nothing otherwise.

    Args:
        colours: Shape (N, h, w, 3), weighted CIELAB of frames spread over the clip.
        person: Shape (N, h, w), probability of the subject.

    Returns:
        Shape (h, w), bool.
    """
    nothing = np.zeros(person.shape[1:], bool)
    if len(person) < 2 * _TIMES:
        return nothing
    brush = np.ones((5, 5), np.uint8)
    on = person > _ON
    off = np.stack([cv2.dilate(frame, brush) for frame in person]) < _OFF
    background, still_off = _middle(colours, off)
    subject_there, still_on = _middle(colours, on)
    unchanged = np.linalg.norm(colours - background, axis=-1) < _STILL
    seen_on = on.sum(0)
    same = (unchanged & on).sum(0) >= _MOSTLY * seen_on
    seeds = same & still_off & (seen_on >= _TIMES) & (off.sum(0) >= _TIMES)
    # Where the subject never leaves, the thing goes on as long as its colour does.
    constant = still_on & (seen_on >= _TIMES) & (off.sum(0) < _TIMES)
    out = nothing.copy()
    count, labels, stats, _ = cv2.connectedComponentsWithStats(seeds.astype(np.uint8), connectivity=8)
    for k in range(1, count):
        if stats[k, cv2.CC_STAT_AREA] < _SMALLEST:
            continue
        seed = labels == k
        tone = np.median(background[seed], axis=0)
        alike = constant & (np.linalg.norm(subject_there - tone, axis=-1) < _STILL)
        alike = _no_wider(alike | seed, seed)
        _, parts = cv2.connectedComponents(alike.astype(np.uint8), connectivity=8)
        thing = np.isin(parts, np.unique(parts[seed]))
        beside = cv2.dilate(thing.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
        beside &= ~cv2.dilate(thing.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & (seen_on >= _TIMES)
        if beside.sum() < 0.3 * thing.sum():
            continue  # nothing of the subject is next to it: the network's mask runs over there
        if np.median(np.linalg.norm(subject_there[beside] - tone, axis=-1)) > _CONTRAST:
            out |= thing
    return cv2.morphologyEx(out.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)).astype(bool)


def _no_wider(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Leave out of a mask what is wider than the seed in it: clothes of the thing's colour."""
    half = cv2.distanceTransform(np.pad(seed, 1).astype(np.uint8), cv2.DIST_L2, 3).max()
    radius = int(np.ceil(1.2 * half))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    wide = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc, borderValue=0).astype(bool)
    return (mask & ~wide) | seed


def _middle(colours: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median colour of every pixel over the frames chosen for it, and whether it is nearly the same in most of them."""
    median, count, alike = middle(colours, chosen, _STILL)
    return median, alike >= np.maximum(_MOSTLY * count, 1)
