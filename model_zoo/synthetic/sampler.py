"""From a pinhole's finer picture to the pixels of a camera whose lens bends: the nearest one, without mixing values."""

from __future__ import annotations

import numpy as np

from model_zoo.synthetic.camera import Camera

_FINER = 2  # samples along each side of a pixel, so that none is more than a quarter of a pixel off


class Sampler:
    """Picks what the pixels of a camera show from rasters of `camera`, a pinhole.

    Attributes:
        camera: The pinhole at the same place; the camera itself where it does not bend.
    """

    def __init__(self, camera: Camera) -> None:
        """Work out where every pixel looks."""
        self.camera = camera
        self._at: tuple[np.ndarray, np.ndarray] | None = None
        if camera.is_distorted:
            k = np.diag([_FINER, _FINER, 1.0]) @ camera.intrinsics  # every so many pixels, centres coincide
            size = (_FINER * (camera.height - 1) + 1, _FINER * (camera.width - 1) + 1)
            self.camera = Camera(*size, k, camera.world_from_camera, camera.distortion).pinhole()
            column, row = np.rint(np.moveaxis(camera.lookup(self.camera), 2, 0)).astype(np.intp)
            self._at = np.clip(row, 0, self.camera.height - 1), np.clip(column, 0, self.camera.width - 1)

    def __call__(self, raster: np.ndarray) -> np.ndarray:
        """Raster (h, w, ...) of the pinhole at the camera's pixels, (H, W, ...), a fresh array."""
        return raster.copy() if self._at is None else raster[self._at]
