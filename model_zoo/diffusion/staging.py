"""A recorded motion put before a camera: upright, turned to it, on the ground, in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from model_zoo.body.skeleton import INDEX, NUM_JOINTS
from model_zoo.body.smpl import SmplModel
from model_zoo.diffusion.dressed_mesh import project
from model_zoo.diffusion.motion_file import MotionFile

_FOCAL = 1.2  # of the default camera, in longer sides of the picture: 45 degrees
_MARGIN = 0.06  # of each side of the picture, kept free
_LEAST_HEIGHT = 0.4  # of the picture, that the body keeps; a motion that needs more room leaves the picture
_NEAREST_m, _STEP = 1.2, 1.03
_LOOKED_AT = 16  # frames that decide where the camera stands
_MOST_TILT = 0.77  # cosine: 40 degrees


@dataclass(frozen=True)
class Stage:
    """Where a body may stand.

    Attributes:
        intrinsics: Shape (T, 3, 3), px, of every frame.
        ground: Shape (3,), m, camera frame: the point under the body at the middle of the motion; None lets the motion
            be fitted into the picture.
        up: Shape (3,), unit, camera frame.
    """

    intrinsics: np.ndarray
    ground: np.ndarray | None
    up: np.ndarray


@dataclass(frozen=True)
class Staged:
    """SMPL parameters in the camera's frame: (T, 3), (T, 69), (T, 3), float64."""

    global_orient: np.ndarray
    body_pose: np.ndarray
    transl: np.ndarray


def default_stage(height: int, width: int, frames: int) -> Stage:
    """A level camera of 45 degrees for a picture of any size; the motion is fitted into it."""
    focal = _FOCAL * max(height, width)
    matrix = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1.0]])
    return Stage(np.tile(matrix, (frames, 1, 1)), None, np.array([0.0, -1.0, 0.0]))


def where_stood(joints: np.ndarray, intrinsics: np.ndarray) -> Stage:
    """The place where somebody stood.

    Args:
        joints: Shape (T, 24, 3), m, camera frame, of a body in frames where it is known.
        intrinsics: Shape (T', 3, 3), px, of the frames to be drawn.
    """
    ankles = joints[:, [INDEX["l_ankle"], INDEX["r_ankle"]]]
    up = (joints[:, INDEX["neck"]] - ankles.mean(1)).mean(0)
    up /= np.linalg.norm(up)
    if -up[1] < _MOST_TILT:  # somebody who bends or lies says nothing about the camera
        up = np.array([0.0, -1.0, 0.0])
    middle = joints[len(joints) // 2]
    pelvis = middle[INDEX["pelvis"]]
    feet = middle[[INDEX["l_foot"], INDEX["r_foot"]]]
    lowest = ((feet - pelvis) @ up).min()
    return Stage(intrinsics, pelvis + lowest * up, up)


def resampled(motion: MotionFile, fps: float, frames: int) -> MotionFile:
    """The first frames of a motion at another rate; at most `frames`, none beyond its end."""
    seconds = (len(motion) - 1) / motion.fps
    count = min(frames, int(seconds * fps + 1e-6) + 1)
    own, times = np.arange(len(motion)) / motion.fps, np.arange(count) / fps
    times = np.clip(times, 0, own[-1])
    if len(motion) == 1:
        return MotionFile(motion.poses, motion.trans, fps, motion.betas)
    poses = [Slerp(own, Rotation.from_rotvec(motion.poses[:, j]))(times).as_rotvec() for j in range(NUM_JOINTS)]
    trans = [np.interp(times, own, motion.trans[:, axis]) for axis in range(3)]
    return MotionFile(np.stack(poses, 1), np.stack(trans, 1), fps, motion.betas)


def put(motion: MotionFile, stage: Stage, model: SmplModel, betas: np.ndarray, size: tuple[int, int]) -> Staged:
    """Put a motion on a stage.

    Up is the axis of the file's frame that the body's mean direction from ankles to neck is nearest to; at the middle
    frame the body faces the camera; at that frame its lowest foot stands on the stage's ground.

    Args:
        motion: The motion, with as many frames as the stage has intrinsics or fewer.
        stage: The place.
        model: The body.
        betas: Shape (10,), its shape.
        size: (H, W) of the picture, px.
    """
    poser = model.poser(betas)
    pelvis_rest = poser.joints_rest[0]
    body_pose = motion.poses[:, 1:].reshape(len(motion), -1)
    joints = poser.joints(motion.poses[:, 0], body_pose, motion.trans)
    root = Rotation.from_rotvec(motion.poses[:, 0]).as_matrix()
    turn = _camera_from_file(joints, root[len(root) // 2], stage.up)
    root = turn @ root
    pelvis = (motion.trans + pelvis_rest) @ turn.T
    joints = joints @ turn.T
    middle = len(motion) // 2
    feet = joints[middle, [INDEX["l_foot"], INDEX["r_foot"]]]
    under = pelvis[middle] + ((feet - pelvis[middle]) @ stage.up).min() * stage.up
    orient = Rotation.from_matrix(root).as_rotvec()
    looked_at = np.unique(np.linspace(0, len(motion) - 1, _LOOKED_AT).round().astype(int))
    vertices = poser.vertices(orient[looked_at], body_pose[looked_at], (pelvis - under - pelvis_rest)[looked_at])
    ground = stage.ground if stage.ground is not None else _fitted(vertices, stage.intrinsics[looked_at], size)
    return Staged(orient, body_pose, pelvis - under + ground - pelvis_rest)


def _camera_from_file(joints: np.ndarray, root: np.ndarray, up_camera: np.ndarray) -> np.ndarray:
    """Rotation from the file's frame to the camera's."""
    ankles = joints[:, [INDEX["l_ankle"], INDEX["r_ankle"]]].mean(1)
    mean = (joints[:, INDEX["neck"]] - ankles).mean(0)
    up = np.zeros(3)
    axis = int(np.abs(mean).argmax())
    up[axis] = np.sign(mean[axis]) or 1.0
    facing = root @ np.array([0.0, 0.0, 1.0])  # at the middle of the motion
    if np.linalg.norm(np.cross(up, facing)) < 1e-3:  # it lies, face up or down: its feet point to the camera
        facing = root @ np.array([0.0, -1.0, 0.0])
    return _frame(up_camera, np.array([0.0, 0.0, -1.0])) @ _frame(up, facing).T


def _frame(up: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Right-handed axes (right, up, front) in columns, front made orthogonal to up."""
    front = front - (front @ up) * up
    front = front / np.linalg.norm(front)
    return np.stack([np.cross(up, front), up, front], 1)


def _fitted(vertices: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Ground point (3,) at which all of a motion is seen as large as fits, its middle at the picture's."""
    low, high = vertices.min((0, 1)), vertices.max((0, 1))
    tall = np.median(np.ptp(vertices[..., 1], axis=1))
    border = np.array([size[1] - 1, size[0] - 1]) * _MARGIN
    farthest = intrinsics[0, 1, 1] * tall / (_LEAST_HEIGHT * size[0])
    distance = max(_NEAREST_m, 0.2 - low[2])
    while True:
        ground = np.array([-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, distance])
        # Where the principal point is not in the middle, the body goes where the middle is.
        middle = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2, 1.0])
        ray = np.linalg.solve(intrinsics[0], middle)
        ground[:2] += ray[:2] * distance
        pixels = project(vertices + ground, intrinsics[0])
        inside = (pixels >= border).all() and (pixels <= np.array([size[1] - 1, size[0] - 1]) - border).all()
        if (inside and (vertices[..., 2] + distance).min() > 0.1) or distance >= farthest:
            return ground
        distance *= _STEP
