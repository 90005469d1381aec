"""Boxes of people linked over time into persons, by overlap and size; no looks, no networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

MEMORY_s = 1.0  # for how long a person who is not seen may still be continued
MIN_IOU = 0.2  # between a box and the one before, the older grown by how far a person can have moved
MAX_SIZE_STEP = 1.6
SPEED_per_s = 1.5  # of the box's longer side
MIN_SHARE = 0.05  # of the frames; who is seen less often is a false alarm, or passes by
MIN_SIGHTINGS = 2


@dataclass
class Person:
    """One person of a clip.

    Attributes:
        frames: Indices of the frames that show the person, rising.
        boxes: x0, y0, x1, y1, score in each of them.
        prominence: Size times centrality times score, mean over all frames of the clip.
    """

    frames: list[int] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    prominence: float = 0.0


def persons(boxes: Sequence[np.ndarray], times: np.ndarray, width: int, height: int) -> list[Person]:
    """Link boxes into persons, most prominent first.

    Args:
        boxes: Per frame (K, 5): x0, y0, x1, y1 px and score.
        times: Shape (T,), s.
        width: Of the picture, px.
        height: Of the picture, px.
    """
    found: list[Person] = []
    for index, here in enumerate(boxes):
        open_ = [person for person in found if times[index] - times[person.frames[-1]] <= MEMORY_s]
        unlinked = set(range(len(here)))
        if open_ and len(here):
            affinity = np.array(
                [[_affinity(p.boxes[-1], box, times[index] - times[p.frames[-1]]) for box in here] for p in open_]
            )
            for row, column in zip(*linear_sum_assignment(-affinity)):
                if affinity[row, column] > 0:
                    open_[row].frames.append(index)
                    open_[row].boxes.append(here[column])
                    unlinked.discard(int(column))
        found += [Person([index], [here[column]]) for column in sorted(unlinked)]
    least = min(max(MIN_SIGHTINGS, round(MIN_SHARE * len(boxes))), len(boxes))
    kept = [person for person in found if len(person.frames) >= least]
    for person in kept:
        person.prominence = sum(_weight(box, width, height) for box in person.boxes) / max(len(boxes), 1)
    return sorted(kept, key=lambda person: (-person.prominence, person.frames[0]))


def _affinity(before: np.ndarray, box: np.ndarray, gap: float) -> float:
    """Overlap of a box with the last one of a person, 0 where they cannot be the same."""
    size, earlier = _size(box), _size(before)
    if not 1 / MAX_SIZE_STEP < size / earlier < MAX_SIZE_STEP:
        return 0.0
    reach = SPEED_per_s * gap * earlier
    offset = (box[:2] + box[2:4] - before[:2] - before[2:4]) / 2
    away = float(np.linalg.norm(offset))
    moved = before[:4] + np.tile(offset * min(1.0, reach / max(away, 1e-9)), 2)
    overlap = iou(moved, box[:4])
    # Of two that could be meant the nearer one is.
    return overlap * float(np.exp(-away / earlier)) if overlap >= MIN_IOU else 0.0


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    common = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    union = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common
    return float(common / union) if union > 0 else 0.0


def _size(box: np.ndarray) -> float:
    return max(float((box[2:4] - box[:2]).max()), 1e-6)


def _weight(box: np.ndarray, width: int, height: int) -> float:
    size = min(float(box[3] - box[1]), height) / height
    off = min(abs(float(box[0] + box[2]) / 2 - (width - 1) / 2) / (width / 2), 1.0)
    return size * (1.0 - 0.5 * off) * float(np.clip(box[4], 0, 1))
