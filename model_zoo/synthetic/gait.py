"""Walking along any path on the ground: feet that stay where they are put, hips, spine and arms that go with them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter1d

from model_zoo.synthetic.motion import SIDES, Feet, Motion, Skeleton, about, assemble, hanging_arms, highest_pelvis

STANCE = 0.62  # share of a cycle that a foot is on the ground
_HEEL_STRIKE, _HEEL_DOWN, _HEEL_OFF = np.deg2rad(-18.0), 0.16, 0.58  # pitch when landing; shares of the stance
_TOE_OFF = np.deg2rad(48.0)
_TOE_OUT = np.deg2rad(6.0)
_LIFT = 0.05  # m, of the ankle in the middle of a swing

Path = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def walk(
    skeleton: Skeleton,
    path: Path,
    num_frames: int,
    fps: float,
    cycles_per_s: float = 0.95,
    phase: float = 0.0,
    step_width: float = 0.09,
) -> Motion:
    """Walk along a path.

    A foot lands at the place on the path that the body passes in the middle of that stance, and does not move until
    it leaves the ground; it rolls over heel and ball.

    Args:
        skeleton: The body.
        path: Gives, for times (N,) in s, places (N, 2), x and z in m, and headings (N,) in rad (0 is +z, positive
            turns to +x). Also asked for times a second before the first and after the last frame.
        num_frames: T.
        fps: Frames per second.
        cycles_per_s: Two steps are a cycle.
        phase: Cycles done at the first frame.
        step_width: Between the middle line and a foot, m.
    """
    times = np.arange(num_frames) / fps
    cycle = phase + cycles_per_s * times
    across, heading = path(times)
    feet = _feet(skeleton, path, cycle, cycles_per_s, phase, step_width)

    turn = 2 * np.pi * (cycle - 0.5 * STANCE)  # 0 when the left foot is in the middle of its stance
    speed = np.linalg.norm(np.gradient(across, axis=0), axis=1) * fps if num_frames > 1 else np.zeros(1)
    vigour = np.clip(speed / 1.2, 0.15, 1.3)
    # The pelvis turns with the leg that swings forwards and drops on its side.
    rotations = (
        about("y", heading + 0.09 * vigour * np.sin(turn))
        @ about("z", -0.045 * vigour * np.cos(turn))
        @ about("x", np.full(num_frames, 0.05))
    )
    lateral = np.stack([np.cos(heading), -np.sin(heading)], axis=1)
    across = across + 0.022 * np.cos(turn)[:, None] * lateral
    highest = highest_pelvis(skeleton, rotations, across, feet)
    level = skeleton.ankle_height + 0.975 * skeleton.leg_length + skeleton.at("pelvis")[1] - skeleton.at("l_hip")[1]
    wanted = np.minimum(level + 0.012 * np.cos(2 * turn), highest)
    height = np.minimum(gaussian_filter1d(wanted, 1.5, mode="nearest"), highest)
    pelvis = np.stack([across[:, 0], height, across[:, 1]], axis=1)
    return assemble(skeleton, pelvis, rotations, feet, _upper(turn, vigour))


def _upper(turn: np.ndarray, vigour: np.ndarray) -> dict[str, np.ndarray]:
    """Spine, head and arms; the left arm goes forwards with the right leg."""
    # The left leg is ahead while `turn` is below 0, the left arm while it is above.
    left_arm = np.sin(turn)
    swing = np.stack([0.42 * left_arm, -0.42 * left_arm], axis=1) * vigour[:, None] + 0.02
    bend = 0.3 + 0.22 * np.maximum(swing, 0.0) / 0.42
    upper = hanging_arms(swing, bend)
    counter = -0.055 * vigour * np.sin(turn)
    for name in ("spine1", "spine2", "spine3"):
        upper[name] = about("y", counter) @ about("z", 0.015 * vigour * np.cos(turn)) @ about("x", -0.01 + 0 * turn)
    upper["head"] = about("y", 0.06 * vigour * np.sin(turn)) @ about("x", 0.03 + 0.012 * np.sin(2 * turn))
    return upper


def _feet(
    skeleton: Skeleton, path: Path, cycle: np.ndarray, cycles_per_s: float, phase: float, step_width: float
) -> Feet:
    """Both feet over time."""
    count = len(cycle)
    ankles, pitch, yaw = np.zeros((count, 2, 3)), np.zeros((count, 2)), np.zeros((count, 2))
    contacts = np.zeros((count, 2), bool)
    for n, side in enumerate(SIDES):
        sign = 1.0 if side == "l" else -1.0
        own = cycle - 0.5 * n
        step = np.floor(own)
        within = own - step
        stance = np.minimum(within / STANCE, 1.0)
        swing = np.clip((within - STANCE) / (1.0 - STANCE), 0.0, 1.0)
        contacts[:, n] = (within < STANCE) & (stance > _HEEL_DOWN) & (stance < _HEEL_OFF)

        here, turned = _plant(path, step + 0.5 * n, cycles_per_s, phase, sign, step_width)
        there, turned_next = _plant(path, step + 1 + 0.5 * n, cycles_per_s, phase, sign, step_width)
        rolled = np.where(
            stance < _HEEL_DOWN,
            _HEEL_STRIKE * (1 - stance / _HEEL_DOWN),
            _TOE_OFF * np.clip((stance - _HEEL_OFF) / (1 - _HEEL_OFF), 0.0, 1.0) ** 1.7,
        )
        on_ground = _rolled_ankle(skeleton, side, here, turned, rolled)
        leaving = _rolled_ankle(skeleton, side, here, turned, np.full(count, _TOE_OFF))
        landing = _rolled_ankle(skeleton, side, there, turned_next, np.full(count, _HEEL_STRIKE))
        ease = swing * swing * (3 - 2 * swing)
        flying = leaving + ease[:, None] * (landing - leaving)
        flying[:, 1] += _LIFT * np.sin(np.pi * swing) ** 2
        in_swing = within >= STANCE
        ankles[:, n] = np.where(in_swing[:, None], flying, on_ground)
        pitch[:, n] = np.where(in_swing, _TOE_OFF + np.sin(0.5 * np.pi * swing) * (_HEEL_STRIKE - _TOE_OFF), rolled)
        yaw[:, n] = np.where(in_swing, turned + ease * (turned_next - turned), turned)
    return Feet(ankles, about("y", yaw) @ about("x", pitch), np.maximum(pitch, 0.0), contacts)


def _plant(
    path: Path, start: np.ndarray, cycles_per_s: float, phase: float, sign: float, step_width: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ground points (N, 3) under the ankle and foot headings (N,) of stances that start at given cycles."""
    place, heading = path((start + 0.5 * STANCE - phase) / cycles_per_s)
    aside = sign * step_width
    point = np.stack(
        [place[:, 0] + aside * np.cos(heading), np.zeros(len(start)), place[:, 1] - aside * np.sin(heading)], axis=1
    )
    return point, heading + sign * _TOE_OUT


def _rolled_ankle(
    skeleton: Skeleton, side: str, ground: np.ndarray, heading: np.ndarray, pitch: np.ndarray
) -> np.ndarray:
    """Ankle (N, 3) of a foot on the ground, rolled over the ball (pitch above 0) or the heel (below 0)."""
    ankle = skeleton.at(f"{side}_ankle")
    ball, heel = skeleton.at(f"{side}_foot").copy(), ankle.copy()
    ball[1] = heel[1] = skeleton.sole
    heel[2] = skeleton.heel
    pivot = np.where(pitch[:, None] > 0, ball, heel)
    below = np.array([ankle[0], skeleton.sole, ankle[2]])
    turned = about("y", heading)
    moved = (pivot - below) + np.einsum("nij,nj->ni", about("x", pitch), ankle - pivot)
    return ground + np.einsum("nij,nj->ni", turned, moved)
