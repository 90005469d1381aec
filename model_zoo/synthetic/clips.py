"""Short clips of people in motion, ready to render: the demo's footage and the tests' truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from model_zoo.body.smpl import SmplModel
from model_zoo.synthetic import camera as cameras
from model_zoo.synthetic.camera import Camera
from model_zoo.synthetic.dressed import DressedBody, Outfit
from model_zoo.synthetic.gait import walk
from model_zoo.synthetic.gestures import wave_and_squat
from model_zoo.synthetic.mesh import PLAIN, PLANKS, STRIPES, Material, box, cylinder, joined, sphere
from model_zoo.synthetic.motion import curve
from model_zoo.synthetic.render import Actor, Prop, Scene, Shot
from model_zoo.synthetic.scenes import room, street

FPS = 24.0
_SPEED = 1.05  # m/s
_FOCAL = 1.2  # times the shorter side of the picture


def walking(model: SmplModel, num_frames: int = 60, height: int = 480, width: int = 640, fps: float = FPS) -> Shot:
    """Somebody walks across a room, a little towards the still camera."""
    outfit = Outfit(shirt=(0.72, 0.24, 0.20), shirt_stripe=(0.86, 0.80, 0.72), trousers=(0.20, 0.26, 0.42))
    body = DressedBody(model, _betas(0.3, -0.4, 0.2), outfit)
    middle = 0.5 * num_frames / fps
    towards = np.deg2rad(70.0)

    def path(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        done = _SPEED * (times - middle)
        return np.stack([done * np.sin(towards), 0.1 + done * np.cos(towards)], 1), np.full(len(times), towards)

    motion = walk(body.skeleton, path, num_frames, fps)
    view = _still(height, width, (0.25, 1.35, 4.3), (0.0, 0.88, 0.0), num_frames)
    return Shot("walk-in-a-room", fps, room(), view, Actor(body, motion), seed=1)


def waving(model: SmplModel, num_frames: int = 64, height: int = 640, width: int = 480, fps: float = FPS) -> Shot:
    """Somebody waves, squats and turns on a street behind a thin post, and a ball bounces past before them."""
    outfit = Outfit(
        skin=(0.52, 0.36, 0.27), hair=(0.07, 0.06, 0.06), shirt=(0.88, 0.76, 0.30), shirt_stripe=(0.88, 0.76, 0.30),
        trousers=(0.26, 0.33, 0.30), shoes=(0.80, 0.80, 0.80), sleeve=0.9,
    )  # fmt: skip
    body = DressedBody(model, _betas(-0.5, 0.6, -0.3), outfit)
    motion = wave_and_squat(body.skeleton, num_frames, fps, (0.0, -1.0), 0.1)
    metal = Material(PLAIN, (0.13, 0.22, 0.20), rough=0.1)
    scene = street()
    foot = (-0.055, 0.0, 0.15)
    post = joined([cylinder(foot, 3.2, 0.024, metal, True), cylinder(foot, 0.22, 0.055, metal, True)])
    scene = Scene(joined([scene.mesh, post]), scene.light)
    ball = sphere((0, 0, 0), 0.13, Material(STRIPES, (0.85, 0.30, 0.15), (0.92, 0.90, 0.85), 0.10, 0.05), True)
    share = np.arange(num_frames) / max(num_frames - 1, 1)
    bounce = 0.13 + 0.75 * np.abs(np.cos(np.pi * 3.0 * share)) * (1.0 - 0.25 * share)
    places = np.stack([2.0 - 4.2 * share, bounce, np.full(num_frames, -0.15)], 1)
    view = _still(height, width, (0.15, 1.25, 2.0), (0.0, 0.94, -1.0), num_frames)
    return Shot("wave-behind-a-post", fps, scene, view, Actor(body, motion), props=(Prop(ball, places),), seed=2)


def panning(model: SmplModel, num_frames: int = 60, height: int = 480, width: int = 640, fps: float = FPS) -> Shot:
    """Somebody walks along a street and the camera turns after them."""
    outfit = Outfit(
        skin=(0.86, 0.68, 0.57), hair=(0.48, 0.31, 0.15), shirt=(0.22, 0.45, 0.36), shirt_stripe=(0.22, 0.45, 0.36),
        trousers=(0.50, 0.44, 0.34), shoes=(0.18, 0.18, 0.20), sleeve=0.95,
    )  # fmt: skip
    body = DressedBody(model, _betas(0.8, 0.2, 0.5), outfit)

    def path(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        heading = -np.pi / 2 + 0.25 * np.sin(1.1 * times)
        ahead = np.stack([1.5 - _SPEED * times, -2.9 + 0.25 * np.sin(0.9 * times)], 1)
        return ahead, heading

    motion = walk(body.skeleton, path, num_frames, fps, phase=0.3)
    times = np.arange(num_frames) / fps
    followed = path(times - 0.12)[0]
    target = np.stack([0.85 * followed[:, 0], 0.95 + 0.02 * np.sin(1.7 * times), followed[:, 1]], 1)
    pose = cameras.look_at(np.array([0.0, 1.5, 1.35]), target)
    view = Camera(height, width, cameras.intrinsics(height, width, _FOCAL * min(height, width)), pose)
    return Shot("walk-along-a-street", fps, street(), view, Actor(body, motion), seed=3)


def leaving(model: SmplModel, num_frames: int = 72, height: int = 640, width: int = 480, fps: float = FPS) -> Shot:
    """Somebody walks out of an upright picture and comes back."""
    outfit = Outfit(
        skin=(0.70, 0.50, 0.38), hair=(0.10, 0.08, 0.07), shirt=(0.86, 0.86, 0.88), shirt_stripe=(0.25, 0.32, 0.52),
        trousers=(0.30, 0.18, 0.20), shoes=(0.12, 0.12, 0.13), sleeve=0.45, stripe_m=0.035,
    )  # fmt: skip
    body = DressedBody(model, _betas(-0.9, -0.5, -0.4), outfit)
    length = num_frames / fps
    out_and_back = [(-1.0, -0.75), (0.0, 0.4), (0.36 * length, 1.68), (0.48 * length, 1.85), (0.6 * length, 1.68),
                    (length, 0.2), (length + 1.0, -0.95)]  # fmt: skip

    def path(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = curve(times, out_and_back)
        heading = curve(times, [(0.42 * length, 1.35), (0.56 * length, -1.35)])
        return np.stack([x, -0.05 - 0.15 * np.sin(0.8 * times)], 1), heading

    motion = walk(body.skeleton, path, num_frames, fps, cycles_per_s=1.05)
    view = _still(height, width, (0.0, 1.25, 3.35), (0.0, 0.9, 0.0), num_frames)
    table = Material(PLANKS, (0.45, 0.30, 0.18), (0.25, 0.16, 0.09), 0.12, 0.2)
    scene = room()
    stool = box((-1.25, 0.0, 0.55), (-0.85, 0.5, 0.95), table, True)
    return Shot("out-and-back", fps, Scene(joined([scene.mesh, stool]), scene.light), view, Actor(body, motion), seed=4)


CLIPS: tuple[Callable[..., Shot], ...] = (walking, waving, panning, leaving)


def _betas(*first: float) -> np.ndarray:
    return np.array([*first, *([0.0] * (10 - len(first)))])


def _still(height: int, width: int, position: tuple, target: tuple, num_frames: int) -> Camera:
    pose = np.tile(cameras.look_at(np.array(position), np.array(target)), (num_frames, 1, 1))
    return Camera(height, width, cameras.intrinsics(height, width, _FOCAL * min(height, width)), pose)
