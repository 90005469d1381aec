"""A second opinion on a pose from the mirrored picture: where the two agree, they are averaged and believed."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from tools.keypoints.graphs import Networks, Picture, PoseResult, Roi

# Pose landmarks with left and right exchanged.
SWAPPED = (
    0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 18, 17, 20, 19, 22, 21, 24, 23, 26, 25, 28, 27, 30, 29,
    32, 31,
)  # fmt: skip
AGREE, DISAGREE = 0.015, 0.08  # of the body's size: believed fully up to the first, hardly from the second
LEAST_BELIEF = 0.2
BELIEF_IN_TIME = 0.5  # where the two disagree, and the chosen one continues the frames before
AVERAGED = 0.04  # of the body's size: farther apart, the mean is nowhere, and one of the two is chosen
TORSO = (11, 12, 23, 24)
GROUPS = (
    tuple(range(11)),  # head
    (11, 13, 15, 17, 19, 21),  # left arm
    (12, 14, 16, 18, 20, 22),
    (23, 25, 27, 29, 31),  # left leg
    (24, 26, 28, 30, 32),
)


def second_opinion(
    networks: Networks, picture: Picture, roi: Roi, pose: PoseResult, size: float, expected: np.ndarray | None
) -> PoseResult:
    """Merge a pose with that of the mirrored picture.

    Args:
        networks: mediapipe's networks.
        picture: The frame.
        roi: Region of the pose.
        pose: What the network saw in it.
        size: Body size, px.
        expected: (33, 2) px, where the landmarks should be after the frames before; None at the start.

    Returns:
        The pose, with less belief where the two disagree.
    """
    flipped = Picture(cv2.flip(picture.rgb, 1))
    other = unmirror(
        networks.pose(flipped, dataclasses.replace(roi, x=picture.width - 1 - roi.x, rotation=-roi.rotation)),
        picture.width,
    )
    if other.score < networks.min_score:
        return pose
    return merge(pose, other, size, expected)


def unmirror(pose: PoseResult, width: int) -> PoseResult:
    """Turn a pose seen in the mirrored picture, `width` px wide, into one of the picture."""
    swapped = list(SWAPPED)
    return PoseResult(
        score=pose.score,
        xy=(pose.xy * (-1, 1) + (width - 1, 0))[swapped],
        visibility=pose.visibility[swapped],
        presence=pose.presence[swapped],
        world=(pose.world * (-1, 1, 1))[swapped],
        alignment=pose.alignment * (-1, 1) + (width - 1, 0),
    )


def merge(pose: PoseResult, other: PoseResult, size: float, expected: np.ndarray | None) -> PoseResult:
    """Merge two poses of one person, see `second_opinion`.

    Landmarks that agree are averaged. Of those that do not, a head, arm or leg is taken from one of the two as a whole,
    and the whole body where the torsos disagree (front taken for back): from the one nearer to the expected places.
    """
    apart = np.linalg.norm(pose.xy - other.xy, axis=-1) / size
    belief = np.clip((DISAGREE - apart) / (DISAGREE - AGREE), LEAST_BELIEF, 1.0)
    far = apart > AVERAGED
    weight = np.where(far, 1.0, 0.5)  # of the first pose
    turned = bool(far[list(TORSO)].any())
    if expected is not None:
        here, there = (np.linalg.norm(view.xy - expected, axis=-1) / size for view in (pose, other))
        for group in [tuple(range(len(apart)))] if turned else GROUPS:
            chosen = np.zeros(len(apart), bool)
            chosen[list(group)] = far[list(group)]
            if chosen.any():
                weight[chosen] = float(here[chosen].mean() <= there[chosen].mean())
        continued = far & (np.where(weight == 1.0, here, there) < AVERAGED)
        belief = np.where(continued, np.maximum(belief, BELIEF_IN_TIME), belief)
    column = weight[:, None]
    whole = weight[list(TORSO)].mean()
    return PoseResult(
        score=(pose.score + other.score) / 2,
        xy=column * pose.xy + (1 - column) * other.xy,
        visibility=weight * pose.visibility + (1 - weight) * other.visibility,
        presence=weight * pose.presence + (1 - weight) * other.presence,
        world=column * pose.world + (1 - column) * other.world,
        alignment=whole * pose.alignment + (1 - whole) * other.alignment,
        belief=belief,
    )
