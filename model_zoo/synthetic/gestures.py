"""Motions on the spot: waving, squatting, turning the trunk; the feet stay where they are."""

from __future__ import annotations

import numpy as np

from model_zoo.synthetic.motion import (
    SIDES,
    Feet,
    Motion,
    Skeleton,
    about,
    assemble,
    curve,
    hanging_arms,
    highest_pelvis,
)


def wave_and_squat(
    skeleton: Skeleton, num_frames: int, fps: float, place: tuple[float, float] = (0.0, 0.0), heading: float = 0.0
) -> Motion:
    """Wave with the right hand, squat with the arms stretched forwards, stand up and turn the trunk.

    The programme fills the clip, however long it is.

    Args:
        skeleton: The body.
        num_frames: T.
        fps: Frames per second; sets how fast the hand waves.
        place: x and z, m, world.
        heading: rad, 0 faces +z.
    """
    share = np.arange(num_frames) / max(num_frames - 1, 1)
    seconds = np.arange(num_frames) / fps
    raised = curve(share, [(0.0, 0.0), (0.1, 1.0), (0.32, 1.0), (0.42, 0.0)])
    down = curve(share, [(0.38, 0.0), (0.55, 1.0), (0.6, 1.0), (0.76, 0.0)])
    twist = curve(share, [(0.72, 0.0), (0.85, 1.0), (0.93, -0.6), (1.0, -0.8)])
    return gesture(skeleton, seconds, place, heading, raised, down, twist)


def gesture(
    skeleton: Skeleton,
    seconds: np.ndarray,
    place: tuple[float, float],
    heading: float,
    raised: np.ndarray,
    down: np.ndarray,
    twist: np.ndarray,
) -> Motion:
    """Wave, squat and turn the trunk, each as much as a curve says; the feet stay where they are.

    Args:
        skeleton: The body.
        seconds: Shape (T,), time of every frame.
        place: x and z, m, world.
        heading: rad, 0 faces +z.
        raised: Shape (T,), 0 to 1, how far the right arm is lifted to wave.
        down: Shape (T,), 0 to 1, how deep the squat is.
        twist: Shape (T,), -1 to 1, how far the trunk is turned.
    """
    num_frames = len(seconds)
    sway = np.sin(2 * np.pi * 0.45 * seconds)

    yaw = heading + 0.3 * twist
    rotations = about("y", yaw) @ about("x", 0.02 + 0.55 * down)
    feet = _standing(skeleton, num_frames, place, heading)
    facing = np.stack([np.sin(yaw), np.cos(yaw)], axis=1)
    aside = np.stack([np.cos(yaw), -np.sin(yaw)], axis=1)
    across = np.array(place) + facing * (-0.02 - 0.2 * down)[:, None] + aside * (0.012 * sway)[:, None]
    standing = highest_pelvis(skeleton, rotations, across, feet) - 0.012
    pelvis = np.stack([across[:, 0], standing - 0.36 * skeleton.leg_length * down, across[:, 1]], axis=1)
    return assemble(skeleton, pelvis, rotations, feet, _upper(seconds, raised, down, twist))


def _upper(seconds: np.ndarray, raised: np.ndarray, down: np.ndarray, twist: np.ndarray) -> dict[str, np.ndarray]:
    swing = np.stack([1.35 * down + 0.25 * twist, 1.35 * down - 0.25 * twist], axis=1) + 0.03
    bend = np.stack([0.25 + 0.1 * down, 0.25 + 0.1 * down], axis=1)
    upper = hanging_arms(swing, bend)
    # The right arm lifts sideways, turned about its own axis so that the bent forearm points up.
    waving = np.sin(2 * np.pi * 1.6 * seconds)
    lifted = about("z", np.deg2rad(72.0) * (1 - raised) - np.deg2rad(8.0) * raised) @ about(
        "x", -np.deg2rad(85.0) * raised
    )
    upper["r_shoulder"] = about("x", -swing[:, 1] * (1 - raised)) @ lifted
    upper["r_elbow"] = about("y", bend[:, 1] * (1 - raised) + raised * (1.45 + 0.38 * waving))
    upper["r_collar"] = about("z", -0.2 * raised)
    for name in ("spine1", "spine2", "spine3"):
        upper[name] = about("y", 0.14 * twist) @ about("x", -0.06 * down)
    upper["neck"] = about("y", 0.12 * twist) @ about("x", -0.12 * down)
    upper["head"] = about("y", 0.15 * twist + 0.05 * np.sin(2.1 * seconds)) @ about("x", -0.12 * down + 0.02)
    return upper


def _standing(skeleton: Skeleton, num_frames: int, place: tuple[float, float], heading: float) -> Feet:
    ankles, rotations = np.zeros((num_frames, 2, 3)), np.zeros((num_frames, 2, 3, 3))
    for n, side in enumerate(SIDES):
        sign = 1.0 if side == "l" else -1.0
        aside = sign * 0.13
        ankles[:, n] = (
            place[0] + aside * np.cos(heading),
            skeleton.ankle_height,
            place[1] - aside * np.sin(heading),
        )
        rotations[:, n] = about("y", heading + sign * 0.2)
    return Feet(ankles, rotations, np.zeros((num_frames, 2)), np.ones((num_frames, 2), bool))
