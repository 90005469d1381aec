"""The five parts instant-nvr models apart, by the joint that moves a vertex most (Geng et al., CVPR 2023)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

PART_NAMES = ("body", "leg", "head", "larm", "rarm")
PART_JOINTS = (
    (0, 3, 6, 9, 13, 14),
    (1, 2, 4, 5, 7, 8, 10, 11),
    (12, 15),
    (16, 18, 20, 22),
    (17, 19, 21, 23),
)
BOX_OVERLAP_M = 0.2  # room around a part's big-pose vertices (`bbox_overlap`)

# Labels of human parsing that make a semantic mask.
SEMANTIC_LABELS = {
    "head": (2, 10, 13),
    "larm": (14,),
    "rarm": (15,),
    "lleg": (9, 16),
    "rleg": (9, 17),
    "leg": (9, 16, 17),
    "body": (5,),
    "arm": (14, 15),
}


class PartIndex(NamedTuple):
    """Which vertices a part has.

    Attributes:
        parts: Shape (V,), float64, part of every vertex.
        members: Per part the indices of its vertices, ascending.
        lengths: Shape (5,), int64, vertices per part.
    """

    parts: np.ndarray
    members: tuple[np.ndarray, ...]
    lengths: np.ndarray


def part_index(weights: np.ndarray) -> PartIndex:
    """Part of every vertex.

    Args:
        weights: Shape (V, 24), skinning weights.

    Raises:
        ValueError: A part has no vertex.
    """
    part_of_joint = np.zeros(24)
    for part, joints in enumerate(PART_JOINTS):
        part_of_joint[list(joints)] = part
    parts = part_of_joint[np.asarray(weights).argmax(1)]
    members = tuple(np.flatnonzero(parts == part) for part in range(len(PART_NAMES)))
    lengths = np.array([len(rows) for rows in members], np.int64)
    if not lengths.all():
        empty = ", ".join(name for name, size in zip(PART_NAMES, lengths) if not size)
        raise ValueError(f"no vertex belongs to {empty}: the weights are not those of a whole body")
    return PartIndex(parts, members, lengths)


def grouped(index: PartIndex, values: np.ndarray) -> np.ndarray:
    """Values of the vertices by part, zero padded to the largest part.

    Args:
        index: From `part_index`.
        values: Shape (V, C).

    Returns:
        Shape (5, L, C), float32.
    """
    out = np.zeros((len(index.members), int(index.lengths.max()), values.shape[1]), np.float32)
    for part, rows in enumerate(index.members):
        out[part, : len(rows)] = values[rows]
    return out


def semantic_table(name: str) -> np.ndarray:
    """Label to membership of a semantic mask, shape (256,), uint8."""
    table = np.zeros(256, np.uint8)
    table[list(SEMANTIC_LABELS[name])] = 1
    return table
