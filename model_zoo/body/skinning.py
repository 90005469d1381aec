"""Kinematic chain and linear blend skinning in torch, batched over time and differentiable.

Shapes: T time, J joints, V vertices (or points that are skinned like vertices), B betas.
"""

import functools

import torch
from torch import Tensor


def kinematics(rotations_TJ33: Tensor, joints_J3: Tensor, parents: tuple[int, ...]) -> Tensor:
    """Pose of every joint in the body's frame.

    `G_k = G_parent * [R_k, J_k - J_parent]` (Loper et al. 2015), worked out level by level.

    Args:
        rotations_TJ33: Rotation of each joint relative to its parent.
        joints_J3: Rest joints, m; shape (J, 3), or (T, J, 3) for a shape per frame.
        parents: Parent of each joint, -1 for the root; a parent comes before its children.

    Returns:
        `world_from_joint`, shape (T, J, 4, 4), before the translation of the body.
    """
    joints_TJ3 = joints_J3.expand(*rotations_TJ33.shape[:2], 3)
    offset_TJ3 = joints_TJ3 - joints_TJ3[:, [max(p, 0) for p in parents]]
    rotation, position = rotations_TJ33[:, :1], joints_TJ3[:, :1]
    order = [0]
    for level in _levels(parents):
        above = [order.index(parents[joint]) for joint in level]
        turned = rotation[:, above]
        position = torch.cat([position, position[:, above] + (turned @ offset_TJ3[:, level, :, None])[..., 0]], 1)
        rotation = torch.cat([rotation, turned @ rotations_TJ33[:, level]], 1)
        order += level
    back = [order.index(joint) for joint in range(len(parents))]
    return _homogeneous(rotation[:, back], position[:, back])


@functools.cache
def _levels(parents: tuple[int, ...]) -> list[list[int]]:
    """Joints below the root, grouped by depth."""
    depth = [0] * len(parents)
    for joint, parent in enumerate(parents[1:], start=1):
        depth[joint] = depth[parent] + 1
    return [[j for j, d in enumerate(depth) if d == level] for level in range(1, max(depth) + 1)]


def posed_from_rest(world_from_joint_TJ44: Tensor, joints_J3: Tensor) -> Tensor:
    """Transforms that take rest points to posed points: the matrices that skinning blends.

    Args:
        world_from_joint_TJ44: From `kinematics`.
        joints_J3: Rest joints, m; shape (J, 3) or (T, J, 3).

    Returns:
        Shape (T, J, 4, 4); EasyMocap and instant-nvr call them `A`.
    """
    rotation = world_from_joint_TJ44[..., :3, :3]
    shift = world_from_joint_TJ44[..., :3, 3] - (rotation @ joints_J3[..., None])[..., 0]
    return _homogeneous(rotation, shift)


def skin(points_TV3: Tensor, weights_VJ: Tensor, posed_from_rest_TJ44: Tensor) -> Tensor:
    """Linear blend skinning.

    Args:
        points_TV3: Rest points, m; shape (V, 3) or (T, V, 3).
        weights_VJ: Skinning weights, rows sum to one.
        posed_from_rest_TJ44: From `posed_from_rest`.

    Returns:
        Posed points, shape (T, V, 3), m.
    """
    blend_TV34 = torch.einsum("vj,tjkl->tvkl", weights_VJ, posed_from_rest_TJ44[:, :, :3])
    return (blend_TV34[..., :3] @ points_TV3[..., None])[..., 0] + blend_TV34[..., 3]


def _homogeneous(rotation: Tensor, translation: Tensor) -> Tensor:
    bottom = torch.zeros_like(rotation[..., :1, :])
    return torch.cat(
        [
            torch.cat([rotation, translation[..., None]], -1),
            torch.cat([bottom, torch.ones_like(bottom[..., :1])], -1),
        ],
        -2,
    )
