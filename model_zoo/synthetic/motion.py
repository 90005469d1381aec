"""Motion of a body in the world, and the parts motions are made of: legs that reach for the ground, curves, arms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from model_zoo.body.skeleton import INDEX, NUM_JOINTS

SIDES = ("l", "r")


@dataclass(frozen=True)
class Motion:
    """SMPL parameters of every frame, in the convention of smplx (turned about the pelvis, then moved).

    Attributes:
        global_orient: Shape (T, 3), rad, world.
        body_pose: Shape (T, 69), rad.
        transl: Shape (T, 3), m, world.
        contacts: Shape (T, 2), bool; left and right foot at rest on the ground.
    """

    global_orient: np.ndarray
    body_pose: np.ndarray
    transl: np.ndarray
    contacts: np.ndarray

    def __len__(self) -> int:
        return len(self.transl)

    def seen_from(self, world_from_camera: np.ndarray, pelvis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`global_orient` (T, 3) and `transl` (T, 3) in a camera's frame.

        Args:
            world_from_camera: Shape (T, 4, 4).
            pelvis: Shape (3,), rest position of joint 0, m.
        """
        turn = world_from_camera[:, :3, :3].swapaxes(1, 2)
        orient = Rotation.from_matrix(turn @ Rotation.from_rotvec(self.global_orient).as_matrix()).as_rotvec()
        moved = np.einsum("tij,tj->ti", turn, self.transl + pelvis - world_from_camera[:, :3, 3])
        return orient, moved - pelvis


@dataclass(frozen=True)
class Skeleton:
    """What a motion needs to know of a body.

    Attributes:
        joints: Shape (24, 3), rest joints, m.
        sole: Rest height of the ground under the shoes, m.
        heel: Rest z of the back of the shoes, m.
    """

    joints: np.ndarray
    sole: float
    heel: float

    def at(self, name: str) -> np.ndarray:
        """Rest position of a joint, (3,)."""
        return self.joints[INDEX[name]]

    @property
    def ankle_height(self) -> float:
        """Of the ankle joint above the ground, standing."""
        return float(self.at("l_ankle")[1] - self.sole)

    @property
    def leg_length(self) -> float:
        """Hip to ankle, stretched."""
        thigh, shin = self.at("l_knee") - self.at("l_hip"), self.at("l_ankle") - self.at("l_knee")
        return float(np.linalg.norm(thigh) + np.linalg.norm(shin))


@dataclass(frozen=True)
class Feet:
    """Where the feet are, T frames, left and right.

    Attributes:
        ankles: Shape (T, 2, 3), m, world.
        rotations: Shape (T, 2, 3, 3), world from foot; identity at rest.
        toes: Shape (T, 2), rad, how far the toes are bent up against the foot.
        contacts: Shape (T, 2), bool.
    """

    ankles: np.ndarray
    rotations: np.ndarray
    toes: np.ndarray
    contacts: np.ndarray


def about(axis: str, angle: np.ndarray | float) -> np.ndarray:
    """Rotation matrices (..., 3, 3) about x, y or z; angles of any shape, rad."""
    angle = np.asarray(angle, np.float64)
    matrices = np.zeros((*angle.shape, 3, 3))
    i = "xyz".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    matrices[..., i, i] = 1.0
    matrices[..., j, j] = matrices[..., k, k] = np.cos(angle)
    matrices[..., k, j] = np.sin(angle)
    matrices[..., j, k] = -matrices[..., k, j]
    return matrices


def curve(times: np.ndarray, keys: list[tuple[float, float]]) -> np.ndarray:
    """Smooth curve through (time, value) keys without overshoot, constant before the first and after the last."""
    at, values = np.array(keys, np.float64).T
    return PchipInterpolator(at, values)(np.clip(times, at[0], at[-1]))


def highest_pelvis(skeleton: Skeleton, rotations: np.ndarray, across: np.ndarray, feet: Feet) -> np.ndarray:
    """Greatest pelvis height (T,) at which both legs still reach the feet, nearly stretched.

    Args:
        skeleton: The body.
        rotations: Shape (T, 3, 3), world from pelvis.
        across: Shape (T, 2), x and z of the pelvis joint, m.
        feet: The feet.
    """
    heights = []
    for n, side in enumerate(SIDES):
        hip = rotations @ (skeleton.at(f"{side}_hip") - skeleton.at("pelvis"))
        away = feet.ankles[:, n][:, [0, 2]] - across - hip[:, [0, 2]]
        reach = np.sqrt(np.maximum((0.993 * skeleton.leg_length) ** 2 - (away**2).sum(1), 1e-4))
        heights.append(feet.ankles[:, n, 1] + reach - hip[:, 1])
    return np.minimum(*heights)


def assemble(
    skeleton: Skeleton, pelvis: np.ndarray, rotations: np.ndarray, feet: Feet, upper: dict[str, np.ndarray]
) -> Motion:
    """Motion from the pelvis, the feet, and rotations of the upper body.

    The legs follow by two-bone inverse kinematics with the knee as a hinge about the rest x axis, in closed form.

    Args:
        skeleton: The body.
        pelvis: Shape (T, 3), position of the pelvis joint, m, world.
        rotations: Shape (T, 3, 3), world from pelvis.
        feet: The feet.
        upper: Local rotations (T, 3, 3) by joint name; joints that are not named stay at rest.
    """
    local = np.tile(np.eye(3), (len(pelvis), NUM_JOINTS, 1, 1))
    for name, matrices in upper.items():
        local[:, INDEX[name]] = matrices
    for n, side in enumerate(SIDES):
        hip, knee, ankle = (skeleton.at(f"{side}_{name}") for name in ("hip", "knee", "ankle"))
        reach = feet.ankles[:, n] - (pelvis + rotations @ (hip - skeleton.at("pelvis")))
        world_from_thigh, bend = _two_bones(knee - hip, ankle - knee, reach, rotations, feet.rotations[:, n])
        shin = about("x", bend)
        local[:, INDEX[f"{side}_hip"]] = rotations.swapaxes(1, 2) @ world_from_thigh
        local[:, INDEX[f"{side}_knee"]] = shin
        local[:, INDEX[f"{side}_ankle"]] = (world_from_thigh @ shin).swapaxes(1, 2) @ feet.rotations[:, n]
        local[:, INDEX[f"{side}_foot"]] = about("x", -feet.toes[:, n])
    local[:, 0] = rotations
    vectors = Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec().reshape(len(pelvis), -1)
    return Motion(vectors[:, :3], vectors[:, 3:], pelvis - skeleton.at("pelvis"), feet.contacts)


def _two_bones(
    thigh: np.ndarray, shin: np.ndarray, reach: np.ndarray, pelvis: np.ndarray, foot: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """World rotation of the thigh (T, 3, 3) and bend of the knee (T,), rad, that bring the ankle to `reach` (T, 3)."""
    # |thigh + Rx(bend) shin|^2 = |reach|^2  is  a cos(bend) + b sin(bend) = c.
    a = thigh[1] * shin[1] + thigh[2] * shin[2]
    b = thigh[2] * shin[1] - thigh[1] * shin[2]
    c = 0.5 * ((reach**2).sum(1) - thigh @ thigh - shin @ shin) - thigh[0] * shin[0]
    bend = np.arctan2(b, a) + np.arccos(np.clip(c / np.hypot(a, b), -1.0, 1.0))
    bend = np.maximum(bend, 0.0)
    along = thigh + about("x", bend) @ shin
    lateral = 0.5 * (pelvis[:, :, 0] + foot[:, :, 0])
    rest = _frame(along, np.broadcast_to([1.0, 0.0, 0.0], along.shape))
    return _frame(reach, lateral) @ rest.swapaxes(1, 2), bend


def _frame(along: np.ndarray, aside: np.ndarray) -> np.ndarray:
    """Rotations (T, 3, 3) whose first column is `along` and whose second is nearest to `aside`."""
    x = along / np.linalg.norm(along, axis=1, keepdims=True)
    z = np.cross(x, aside)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-1)


def hanging_arms(
    swing: np.ndarray, bend: np.ndarray, spread_deg: tuple[float, float] = (72.0, 72.0)
) -> dict[str, np.ndarray]:
    """Arms that hang down from the T-pose.

    Args:
        swing: Shape (T, 2), rad, forwards, of the left and right upper arm.
        bend: Shape (T, 2), rad, of the elbows.
        spread_deg: How far the arms are lowered from the horizontal, left and right.

    Returns:
        Local rotations by joint name.
    """
    upper = {}
    for n, (side, sign) in enumerate(zip(SIDES, (1.0, -1.0))):
        lowered = about("z", -sign * np.deg2rad(spread_deg[n]))
        upper[f"{side}_shoulder"] = about("x", -swing[:, n]) @ lowered
        upper[f"{side}_elbow"] = about("y", -sign * bend[:, n])
        upper[f"{side}_collar"] = about("y", -sign * 0.12 * swing[:, n])
    return upper
