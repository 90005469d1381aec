"""Pictures to latents and back by a shared autoencoder, and the spatial code made of scene and occluders."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor, nn

from model_zoo.diffusion.config import LATENT_CHANNELS, MimoConfig

_FRAMES_AT_ONCE = 16


class Latents(nn.Module):
    """Autoencoder of pictures with the shift and scale that give latents mean 0 and variance 1.

    Kinds are `latents_patch` and `latents_kl`; each says how pictures are encoded and decoded, and what it learns from.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self) -> None:
        """Make the buffers; shift 0 and scale 1 until they are measured or loaded."""
        super().__init__()
        self.register_buffer("shift", torch.zeros(LATENT_CHANNELS))
        self.register_buffer("scale", torch.ones(LATENT_CHANNELS))

    def raw_latents(self, pictures: Tensor) -> Tensor:
        """Latents (N, 4, h, w) of pictures (N, 3, H, W), before shift and scale."""
        raise NotImplementedError

    def raw_pictures(self, latents: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) of latents (N, 4, h, w) without shift and scale; may go beyond -1 to 1."""
        raise NotImplementedError

    def prepare(self, pictures: Tensor) -> None:
        """Look at pictures (N, 3, H, W), -1 to 1, before the autoencoder is trained."""

    def settle(self, pictures: Tensor) -> None:
        """Look at pictures (N, 3, H, W), -1 to 1, after the autoencoder was trained."""

    def objective(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """What training makes small, a scalar, for pictures (N, 3, H, W), -1 to 1."""
        raise NotImplementedError

    def encode(self, video: Tensor) -> Tensor:
        """Latents of a video, in full precision: the same whether they are made in a step or were kept before.

        Args:
            video: Shape (B, 3, T, H, W), -1 to 1.

        Returns:
            Shape (B, 4, T, h, w).
        """
        batch, _, frames = video.shape[:3]
        pictures = video.transpose(1, 2).flatten(0, 1)
        with torch.autocast(video.device.type, enabled=False):
            raw = torch.cat([self.raw_latents(part) for part in pictures.split(_FRAMES_AT_ONCE)])
        scaled = (raw - self.shift[:, None, None]) * self.scale[:, None, None]
        return scaled.unflatten(0, (batch, frames)).transpose(1, 2)

    def decode(self, latents: Tensor) -> Tensor:
        """Video of latents.

        Args:
            latents: Shape (B, 4, T, h, w).

        Returns:
            Shape (B, 3, T, H, W), -1 to 1.
        """
        batch, _, frames = latents.shape[:3]
        raw = latents.transpose(1, 2).flatten(0, 1) / self.scale[:, None, None] + self.shift[:, None, None]
        pictures = torch.cat([self.raw_pictures(part) for part in raw.split(_FRAMES_AT_ONCE)])
        return pictures.clamp(-1, 1).unflatten(0, (batch, frames)).transpose(1, 2)

    @torch.no_grad()
    def measure(self, pictures: Tensor) -> None:
        """Set shift and scale from pictures of shape (N, 3, H, W), -1 to 1."""
        raw = torch.cat([self.raw_latents(part) for part in pictures.split(_FRAMES_AT_ONCE)])
        self.shift.copy_(raw.mean((0, 2, 3)))
        self.scale.copy_(1 / raw.std((0, 2, 3)).clamp(min=1e-4))


def build(config: MimoConfig) -> Latents:
    """The autoencoder a configuration names, with random weights."""
    return importlib.import_module(f"model_zoo.diffusion.latents_{config.autoencoder}").Autoencoder(config)


class SceneOcclusionEncoder(nn.Module):
    """Spatial code: the shared autoencoder on the scene and on the occluder layer, concatenated."""

    def __init__(self, latents: Latents) -> None:
        """Share an autoencoder (not registered here: it belongs to the whole model)."""
        super().__init__()
        self._shared = (latents,)

    def forward(self, scene: Tensor, occluder: Tensor) -> Tensor:
        """Encode both layers.

        Args:
            scene: Shape (B, 3, T, H, W), -1 to 1.
            occluder: Same shape; black (-1) where nothing occludes.

        Returns:
            Shape (B, 8, T, h, w).
        """
        (latents,) = self._shared
        return torch.cat([latents.encode(scene), latents.encode(occluder)], 1)
