"""Soft shadows on the ground: what stands on it, seen from a few points of a light that is not a point."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from model_zoo.raster.zbuffer import Rasterizer
from model_zoo.synthetic.scenes import Light

_CELLS = 192
_EXTENT = 5.0  # m, side of the map
_SPOTS = ((1.0, 0.0), (-0.5, 0.87), (-0.5, -0.87))  # of the light's disc


class GroundShadow:
    """Makes the shadow map of a frame."""

    cell = _EXTENT / _CELLS

    def __init__(self, light: Light) -> None:
        """Take the light."""
        self._rasterizer = Rasterizer(_CELLS, _CELLS)
        aside = np.cross(light.direction, [0.0, 1.0, 0.0])
        aside /= np.linalg.norm(aside)
        other = np.cross(light.direction, aside)
        self._directions = [light.direction + light.softness * 0.7 * (a * aside + b * other) for a, b in _SPOTS]

    def __call__(self, vertices: np.ndarray, faces: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Shadow map around a place.

        Args:
            vertices: Shape (V, 3), m, world.
            faces: Shape (F, 3).
            middle: x and z in the middle of the map, m.

        Returns:
            Shape (N, N, 2) float32 over z and x, shares of the far light and of the sky kept off; then world x and z
            of the middle of its first cell.
        """
        low_x, low_z = (float(value) - 0.5 * _EXTENT for value in middle)
        out = np.zeros((_CELLS, _CELLS, 2), np.float32)
        for direction in self._directions:
            out[:, :, 0] += self._covered(vertices, faces, direction, low_x, low_z)
        out[:, :, 0] = gaussian_filter(out[:, :, 0] / len(self._directions), 0.9)
        above = self._covered(vertices * [1.0, 0.6, 1.0], faces, np.array([0.0, 1.0, 0.0]), low_x, low_z)
        out[:, :, 1] = np.minimum(0.75 * gaussian_filter(above, 5.0) + 0.25 * gaussian_filter(above, 1.5), 0.85)
        return out, low_x, low_z

    def _covered(
        self, vertices: np.ndarray, faces: np.ndarray, direction: np.ndarray, low_x: float, low_z: float
    ) -> np.ndarray:
        """Cells (N, N) float32 in the shadow of a light that is a point."""
        fallen = vertices - np.maximum(vertices[:, 1:2], 0.0) * (direction / direction[1])
        flat = np.stack(
            [(fallen[:, 0] - low_x) / self.cell, (fallen[:, 2] - low_z) / self.cell, np.ones(len(fallen))], 1
        )
        return (self._rasterizer(flat, faces, np.eye(3)).face_index >= 0).astype(np.float32)
