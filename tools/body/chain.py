"""Points carried by the body's joints, posed for all frames at once together with their derivatives.

Shapes: T time, J 24 joints, F free joints, P points, B betas, N = 3 + 3 F unknowns of a frame (translation, then a
small rotation of each free joint).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model_zoo.body.skeleton import PARENTS

# The toes and the fingers' bases turn too little to be seen in body keypoints; they stay as in the rest pose.
FREE_JOINTS = tuple(j for j in range(24) if j not in (10, 11, 22, 23))
NUM_UNKNOWNS = 3 + 3 * len(FREE_JOINTS)


def _ancestors() -> Tensor:
    """Whether joint i of the free ones moves joint k (its descendants and itself), shape (F, J)."""
    moves = torch.zeros(24, 24, dtype=torch.float64)
    for joint in range(24):
        k = joint
        while k >= 0:
            moves[k, joint] = 1.0
            k = PARENTS[k]
    return moves[list(FREE_JOINTS)]


_MOVES_FJ = _ancestors()


@dataclass(frozen=True)
class State:
    """Unknowns of a clip.

    Attributes:
        rotations_TJ33: Rotation of each joint relative to its parent; of joint 0 relative to the camera.
        transl_T3: m, camera frame, SMPL's convention (added after the turn about the pelvis).
        betas_B: Shape coefficients of the whole clip.
    """

    rotations_TJ33: Tensor
    transl_T3: Tensor
    betas_B: Tensor

    def moved(self, step_TN: Tensor, step_B: Tensor) -> State:
        """Apply a step of the solver: each rotation becomes `exp(step) rotation`."""
        from_step = exponential(step_TN[:, 3:].unflatten(1, (-1, 3)))
        rotations = self.rotations_TJ33.clone()
        free = list(FREE_JOINTS)
        rotations[:, free] = from_step @ rotations[:, free]
        return State(rotations, self.transl_T3 + step_TN[:, :3], self.betas_B + step_B)


class Carried:
    """Points fixed to the body, described by their rest position, change with shape, and skinning weights."""

    def __init__(
        self, rest_P3: Tensor, shape_P3B: Tensor, weights_PJ: Tensor, joints_J3: Tensor, joints_shape_J3B: Tensor
    ) -> None:
        """Take what `PosedPoints` reduces a body to; units m."""
        self.rest_P3, self.shape_P3B, self.weights_PJ = rest_P3, shape_P3B, weights_PJ
        self.joints_J3, self.joints_shape_J3B = joints_J3, joints_shape_J3B
        self.moves_PF = weights_PJ @ _MOVES_FJ.T

    def first(self, count: int) -> Carried:
        """Only the first points."""
        return Carried(
            self.rest_P3[:count],
            self.shape_P3B[:count],
            self.weights_PJ[:count],
            self.joints_J3,
            self.joints_shape_J3B,
        )

    def posed(self, state: State) -> Posed:
        """Pose the points."""
        joints_J3 = self.joints_J3 + self.joints_shape_J3B @ state.betas_B
        rest_P3 = self.rest_P3 + self.shape_P3B @ state.betas_B
        global_TJ33, local_J3 = _global_rotations(state.rotations_TJ33), _offsets(joints_J3)
        positions_TJ3 = _positions(global_TJ33, local_J3[..., None])[..., 0] + state.transl_T3[:, None]
        relative_PJ3 = rest_P3[:, None] - joints_J3[None]
        moved = torch.einsum("tjab,pjb->tpja", global_TJ33, relative_PJ3) + positions_TJ3[:, None]
        parts_TPJ3 = moved * self.weights_PJ[..., None]
        return Posed(self, parts_TPJ3.sum(2), parts_TPJ3, global_TJ33, positions_TJ3)


@dataclass(frozen=True)
class Posed:
    """Posed points (T, P, 3), m, camera frame, and what their derivatives need."""

    carried: Carried
    points_TP3: Tensor
    parts_TPJ3: Tensor
    global_TJ33: Tensor
    positions_TJ3: Tensor

    def by_unknowns(self) -> Tensor:
        """Derivative by the unknowns of the same frame, shape (T, P, 3, N).

        A small turn about world axis w of joint i moves a point by `w x q`, where q is the lever arm of the share of
        the point that the joint carries. The unknowns turn in the axes of the joint's parent.
        """
        num_frames, num_points = self.points_TP3.shape[:2]
        carried_TPF3 = torch.einsum("fj,tpjc->tpfc", _MOVES_FJ, self.parts_TPJ3)
        lever = carried_TPF3 - self.carried.moves_PF[..., None] * self.positions_TJ3[:, None, list(FREE_JOINTS)]
        parents = [PARENTS[j] for j in FREE_JOINTS]
        eye = torch.eye(3, dtype=lever.dtype).expand(num_frames, 1, 3, 3)
        axes_TF33 = torch.cat([eye, self.global_TJ33[:, parents[1:]]], 1)  # columns are the axes
        turned = torch.linalg.cross(axes_TF33.mT[:, None], lever[..., None, :])  # (T, P, F, axis, xyz)
        result = torch.empty(num_frames, num_points, 3, NUM_UNKNOWNS, dtype=lever.dtype)
        result[..., :3] = torch.eye(3, dtype=lever.dtype)
        result[..., 3:] = turned.permute(0, 1, 4, 2, 3).flatten(3)
        return result

    def by_betas(self) -> Tensor:
        """Derivative by the shape coefficients, shape (T, P, 3, B)."""
        c = self.carried
        shifts_TJ3B = _positions(self.global_TJ33, _offsets(c.joints_shape_J3B))
        relative_PJ3B = c.shape_P3B[:, None] - c.joints_shape_J3B[None]
        weighted = relative_PJ3B * c.weights_PJ[..., None, None]
        turned = torch.einsum("tjac,pjcb->tpab", self.global_TJ33, weighted)
        return turned + torch.einsum("pj,tjab->tpab", c.weights_PJ, shifts_TJ3B)


def _global_rotations(rotations_TJ33: Tensor) -> Tensor:
    chain = [rotations_TJ33[:, 0]]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        chain.append(chain[parent] @ rotations_TJ33[:, joint])
    return torch.stack(chain, 1)


def _offsets(joints: Tensor) -> Tensor:
    """Rest joints relative to their parents; any trailing axes."""
    offsets = joints.clone()
    offsets[1:] -= joints[list(PARENTS[1:])]
    return offsets


def _positions(global_TJ33: Tensor, offsets_J3X: Tensor) -> Tensor:
    """Add up turned offsets along the chain, shape (T, J, 3, X)."""
    chain = [offsets_J3X[0].expand(len(global_TJ33), *offsets_J3X.shape[1:])]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        chain.append(chain[parent] + global_TJ33[:, parent] @ offsets_J3X[joint])
    return torch.stack(chain, 1)


def exponential(vector: Tensor) -> Tensor:
    """Rotation matrices of axis-angle vectors (..., 3), exact at and near zero."""
    angle = torch.linalg.vector_norm(vector, dim=-1)[..., None, None]
    small = angle < 1e-6
    safe = torch.where(small, torch.ones_like(angle), angle)
    sine = torch.where(small, 1 - angle**2 / 6, torch.sin(safe) / safe)
    cosine = torch.where(small, 0.5 - angle**2 / 24, (1 - torch.cos(safe)) / safe**2)
    cross = skew(vector)
    return torch.eye(3, dtype=vector.dtype) + sine * cross + cosine * (cross @ cross)


def skew(vector: Tensor) -> Tensor:
    """Cross-product matrices of vectors (..., 3)."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
