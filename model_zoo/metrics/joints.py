"""How far keypoints in the image are from the truth, and whether they are the right person's."""

from __future__ import annotations

import numpy as np

# Groups of COCO's 17 body points and the 6 of the feet.
GROUPS: dict[str, tuple[int, ...]] = {
    "head": (0, 1, 2, 3, 4),
    "shoulders": (5, 6),
    "elbows": (7, 8),
    "wrists": (9, 10),
    "hips": (11, 12),
    "knees": (13, 14),
    "ankles": (15, 16),
    "feet": (17, 18, 19, 20, 21, 22),
}
BODY = tuple(range(17))


def box_size(mask: np.ndarray) -> float:
    """Longer side of the box around a mask (H, W), px; 0 where it is empty.

    PCK takes its threshold from it (Yang & Ramanan, TPAMI 2013).
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0.0
    return float(max(rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1))


def pck(distance: np.ndarray, size: np.ndarray, alpha: float) -> float:
    """Percentage of correct keypoints, as a share: those nearer to the truth than `alpha` of the person's box.

    Args:
        distance: Shape (N,), px; infinite for a point that was not found.
        size: Shape (N,), px, box size of the point's person.
        alpha: Share of the box.

    Returns:
        0 to 1; NaN where there is no point.
    """
    return float((distance <= alpha * size).mean()) if len(distance) else float("nan")


def nearest_person(points: np.ndarray, known: np.ndarray, people: np.ndarray, usable: np.ndarray) -> int:
    """Which of several people keypoints lie on.

    Args:
        points: Shape (J, 2), px, the estimate.
        known: Shape (J,), bool, points that were found.
        people: Shape (P, J, 2), px, truth.
        usable: Shape (P, J), bool, truth that counts (in view).

    Returns:
        Person with the smallest median distance; -1 where no point can be compared.
    """
    best, who = np.inf, -1
    for number, (truth, fine) in enumerate(zip(people, usable)):
        both = known & fine
        if both.sum() >= 3:
            median = float(np.median(np.linalg.norm(points[both] - truth[both], axis=1)))
            if median < best:
                best, who = median, number
    return who


def identity_switches(matched: np.ndarray) -> int:
    """How often a track goes over to another person (IDSW of Bernardin & Stiefelhagen, 2008, for one track).

    Args:
        matched: Shape (T,), person of every frame, -1 where there is none.
    """
    seen = matched[matched >= 0]
    return int((seen[1:] != seen[:-1]).sum())
