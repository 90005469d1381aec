"""Pictures to latents and back by a shared autoencoder, and the spatial code made of scene and occluders."""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor, nn

from model_zoo.diffusion.config import LATENT_CHANNELS, MimoConfig

_FRAMES_AT_ONCE = 16


class Latents(nn.Module):
    """AutoencoderKL with the shift and scale that give latents mean 0 and variance 1 (0 and 0.18215 for SD's)."""

    def __init__(self, config: MimoConfig) -> None:
        """Build with random weights; `shift` and `scale` are 0 and 1 until they are measured or loaded."""
        super().__init__()
        levels = len(config.vae_channels)
        self.vae = AutoencoderKL(
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D",) * levels,
            up_block_types=("UpDecoderBlock2D",) * levels,
            block_out_channels=config.vae_channels,
            layers_per_block=config.vae_layers,
            latent_channels=LATENT_CHANNELS,
            norm_num_groups=config.vae_groups,
        )
        self.register_buffer("shift", torch.zeros(LATENT_CHANNELS))
        self.register_buffer("scale", torch.ones(LATENT_CHANNELS))

    def encode(self, video: Tensor) -> Tensor:
        """Latents (mean of the posterior).

        Args:
            video: Shape (B, 3, T, H, W), -1 to 1.

        Returns:
            Shape (B, 4, T, h, w).
        """
        batch, _, frames = video.shape[:3]
        pictures = video.transpose(1, 2).flatten(0, 1)
        means = torch.cat([self.vae.encode(part).latent_dist.mean for part in pictures.split(_FRAMES_AT_ONCE)])
        means = (means - self.shift[:, None, None]) * self.scale[:, None, None]
        return means.unflatten(0, (batch, frames)).transpose(1, 2)

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures.

        Args:
            latents: Shape (B, 4, T, h, w).

        Returns:
            Shape (B, 3, T, H, W), -1 to 1.
        """
        batch, _, frames = latents.shape[:3]
        means = latents.transpose(1, 2).flatten(0, 1) / self.scale[:, None, None] + self.shift[:, None, None]
        pictures = torch.cat([self.vae.decode(part).sample for part in means.split(_FRAMES_AT_ONCE)])
        return pictures.clamp(-1, 1).unflatten(0, (batch, frames)).transpose(1, 2)

    @torch.no_grad()
    def measure(self, pictures: Tensor) -> None:
        """Set shift and scale from pictures of shape (N, 3, H, W), -1 to 1."""
        means = torch.cat([self.vae.encode(part).latent_dist.mean for part in pictures.split(_FRAMES_AT_ONCE)])
        self.shift.copy_(means.mean((0, 2, 3)))
        self.scale.copy_(1 / means.std((0, 2, 3)).clamp(min=1e-4))


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
