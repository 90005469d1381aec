"""Pose prior and joint limits without training data: Gaussians inside, quadratic walls beyond the ranges of motion.

Every joint is described in coordinates that mean something for it, each with a mean, a spread and a range:

- ball joints (hip, shoulder): the direction of the bone in the parent's axes, and the twist about the bone;
- hinges (knee, elbow): flexion, deviation of the bone sideways out of the hinge's plane, and twist;
- all others: the axis-angle vector.

Ranges: American Academy of Orthopaedic Surgeons, "Joint Motion: Method of Measuring and Recording" (1965); Boone and
Azen, "Normal range of motion of joints in male subjects" (J. Bone Joint Surg. 1979); spine and neck from White and
Panjabi, "Clinical Biomechanics of the Spine" (1990), shared out over the three spine joints and over neck and head.
Means and spreads are what is common in standing, walking and gesturing. Angles in rad; "left" is written down, right is
its mirror image.

Shapes: T time, J 24 joints, K joints of one kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor

from model_zoo.body.rotation import axis_angle_from_matrix
from tools.body.chain import skew
from workflow.conventions import SMPL_JOINTS

WALL_rad = 0.06  # an excess of this much over a limit costs as much as one standard deviation
_FAR = 100.0  # no limit

# joint: mean, spread, lowest, highest; each (x, y, z) of the axis-angle vector in the parent's axes. x: bend forwards
# (head, spine), point the toes (ankle); y: turn to the left; z: towards the body's right side (spine), lift (left arm).
_AXIS = {
    "spine1": ((0.04, 0, 0), (0.20, 0.10, 0.12), (-0.25, -0.30, -0.35), (0.70, 0.30, 0.35)),
    "spine2": ((0.04, 0, 0), (0.16, 0.12, 0.12), (-0.20, -0.30, -0.30), (0.50, 0.30, 0.30)),
    "spine3": ((0.02, 0, 0), (0.14, 0.14, 0.10), (-0.20, -0.35, -0.25), (0.40, 0.35, 0.25)),
    "neck": ((0.05, 0, 0), (0.22, 0.28, 0.18), (-0.50, -0.70, -0.40), (0.50, 0.70, 0.40)),
    "head": ((0.02, 0, 0), (0.20, 0.25, 0.16), (-0.45, -0.65, -0.35), (0.45, 0.65, 0.35)),
    "left_collar": ((0, -0.02, -0.02), (0.10, 0.16, 0.16), (-0.30, -0.40, -0.25), (0.30, 0.40, 0.60)),
    "left_ankle": ((0.05, 0, 0), (0.28, 0.18, 0.15), (-0.52, -0.45, -0.45), (0.87, 0.45, 0.45)),
    "left_wrist": ((0, 0, 0), (0.30, 0.20, 0.35), (-0.80, -0.50, -1.30), (0.80, 0.50, 1.30)),
}
# joint: direction of the bone at rest, mean direction, spread of the direction, limits (half space n, most of n . d),
# twist: mean, spread, lowest, highest.
_BALL = {
    "left_shoulder": (
        (1, 0, 0), (0.40, -0.88, 0.15), 0.75, (((0, 0, -1), 0.80), ((-1, 0, 0), 0.75)), (0.0, 0.60, -1.60, 1.60),
    ),
    "left_hip": (
        (0, -1, 0), (0.08, -0.98, 0.15), 0.45, (((0, 0, -1), 0.45), ((-1, 0, 0), 0.42)), (0.0, 0.22, -0.70, 0.70),
    ),
}  # fmt: skip
# joint: direction of the bone at rest, direction it flexes to; flexion (mean, spread, lowest, highest), spread of the
# deviation sideways, twist (mean, spread, lowest, highest).
_HINGE = {
    "left_elbow": ((1, 0, 0), (0, 0, 1), (0.60, 0.70, -0.05, 2.60), 0.08, (0.0, 0.45, -1.50, 1.50)),
    "left_knee": ((0, -1, 0), (0, 0, -1), (0.25, 0.60, -0.05, 2.60), 0.06, (0.0, 0.12, -0.40, 0.40)),
}


Row = tuple[float, float, float, float]  # mean, spread, lowest, highest
# Of one bone: direction cosines with their normals, flexion with the direction it goes to, twist.
_Coordinates = tuple[list[tuple[Tensor, float, float, float, float]], Optional[tuple[Tensor, Row]], Row]


@dataclass(frozen=True)
class Quadratic:
    """Cost of the prior per frame, with gradient and curvature by small turns in the parent's axes.

    Attributes:
        cost_T: Half the sum of squared residuals.
        gradient_TJ3, curvature_TJ33: Zero for joints without a prior.
    """

    cost_T: Tensor
    gradient_TJ3: Tensor
    curvature_TJ33: Tensor


class PosePrior:
    """The tables above as tensors, both sides of the body."""

    def __init__(self) -> None:
        mirror_axial = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
        mirror = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
        axis: list[tuple[int, Tensor]] = []
        for name, row in _AXIS.items():
            table = torch.tensor(row, dtype=torch.float64)
            axis.append((SMPL_JOINTS.index(name), table))
            if name.startswith("left_"):
                flipped = table * mirror_axial
                flipped[1] = table[1]
                low, high = torch.minimum(flipped[2], flipped[3]), torch.maximum(flipped[2], flipped[3])
                flipped[2], flipped[3] = low, high
                axis.append((SMPL_JOINTS.index("right" + name[4:]), flipped))
        self.axis_joints = [joint for joint, _ in axis]
        self.axis_table_4K3 = torch.stack([table for _, table in axis], 1)

        self.bone_joints: list[int] = []
        bones: list[Tensor] = []
        scalars: list[_Coordinates] = []
        for side, sign, reflect in (("left", 1.0, torch.ones(3, dtype=torch.float64)), ("right", -1.0, mirror)):
            for stem in ("shoulder", "hip"):
                along, mean, spread, walls, twist = _BALL[f"left_{stem}"]
                self.bone_joints.append(SMPL_JOINTS.index(f"{side}_{stem}"))
                bones.append(torch.tensor(along, dtype=torch.float64) * reflect)
                centre = torch.nn.functional.normalize(torch.tensor(mean, dtype=torch.float64), dim=0) * reflect
                linear = [
                    (torch.eye(3, dtype=torch.float64)[i], float(centre[i]), spread, -_FAR, _FAR) for i in range(3)
                ]
                linear += [
                    (torch.tensor(n, dtype=torch.float64) * reflect, 0.0, _FAR, -_FAR, most) for n, most in walls
                ]
                scalars.append((linear, None, _sided(twist, sign)))
            for stem in ("elbow", "knee"):
                along, towards, flexion, spread, twist = _HINGE[f"left_{stem}"]
                self.bone_joints.append(SMPL_JOINTS.index(f"{side}_{stem}"))
                a, b = (torch.tensor(v, dtype=torch.float64) * reflect for v in (along, towards))
                bones.append(a)
                scalars.append(
                    ([(torch.linalg.cross(a, b), 0.0, spread, -_FAR, _FAR)], (b, flexion), _sided(twist, sign))
                )
        self.bones_K3 = torch.stack(bones)
        self._scalars = scalars

    def __call__(self, rotations_TJ33: Tensor) -> Quadratic:
        """Cost of the pose; rotations of each joint relative to its parent (those of joint 0 are not looked at)."""
        frames = len(rotations_TJ33)
        cost_T = rotations_TJ33.new_zeros(frames)
        gradient = rotations_TJ33.new_zeros(frames, 24, 3)
        curvature = rotations_TJ33.new_zeros(frames, 24, 3, 3)

        vector = axis_angle_from_matrix(rotations_TJ33[:, self.axis_joints])
        by_turn = _log_by_turn(vector)
        mean, spread, low, high = self.axis_table_4K3
        value, weight = vector - mean, (1 / spread**2).expand_as(vector)
        cost_T += 0.5 * (value**2 * weight).sum((1, 2))
        gradient[:, self.axis_joints] = (by_turn.mT @ (value * weight)[..., None])[..., 0]
        curvature[:, self.axis_joints] = by_turn.mT @ (weight[..., None] * by_turn)
        # A wall pulls towards itself, a Gaussian towards its mean: two residuals of the same coordinate.
        wall, active = _walls(vector, low, high)
        cost_T += 0.5 * (wall**2).sum((1, 2))
        gradient[:, self.axis_joints] += (by_turn.mT @ (wall / WALL_rad)[..., None])[..., 0]
        curvature[:, self.axis_joints] += by_turn.mT @ (active[..., None] / WALL_rad**2 * by_turn)

        residuals, rows, owner = self._bone_residuals(rotations_TJ33[:, self.bone_joints])
        cost_T += 0.5 * (residuals**2).sum(1)
        joints = torch.tensor(owner)
        gradient.index_add_(1, joints, residuals[..., None] * rows)
        curvature.index_add_(1, joints, rows[..., :, None] * rows[..., None, :])
        return Quadratic(cost_T, gradient, curvature)

    def _bone_residuals(self, rotations_TK33: Tensor) -> tuple[Tensor, Tensor, list[int]]:
        """Residuals (T, M) of ball joints and hinges, derivatives by turns (T, M, 3), and the joint of each."""
        direction_TK3 = (rotations_TK33 @ self.bones_K3[..., None])[..., 0]
        twist_TK, twist_by_turn_TK3 = twist(rotations_TK33, self.bones_K3)
        residuals, rows, owner = [], [], []

        def add(joint: int, value: Tensor, row: Tensor, mean: float, spread: float, low: float, high: float) -> None:
            if spread < _FAR:
                residuals.append((value - mean) / spread)
                rows.append(row / spread)
                owner.append(joint)
            if low > -_FAR or high < _FAR:
                wall, active = _walls(value, torch.tensor(low), torch.tensor(high))
                residuals.append(wall)
                rows.append(row * active[..., None] / WALL_rad)
                owner.append(joint)

        for k, (linear, hinge, twisted) in enumerate(self._scalars):
            joint, d, a = self.bone_joints[k], direction_TK3[:, k], self.bones_K3[k]
            for n, mean, spread, low, high in linear:
                add(joint, d @ n, torch.linalg.cross(d, n.expand_as(d)), mean, spread, low, high)
            if hinge is not None:
                b, flexion = hinge
                along, across = d @ a, d @ b
                by_turn = along[:, None] * torch.linalg.cross(d, b.expand_as(d)) - across[:, None] * torch.linalg.cross(
                    d, a.expand_as(d)
                )
                squared = (along**2 + across**2).clamp_min(1e-4)
                add(joint, torch.atan2(across, along), by_turn / squared[:, None], *flexion)
            add(joint, twist_TK[:, k], twist_by_turn_TK3[:, k], *twisted)
        return torch.stack(residuals, 1), torch.stack(rows, 1), owner


def twist(rotations: Tensor, axis: Tensor) -> tuple[Tensor, Tensor]:
    """Angle of the twist about an axis in the swing-twist decomposition, with its derivative.

    Args:
        rotations: Shape (..., 3, 3), `swing twist`: first turned about the axis, then swung.
        axis: Shape (..., 3), unit.

    Returns:
        Angle in (-pi, pi], shape (...), and its derivative by a small turn applied after the rotation, (..., 3).
    """
    vector = axis_angle_from_matrix(rotations)
    angle = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    v = 0.5 * torch.sinc(angle / (2 * torch.pi)) * vector
    w = torch.cos(angle[..., 0] / 2)
    axis = axis.expand_as(v)
    s = (v * axis).sum(-1)
    squared = (w**2 + s**2).clamp_min(1e-6)
    by_turn = w[..., None] * (w[..., None] * axis + torch.linalg.cross(v, axis)) + s[..., None] * v
    return 2 * torch.atan2(s, w), by_turn / squared[..., None]


def _sided(twisted: Row, sign: float) -> Row:
    mean, spread, low, high = twisted
    return (mean, spread, low, high) if sign > 0 else (-mean, spread, -high, -low)


def _walls(value: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Excess over a range in units of `WALL_rad` with its sign, and whether there is any (1 or 0)."""
    excess = torch.where(value > high, value - high, torch.where(value < low, value - low, torch.zeros_like(value)))
    return excess / WALL_rad, (excess != 0).to(value.dtype)


def _log_by_turn(vector: Tensor) -> Tensor:
    """Derivative of the axis-angle vector by a small turn applied after it: the inverse left Jacobian of SO(3)."""
    angle = torch.linalg.vector_norm(vector, dim=-1)[..., None, None]
    small = angle < 1e-3
    safe = torch.where(small, torch.ones_like(angle), angle).clamp_max(3.1)
    factor = torch.where(
        small, torch.full_like(angle, 1 / 12), 1 / safe**2 - (1 + torch.cos(safe)) / (2 * safe * torch.sin(safe))
    )
    cross = skew(vector)
    return torch.eye(3, dtype=vector.dtype) - 0.5 * cross + factor * (cross @ cross)
