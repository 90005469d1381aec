"""Structured motion code (MIMO section 3.2): learned codes on the body's vertices, drawn and convolved in 3D."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model_zoo.diffusion.config import GLOBAL_SIZE, MimoConfig
from model_zoo.diffusion.rasterize import DifferentiableRasterizer
from model_zoo.diffusion.temporal import TemporalAttentionLayer
from model_zoo.diffusion.windows import windows

_HEAD_CHANNELS = 8


class StructuredMotionEncoder(nn.Module):
    """Vertices to a feature map of the latent's size, and to one vector per frame.

    The map goes through a last layer that starts at zero: a fresh encoder leaves the denoiser as it was.
    """

    def __init__(self, config: MimoConfig) -> None:
        """Build for a configuration; `num_vertices` and `code_dim` fix the codes."""
        super().__init__()
        self.codes = nn.Parameter(torch.randn(config.num_vertices, config.code_dim) * config.code_dim**-0.5)
        self.frames = config.frames
        self.size, self.scale = config.motion_size, config.motion_scale
        layers: list[nn.Module] = []
        width, scale = config.code_dim + 2, config.motion_scale  # codes, mask, depth
        for channels in config.motion_channels:
            stride = 2 if scale > 1 else 1
            scale //= stride
            layers += [nn.Conv3d(width, channels, 3, stride=(1, stride, stride), padding=1), nn.SiLU()]
            width = channels
        if scale > 1:
            raise ValueError(
                f"motion_channels {config.motion_channels} has too few layers for scale {config.motion_scale}"
            )
        self.convolve = nn.Sequential(*layers)
        self.attend = TemporalAttentionLayer(width, _HEAD_CHANNELS, _HEAD_CHANNELS) if config.motion_temporal else None
        self.out = nn.Conv3d(width, config.unet_channels[0], 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.pool = nn.Linear(width, GLOBAL_SIZE)

    def raster(
        self, vertices: Tensor, faces: Tensor, intrinsics: Tensor, latent_size: tuple[int, int] | None = None
    ) -> Tensor:
        """Codes, mask and relative depth as pixels see them.

        Args:
            vertices: Shape (B, T, V, 3), m, camera frame.
            faces: Shape (F, 3), int64.
            intrinsics: Shape (B, T, 3, 3), px of the raster.
            latent_size: (h, w) of the latents; the raster is `motion_scale` times as large. None takes the
                configuration's.

        Returns:
            Shape (B, code_dim + 2, T, H, W). Depth is relative to the body's mean, m, 0 outside.
        """
        batch, frames = vertices.shape[:2]
        size = self.size if latent_size is None else (latent_size[0] * self.scale, latent_size[1] * self.scale)
        draw = DifferentiableRasterizer(size)
        features, mask, depth = draw(vertices.flatten(0, 1), faces, self.codes, intrinsics.flatten(0, 1))
        middle = vertices.flatten(0, 1)[..., 2].mean(1).reshape(-1, 1, 1, 1)
        drawn = torch.cat([features, mask.to(features.dtype), torch.where(mask, depth - middle, 0.0)], 1)
        return drawn.unflatten(0, (batch, frames)).transpose(1, 2)

    def forward(
        self, vertices: Tensor, faces: Tensor, intrinsics: Tensor, latent_size: tuple[int, int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode a motion; one longer than the model's window in overlapping windows, whose maps are averaged.

        Args:
            vertices: Shape (B, T, V, 3), m, camera frame.
            faces: Shape (F, 3), int64.
            intrinsics: Shape (B, T, 3, 3), px of the raster.
            latent_size: (h, w) of the latents; None takes the configuration's.

        Returns:
            map: Shape (B, C, T, h, w) with C the denoiser's first width, to be added to its input features.
            pooled: Shape (B, 512, T).
        """
        drawn = self.raster(vertices, faces, intrinsics, latent_size)
        if self.attend is None or drawn.shape[2] <= self.frames:
            return self._encoded(drawn)
        parts = windows(drawn.shape[2], self.frames)
        counts = drawn.new_zeros(drawn.shape[2])
        sums: list[Tensor] = []
        for part in parts:
            span = slice(part.start, part.stop)
            counts[span] += 1
            found = self._encoded(drawn[:, :, span])
            sums = sums or [one.new_zeros(*one.shape[:2], len(counts), *one.shape[3:]) for one in found]
            for total, one in zip(sums, found):
                total[:, :, span] += one
        return sums[0] / counts[:, None, None], sums[1] / counts

    def _encoded(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        features = self.convolve(drawn)
        if self.attend is not None:
            features = self.attend(features)
        return self.out(features), self.pool(features.mean((-2, -1)).transpose(1, 2)).transpose(1, 2)
