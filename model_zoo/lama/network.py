"""One picture through LaMa (Suvorov et al., WACV 2022)."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from model_zoo.loading import torchscript
from model_zoo.loading.batches import FAILURES, is_out_of_memory

_MULTIPLE = 8  # to which both sides are padded


class Lama:
    """The network, loaded once. 32-bit floats only: its Fourier layers know no 16-bit ones on the processor."""

    def __init__(self, path: Path, device: torch.device) -> None:
        """Open a TorchScript file.

        Its `forward` maps an image (1, 3, H, W) in [0, 1] and a mask (1, 1, H, W), int64, to an image likewise.
        """
        self._network = torchscript.load(path, device)
        self._device = device
        self._path = path

    def __call__(self, rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """Paint the hole.

        Both sides are padded at the bottom and the right to a multiple of 8 by mirroring; the result is cut back,
        which the original does not do.

        Args:
            rgb: Shape (H, W, 3), uint8.
            hole: Shape (H, W), bool.

        Returns:
            Shape (H, W, 3), uint8: the network's whole picture, also outside the hole.

        Raises:
            ValueError: The network gives something else than a picture: it is another architecture.
            MemoryError: The picture is too large for the GPU.
        """
        height, width = hole.shape
        room = ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE))
        image = np.pad(rgb, (*room, (0, 0)), mode="symmetric").transpose(2, 0, 1).astype(np.float32) / 255
        mask = np.pad(hole, room, mode="symmetric").astype(np.int64)
        try:
            with torch.inference_mode(), warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                out = self._network(
                    torch.from_numpy(image)[None].to(self._device), torch.from_numpy(mask)[None, None].to(self._device)
                )
        except FAILURES as error:
            if is_out_of_memory(error):
                raise MemoryError(
                    f"LaMa needs more GPU memory for {width} x {height} px: choose a larger GPU class, or device cpu"
                ) from None
            raise ValueError(f"{self._path}: does not run as LaMa does: {str(error).strip()[-300:]}") from None
        if not isinstance(out, torch.Tensor) or tuple(out.shape) != (1, *image.shape):
            found = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise ValueError(f"{self._path}: gives {found}, expected {(1, *image.shape)}; it is not LaMa")
        painted = out[0].permute(1, 2, 0).float().cpu().numpy()[:height, :width]
        if not np.isfinite(painted).all():
            raise ValueError(f"{self._path}: gives values that are not finite")
        return np.clip(painted * 255, 0, 255).astype(np.uint8)
