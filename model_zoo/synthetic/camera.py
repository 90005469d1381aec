"""Pinhole cameras in a world whose y axis points up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """One camera over a clip.

    Attributes:
        height: Rows, px.
        width: Columns, px.
        intrinsics: Shape (3, 3), px; image origin at the centre of the top-left pixel.
        world_from_camera: Shape (T, 4, 4), m.
    """

    height: int
    width: int
    intrinsics: np.ndarray
    world_from_camera: np.ndarray

    def scaled(self, height: int, width: int) -> Camera:
        """The same view at another size."""
        sx, sy = width / self.width, height / self.height
        # Pixel edges, not pixel centres, keep their place: u' + 1/2 = s (u + 1/2).
        scale = np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5], [0.0, 0.0, 1.0]])
        return Camera(height, width, scale @ self.intrinsics, self.world_from_camera)

    def is_still(self) -> bool:
        """Whether the camera does not move."""
        return bool((self.world_from_camera == self.world_from_camera[:1]).all())


def intrinsics(height: int, width: int, focal_px: float) -> np.ndarray:
    """Pinhole camera with the principal point in the middle of the image, shape (3, 3), px."""
    return np.array([[focal_px, 0.0, 0.5 * (width - 1)], [0.0, focal_px, 0.5 * (height - 1)], [0.0, 0.0, 1.0]])


def look_at(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`world_from_camera` of level cameras that look at points.

    Args:
        position: Shape (..., 3), m, world.
        target: Shape (..., 3), m, world; not straight above or below the camera.

    Returns:
        Shape (..., 4, 4).
    """
    position, target = np.broadcast_arrays(np.asarray(position, np.float64), np.asarray(target, np.float64))
    forward = target - position
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    pose = np.zeros((*position.shape[:-1], 4, 4))
    pose[..., :3, 0], pose[..., :3, 1], pose[..., :3, 2] = right, np.cross(forward, right), forward
    pose[..., :3, 3], pose[..., 3, 3] = position, 1.0
    return pose


def to_camera(points: np.ndarray, world_from_camera: np.ndarray) -> np.ndarray:
    """Points in a camera's frame.

    Args:
        points: Shape (..., 3), m, world.
        world_from_camera: Shape (4, 4).

    Returns:
        Shape (..., 3), m, camera frame.
    """
    return (points - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]


def project(points_camera: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Pixels (..., 2) of points (..., 3) in the camera frame, in front of the camera."""
    homogeneous = points_camera @ intrinsics.T
    return homogeneous[..., :2] / homogeneous[..., 2:]
