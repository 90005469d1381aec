"""Cameras in a world whose y axis points up: pinholes, with the lens's radial distortion where there is one."""

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
        distortion: k1 and k2 of Brown and Conrady's model: a point at radius r, in focal lengths from the principal
            point, is seen at r (1 + k1 r^2 + k2 r^4) (Brown, Photogrammetric Engineering 1966).
    """

    height: int
    width: int
    intrinsics: np.ndarray
    world_from_camera: np.ndarray
    distortion: tuple[float, float] = (0.0, 0.0)

    def scaled(self, height: int, width: int) -> Camera:
        """The same view at another size."""
        sx, sy = width / self.width, height / self.height
        # Pixel edges, not pixel centres, keep their place: u' + 1/2 = s (u + 1/2).
        scale = np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5], [0.0, 0.0, 1.0]])
        return Camera(height, width, scale @ self.intrinsics, self.world_from_camera, self.distortion)

    @property
    def is_distorted(self) -> bool:
        """Whether straight lines are seen bent."""
        return self.distortion != (0.0, 0.0)

    def project(self, points_camera: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) where points (..., 3) in the camera frame and before the camera are seen."""
        pixels = project(points_camera, self.intrinsics)
        if not self.is_distorted:
            return pixels
        rays = _rays(pixels, self.intrinsics)
        # Past the radius where the model folds back, points go on straight outwards.
        radius = np.minimum(np.linalg.norm(rays, axis=-1, keepdims=True), _fold(self.distortion))
        return _pixels(rays * _factor(radius, self.distortion), self.intrinsics)

    def undistorted(self, pixels: np.ndarray) -> np.ndarray:
        """Where a pinhole would see what is seen at pixels (..., 2)."""
        rays = _rays(pixels, self.intrinsics)
        seen = np.linalg.norm(rays, axis=-1, keepdims=True)
        k1, k2 = self.distortion
        radius = seen.copy()
        for _ in range(_NEWTON):
            slope = 1.0 + 3.0 * k1 * radius**2 + 5.0 * k2 * radius**4
            radius = radius - (radius * _factor(radius, self.distortion) - seen) / np.maximum(slope, 0.05)
        return _pixels(rays * np.where(seen > 0, radius / np.maximum(seen, 1e-12), 1.0), self.intrinsics)

    def pinhole(self) -> Camera:
        """A camera without distortion, as large as needed to see all that this one sees; itself without one."""
        if not self.is_distorted:
            return self
        columns, rows = np.arange(-1, self.width + 1), np.arange(-1, self.height + 1)
        border = [(x, y) for x in columns for y in (rows[0], rows[-1])] + [
            (x, y) for x in (columns[0], columns[-1]) for y in rows
        ]
        seen = self.undistorted(np.array(border, np.float64))
        low, high = np.floor(seen.min(0)).astype(int) - 1, np.ceil(seen.max(0)).astype(int) + 1
        shifted = self.intrinsics.copy()
        shifted[:2, 2] -= low
        return Camera(int(high[1] - low[1] + 1), int(high[0] - low[0] + 1), shifted, self.world_from_camera)

    def lookup(self, pinhole: Camera) -> np.ndarray:
        """Pixels (H, W, 2) of `pinhole`, a camera at the same place, that show what this one's pixels show."""
        rows, columns = np.mgrid[: self.height, : self.width]
        rays = _rays(self.undistorted(np.stack([columns, rows], 2).astype(np.float64)), self.intrinsics)
        return _pixels(rays, pinhole.intrinsics)

    def faults(self) -> list[str]:
        """What makes the lens impossible, each in one line."""
        corners = np.array([[x, y] for x in (-0.5, self.width - 0.5) for y in (-0.5, self.height - 0.5)])
        farthest = float(np.linalg.norm(_rays(corners, self.intrinsics), axis=1).max())
        fold = _fold(self.distortion)
        if np.isfinite(fold) and fold * _factor(np.array(fold), self.distortion) <= 1.02 * farthest:
            return [f"k1, k2: are {self.distortion}, with which the picture folds before its corners"]
        return []

    def is_still(self) -> bool:
        """Whether the camera does not move."""
        return bool((self.world_from_camera == self.world_from_camera[:1]).all())


_NEWTON = 20  # steps; 8 leave less than 1e-9 px for lenses that do not fold


def _rays(pixels: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    return (pixels - intrinsics[:2, 2]) / np.array([intrinsics[0, 0], intrinsics[1, 1]])


def _pixels(rays: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    return rays * np.array([intrinsics[0, 0], intrinsics[1, 1]]) + intrinsics[:2, 2]


def _factor(radius: np.ndarray, distortion: tuple[float, float]) -> np.ndarray:
    return 1.0 + distortion[0] * radius**2 + distortion[1] * radius**4


def _fold(distortion: tuple[float, float]) -> float:
    """Radius from which on larger radii are seen nearer to the middle; infinite where there is none."""
    k1, k2 = distortion
    roots = np.roots([5.0 * k2, 3.0 * k1, 1.0]) if k2 else np.array([-1.0 / (3.0 * k1)] if k1 else [])
    squares = roots[np.isreal(roots)].real
    squares = squares[squares > 0]
    return float(np.sqrt(squares.min())) if len(squares) else np.inf


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
