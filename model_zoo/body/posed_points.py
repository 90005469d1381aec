"""Few points of a body posed fast, with derivatives by hand: what a fit to keypoints evaluates thousands of times.

EasyMocap's convention: the first rotation turns the body about the origin, not about its pelvis.

Shapes: T time, J joints, K points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor


class _Pose(torch.autograd.Function):
    """`pose_points` with its derivative by rotations and points."""

    @staticmethod
    def forward(
        ctx: Any, rotations: Tensor, points: Tensor, weights: Tensor, joints: Tensor, parents: Tensor
    ) -> Tensor:
        arrays = [tensor.detach().contiguous().numpy() for tensor in (rotations, points, weights, joints, parents)]
        turned, placed, posed = _forward(*arrays)
        ctx.arrays = (*arrays, turned, placed)
        return torch.from_numpy(posed)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        by_rotations, by_points = _backward(gradient.contiguous().numpy(), *ctx.arrays[:6])
        return torch.from_numpy(by_rotations), torch.from_numpy(by_points), None, None, None


def pose_points(
    rotations_TJ33: Tensor, points_TK3: Tensor, weights_KJ: Tensor, joints_J3: Tensor, parents_J: Tensor
) -> Tensor:
    """Points skinned along a kinematic chain.

    Args:
        rotations_TJ33: Rotation of each joint relative to its parent, float64; the first one about the origin.
        points_TK3: Rest points, m, float64.
        weights_KJ: Their skinning weights, float64.
        joints_J3: Rest joints, m, float64.
        parents_J: int64; a parent comes before its children, the first joint's own is not read.

    Returns:
        Shape (T, K, 3), m; differentiable by rotations and points.
    """
    return _Pose.apply(rotations_TJ33, points_TK3, weights_KJ, joints_J3, parents_J)


class _Turn(torch.autograd.Function):
    """Rodrigues' formula with its derivative."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        ctx.vectors = vectors.detach().contiguous().numpy()
        return torch.from_numpy(_turn(ctx.vectors.reshape(-1, 3)).reshape(*vectors.shape, 3))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        by_matrices = gradient.contiguous().numpy().reshape(-1, 3, 3)
        return torch.from_numpy(_turn_backward(by_matrices, ctx.vectors.reshape(-1, 3)).reshape(ctx.vectors.shape))


def rotations(vectors: Tensor) -> Tensor:
    """As `rotation.matrix_from_axis_angle`, in one step.

    Args:
        vectors: Shape (..., 3), rad, float64.

    Returns:
        Shape (..., 3, 3); differentiable.
    """
    return _Turn.apply(vectors)


@njit(cache=True, nogil=True)
def _axis(vector):
    """Angle, norm(v + 1e-8), and axis."""
    x, y, z = vector[0] + 1e-8, vector[1] + 1e-8, vector[2] + 1e-8
    angle = np.sqrt(x * x + y * y + z * z)
    return angle, vector[0] / angle, vector[1] / angle, vector[2] / angle


@njit(cache=True, nogil=True)
def _squared_cross(x, y, z, out):
    """Square of the cross-product matrix of an axis."""
    out[0, 0], out[1, 1], out[2, 2] = -y * y - z * z, -x * x - z * z, -x * x - y * y
    out[0, 1] = out[1, 0] = x * y
    out[0, 2] = out[2, 0] = x * z
    out[1, 2] = out[2, 1] = y * z


@njit(cache=True, nogil=True)
def _turn(vectors):
    matrices = np.empty((len(vectors), 3, 3))
    square = np.empty((3, 3))
    for n in range(len(vectors)):
        angle, x, y, z = _axis(vectors[n])
        sine, versine = np.sin(angle), 1 - np.cos(angle)
        _squared_cross(x, y, z, square)
        for a in range(3):
            for b in range(3):
                matrices[n, a, b] = versine * square[a, b]
            matrices[n, a, a] += 1
        matrices[n, 0, 1] -= sine * z
        matrices[n, 0, 2] += sine * y
        matrices[n, 1, 0] += sine * z
        matrices[n, 1, 2] -= sine * x
        matrices[n, 2, 0] -= sine * y
        matrices[n, 2, 1] += sine * x
    return matrices


@njit(cache=True, nogil=True)
def _turn_backward(gradient, vectors):
    out = np.empty((len(vectors), 3))
    square = np.empty((3, 3))
    by_axis = np.empty(3)
    for n in range(len(vectors)):
        g = gradient[n]
        angle, x, y, z = _axis(vectors[n])
        sine, cosine = np.sin(angle), np.cos(angle)
        versine = 1 - cosine
        _squared_cross(x, y, z, square)
        # Odd part of the gradient, against the cross-product matrix.
        u, v, w = g[2, 1] - g[1, 2], g[0, 2] - g[2, 0], g[1, 0] - g[0, 1]
        by_angle = cosine * (u * x + v * y + w * z)
        for a in range(3):
            for b in range(3):
                by_angle += sine * g[a, b] * square[a, b]
        # The square is axis axis^T - |axis|^2 I.
        trace = g[0, 0] + g[1, 1] + g[2, 2]
        xy, xz, yz = g[0, 1] + g[1, 0], g[0, 2] + g[2, 0], g[1, 2] + g[2, 1]
        by_axis[0] = sine * u + versine * (2 * (g[0, 0] - trace) * x + xy * y + xz * z)
        by_axis[1] = sine * v + versine * (xy * x + 2 * (g[1, 1] - trace) * y + yz * z)
        by_axis[2] = sine * w + versine * (xz * x + yz * y + 2 * (g[2, 2] - trace) * z)
        along = by_angle - (by_axis[0] * x + by_axis[1] * y + by_axis[2] * z) / angle
        for a in range(3):
            out[n, a] = by_axis[a] / angle + along * (vectors[n, a] + 1e-8) / angle
    return out


@njit(cache=True, nogil=True)
def _forward(rotations, points, weights, joints, parents):
    frames, num_points, num_joints = len(rotations), points.shape[1], len(joints)
    turned = np.empty((frames, num_joints, 3, 3))
    placed = np.empty((frames, num_joints, 3))
    posed = np.zeros((frames, num_points, 3))
    for t in range(frames):
        turned[t, 0] = rotations[t, 0]
        for a in range(3):
            placed[t, 0, a] = (
                rotations[t, 0, a, 0] * joints[0, 0]
                + rotations[t, 0, a, 1] * joints[0, 1]
                + rotations[t, 0, a, 2] * joints[0, 2]
            )
        for j in range(1, num_joints):
            p = parents[j]
            for a in range(3):
                at = placed[t, p, a]
                for b in range(3):
                    at += turned[t, p, a, b] * (joints[j, b] - joints[p, b])
                    total = 0.0
                    for c in range(3):
                        total += turned[t, p, a, c] * rotations[t, j, c, b]
                    turned[t, j, a, b] = total
                placed[t, j, a] = at
        for k in range(num_points):
            for j in range(num_joints):
                w = weights[k, j]
                if w == 0.0:
                    continue
                for a in range(3):
                    at = placed[t, j, a]
                    for b in range(3):
                        at += turned[t, j, a, b] * (points[t, k, b] - joints[j, b])
                    posed[t, k, a] += w * at
    return turned, placed, posed


@njit(cache=True, nogil=True)
def _backward(gradient, rotations, points, weights, joints, parents, turned):
    frames, num_points, num_joints = len(rotations), points.shape[1], len(joints)
    by_rotations = np.empty((frames, num_joints, 3, 3))
    by_points = np.zeros((frames, num_points, 3))
    by_turned = np.empty((num_joints, 3, 3))
    by_placed = np.empty((num_joints, 3))
    for t in range(frames):
        by_turned[:] = 0.0
        by_placed[:] = 0.0
        for k in range(num_points):
            for j in range(num_joints):
                w = weights[k, j]
                if w == 0.0:
                    continue
                for a in range(3):
                    g = w * gradient[t, k, a]
                    by_placed[j, a] += g
                    for b in range(3):
                        by_turned[j, a, b] += g * (points[t, k, b] - joints[j, b])
                        by_points[t, k, b] += g * turned[t, j, a, b]
        for j in range(num_joints - 1, 0, -1):
            p = parents[j]
            for a in range(3):
                by_placed[p, a] += by_placed[j, a]
                for b in range(3):
                    own, above = 0.0, by_placed[j, a] * (joints[j, b] - joints[p, b])
                    for c in range(3):
                        own += turned[t, p, c, a] * by_turned[j, c, b]
                        above += by_turned[j, a, c] * rotations[t, j, b, c]
                    by_rotations[t, j, a, b] = own
                    by_turned[p, a, b] += above
        for a in range(3):
            for b in range(3):
                by_rotations[t, 0, a, b] = by_turned[0, a, b] + by_placed[0, a] * joints[0, b]
    return by_rotations, by_points
