"""Boxes about a body and where rays meet them (instant-nvr's rays, near and far)."""

from __future__ import annotations

import numpy as np

BOX_PADDING_M = 0.05


def padded_box(points: np.ndarray, padding_m: float = BOX_PADDING_M) -> np.ndarray:
    """Box of points with room on every side.

    Args:
        points: Shape (N, 3), m.
        padding_m: Room.

    Returns:
        Shape (2, 3), float32, m: lowest and highest corner, worked out in the points' own dtype.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    room = low.dtype.type(padding_m)
    return np.stack([low - room, high + room]).astype(np.float32)


def grid_box(origin: np.ndarray, shape: tuple[int, ...], voxel_m: float) -> np.ndarray:
    """Box that a stored grid really spans, from its first voxel to its last.

    Args:
        origin: Shape (3,), m, first voxel.
        shape: Voxels per axis, (X, Y, Z).
        voxel_m: Distance of neighbouring voxels.

    Returns:
        Shape (2, 3), float32, m.
    """
    origin = np.asarray(origin, np.float64)
    return np.stack([origin, origin + (np.array(shape[:3]) - 1) * voxel_m]).astype(np.float32)


def pixel_rays(
    height: int, width: int, intrinsics: np.ndarray, rotation: np.ndarray, translation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Origin and directions of the rays of all pixels; the pixel (x, y) is looked through at exactly (x, y).

    Args:
        height: px.
        width: px.
        intrinsics: Shape (3, 3), px.
        rotation: Shape (3, 3), camera from world.
        translation: Shape (3,) or (3, 1), m, camera from world.

    Returns:
        Origin, shape (3,), float32, m, world frame; unit directions, shape (H * W, 3), float32, row by row.
    """
    rotation, translation = np.asarray(rotation), np.asarray(translation).reshape(3)
    # In the dtype of the camera, as the original: which rays graze the box depends on the last bit.
    origin = -(rotation.T @ translation)
    pixels = np.empty((height, width, 3), np.float32)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = np.arange(width), np.arange(height)[:, None], 1
    directions = np.dot(np.dot(pixels, np.linalg.inv(intrinsics).T) - translation, rotation) - origin
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    return origin.astype(np.float32), directions.reshape(-1, 3).astype(np.float32)


def near_and_far(
    bounds: np.ndarray, origin: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where rays from one point enter and leave a box.

    Directions are normalised; a component in (-1e-10, 1e-5) becomes 1e-5, then one in (-1e-5, 1e-10) becomes -1e-5.

    Args:
        bounds: Shape (2, 3), m.
        origin: Shape (3,), m.
        directions: Shape (N, 3).

    Returns:
        Entry and exit of the rays that hit, shape (n,), m, not clamped at 0; and which rays hit, shape (N,), bool.
    """
    length = np.linalg.norm(directions, axis=1, keepdims=True)
    unit = directions / length
    unit[(unit < 1e-5) & (unit > -1e-10)] = 1e-5
    unit[(unit > -1e-5) & (unit < 1e-10)] = -1e-5
    first, second = (bounds[0] - origin) / unit, (bounds[1] - origin) / unit
    near, far = np.minimum(first, second).max(axis=1), np.maximum(first, second).min(axis=1)
    hit = near < far
    return near[hit] / length[hit, 0], far[hit] / length[hit, 0], hit
