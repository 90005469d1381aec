"""Rotations as axis-angle, matrix and six numbers, in torch (batched, differentiable).

Shapes: a leading `...` is any batch.
"""

import torch
from torch import Tensor


def matrix_from_axis_angle(axis_angle: Tensor) -> Tensor:
    """Rotation matrices by Rodrigues' formula, as SMPL and smplx define it.

    The angle is `norm(axis_angle + 1e-8)`, so the gradient is finite at no rotation (Loper et al. 2015,
    smplx.lbs).

    Args:
        axis_angle: Shape (..., 3), rad.

    Returns:
        Shape (..., 3, 3).
    """
    angle = torch.linalg.vector_norm(axis_angle + 1e-8, dim=-1, keepdim=True)
    x, y, z = (axis_angle / angle).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    angle = angle[..., None]
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return eye + torch.sin(angle) * cross + (1 - torch.cos(angle)) * (cross @ cross)


def axis_angle_from_matrix(matrix: Tensor) -> Tensor:
    """Axis-angle of rotation matrices, angle in [0, pi], through the quaternion of largest component.

    Args:
        matrix: Shape (..., 3, 3).

    Returns:
        Shape (..., 3), rad.
    """
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = matrix.flatten(-2).unbind(-1)
    # Each row is the quaternion (w, x, y, z) times four times one of its components (Shepperd 1978).
    candidates = torch.stack(
        [
            torch.stack([1 + m00 + m11 + m22, m21 - m12, m02 - m20, m10 - m01], -1),
            torch.stack([m21 - m12, 1 + m00 - m11 - m22, m10 + m01, m02 + m20], -1),
            torch.stack([m02 - m20, m10 + m01, 1 - m00 + m11 - m22, m21 + m12], -1),
            torch.stack([m10 - m01, m02 + m20, m21 + m12, 1 - m00 - m11 + m22], -1),
        ],
        dim=-2,
    )
    best = candidates.diagonal(dim1=-2, dim2=-1).argmax(-1)
    quaternion = candidates.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    quaternion = quaternion / torch.linalg.vector_norm(quaternion, dim=-1, keepdim=True)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, xyz = quaternion[..., 0], quaternion[..., 1:]
    squared = (xyz * xyz).sum(-1)
    small = squared < 1e-14
    sine = torch.sqrt(torch.where(small, torch.ones_like(squared), squared))
    scale = torch.where(small, torch.full_like(sine, 2.0), 2 * torch.atan2(sine, w) / sine)
    return xyz * scale[..., None]


def matrix_from_6d(six: Tensor) -> Tensor:
    """Rotation matrices from two columns made orthonormal by Gram-Schmidt (Zhou et al. 2019).

    Args:
        six: Shape (..., 6), first the first column, then the second; they must not be parallel.

    Returns:
        Shape (..., 3, 3).
    """
    first, second = six[..., :3], six[..., 3:]
    x = torch.nn.functional.normalize(first, dim=-1)
    y = torch.nn.functional.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def six_from_matrix(matrix: Tensor) -> Tensor:
    """First two columns of rotation matrices, shape (..., 6), the inverse of `matrix_from_6d`."""
    return torch.cat([matrix[..., 0], matrix[..., 1]], dim=-1)
