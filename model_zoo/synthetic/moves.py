"""More motions on the spot: turning round in small steps, dancing, sitting down."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from model_zoo.synthetic.gait import walk
from model_zoo.synthetic.gestures import gesture
from model_zoo.synthetic.motion import Feet, Motion, Skeleton, about, assemble, curve, hanging_arms, highest_pelvis

_SWAY_m = 0.05  # of the dancer's pelvis
_STANCE_m = 0.15  # half the distance of a dancer's feet


def turn_round(
    skeleton: Skeleton, num_frames: int, fps: float, place: tuple[float, float], heading: float, turns: float = 1.0
) -> Motion:
    """Turn on the spot in small steps.

    Args:
        skeleton: The body.
        num_frames: T.
        fps: Frames per second.
        place: x and z, m, world.
        heading: Of the first frame, rad, 0 faces +z.
        turns: Whole turns over the clip.
    """
    length = num_frames / fps

    def path(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        angle = heading + 2 * np.pi * turns * times / length
        return np.tile(np.array(place, float), (len(times), 1)), angle

    return walk(skeleton, path, num_frames, fps, cycles_per_s=1.2)


def wave(skeleton: Skeleton, num_frames: int, fps: float, place: tuple[float, float], heading: float) -> Motion:
    """Lift the right hand, wave, lower it."""
    share = np.arange(num_frames) / max(num_frames - 1, 1)
    raised = curve(share, [(0.0, 0.0), (0.25, 1.0), (0.8, 1.0), (1.0, 0.15)])
    return gesture(skeleton, np.arange(num_frames) / fps, place, heading, raised, 0 * share, 0 * share)


def squat(skeleton: Skeleton, num_frames: int, fps: float, place: tuple[float, float], heading: float) -> Motion:
    """Squat with the arms stretched forwards and stand up."""
    share = np.arange(num_frames) / max(num_frames - 1, 1)
    down = curve(share, [(0.05, 0.0), (0.45, 1.0), (0.6, 1.0), (0.95, 0.0)])
    return gesture(skeleton, np.arange(num_frames) / fps, place, heading, 0 * share, down, 0 * share)


def twist(skeleton: Skeleton, num_frames: int, fps: float, place: tuple[float, float], heading: float) -> Motion:
    """Turn the trunk to both sides."""
    share = np.arange(num_frames) / max(num_frames - 1, 1)
    turned = curve(share, [(0.0, 0.0), (0.3, 1.0), (0.7, -1.0), (1.0, 0.2)])
    return gesture(skeleton, np.arange(num_frames) / fps, place, heading, 0 * share, 0 * share, turned)


def sit_down(skeleton: Skeleton, num_frames: int, fps: float, place: tuple[float, float], heading: float) -> Motion:
    """Sit down on a seat of knee height and stay there; the feet stand at `place`."""
    share = np.arange(num_frames) / max(num_frames - 1, 1)
    down = curve(share, [(0.1, 0.0), (0.7, 1.0)])
    lean = curve(share, [(0.1, 0.0), (0.4, 1.0), (0.75, 0.15)])
    rotations = about("y", np.full(num_frames, heading)) @ about("x", 0.02 + 0.5 * lean)
    feet = _standing(skeleton, num_frames, place, heading, 0.12)
    facing = np.array([np.sin(heading), np.cos(heading)])
    across = np.array(place) - facing * (0.02 + 0.38 * down)[:, None]
    standing = highest_pelvis(skeleton, rotations, across, feet)
    seat = skeleton.ankle_height + 0.53 * skeleton.leg_length
    start = highest_pelvis(skeleton, rotations[:1], across[:1], Feet(*(part[:1] for part in _parts(feet)))) - 0.012
    pelvis = np.stack([across[:, 0], np.minimum(start + (seat - start) * down, standing - 0.005), across[:, 1]], 1)
    swing = np.stack([0.1 + 0.55 * down, 0.1 + 0.55 * down], 1)
    upper = hanging_arms(swing, 0.25 + 0.75 * np.stack([down, down], 1))
    upper["head"] = about("x", -0.25 * lean)
    return assemble(skeleton, pelvis, rotations, feet, upper)


def dance(
    skeleton: Skeleton, num_frames: int, fps: float, place: tuple[float, float], heading: float, seed: int = 0
) -> Motion:
    """Sway, turn and throw the arms smoothly at random within the limits of the joints; the feet stay.

    Args:
        skeleton: The body.
        num_frames: T.
        fps: Frames per second.
        place: x and z, m, world.
        heading: rad, 0 faces +z.
        seed: Other seeds, other dances.
    """
    rng = np.random.default_rng(seed)

    def drift(low: float, high: float, slow_s: float = 0.28) -> np.ndarray:
        """Random curve (T,) between two values."""
        pad = int(4 * slow_s * fps) + 2
        noise = gaussian_filter1d(rng.standard_normal(num_frames + 2 * pad), slow_s * fps)[pad:-pad]
        noise = noise / max(np.abs(noise).max(), 1e-9)
        return low + (high - low) * 0.5 * (1.0 + noise)

    yaw = heading + drift(-0.45, 0.45)
    rotations = about("y", yaw) @ about("z", drift(-0.1, 0.1)) @ about("x", drift(0.0, 0.15))
    feet = _standing(skeleton, num_frames, place, heading, _STANCE_m)
    aside = np.array([np.cos(heading), -np.sin(heading)])
    across = np.array(place) + aside * drift(-_SWAY_m, _SWAY_m)[:, None]
    height = highest_pelvis(skeleton, rotations, across, feet) - 0.012
    height = gaussian_filter1d(height, 2.0, mode="nearest") - drift(0.02, 0.2) * skeleton.leg_length * 0.5
    pelvis = np.stack([across[:, 0], height, across[:, 1]], 1)
    swing = np.stack([drift(-0.3, 1.6), drift(-0.3, 1.6)], 1)
    bend = np.stack([drift(0.15, 1.7), drift(0.15, 1.7)], 1)
    upper = hanging_arms(swing, bend, (45.0, 45.0))
    for name in ("spine1", "spine2", "spine3"):
        upper[name] = about("y", drift(-0.12, 0.12)) @ about("z", drift(-0.08, 0.08))
    upper["head"] = about("y", drift(-0.4, 0.4)) @ about("x", drift(-0.15, 0.2))
    return assemble(skeleton, pelvis, rotations, feet, upper)


def _parts(feet: Feet) -> tuple[np.ndarray, ...]:
    return feet.ankles, feet.rotations, feet.toes, feet.contacts


def _standing(skeleton: Skeleton, num_frames: int, place: tuple[float, float], heading: float, half: float) -> Feet:
    """Both feet flat on the ground, `half` m from the middle each, turned out a little."""
    ankles, rotations = np.zeros((num_frames, 2, 3)), np.zeros((num_frames, 2, 3, 3))
    for n, sign in enumerate((1.0, -1.0)):
        aside = sign * half
        ankles[:, n] = (place[0] + aside * np.cos(heading), skeleton.ankle_height, place[1] - aside * np.sin(heading))
        rotations[:, n] = about("y", heading + sign * 0.2)
    return Feet(ankles, rotations, np.zeros((num_frames, 2)), np.ones((num_frames, 2), bool))
