"""Autoencoder of Stable Diffusion's kind (diffusers' AutoencoderKL), pretrained or from scratch."""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from model_zoo.diffusion.config import LATENT_CHANNELS, MimoConfig
from model_zoo.diffusion.latents import Latents

_KL_WEIGHT = 1e-6  # of Stable Diffusion's autoencoder (Rombach et al., CVPR 2022)


class Autoencoder(Latents):
    """AutoencoderKL; latents are the mean of the posterior. With SD's weights shift is 0 and scale 0.18215."""

    def __init__(self, config: MimoConfig) -> None:
        """Build with random weights."""
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

    def raw_latents(self, pictures: Tensor) -> Tensor:
        """See `Latents`."""
        return self.vae.encode(pictures).latent_dist.mean

    def raw_pictures(self, latents: Tensor) -> Tensor:
        """See `Latents`."""
        return self.vae.decode(latents).sample

    def settle(self, pictures: Tensor) -> None:
        """Measure shift and scale of the trained encoder."""
        self.measure(pictures)

    def objective(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Mean absolute error and a little of the posterior's divergence."""
        posterior = self.vae.encode(pictures).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(pictures.device)
        restored = self.vae.decode(posterior.mean + posterior.std * noise).sample
        return functional.l1_loss(restored, pictures) + _KL_WEIGHT * posterior.kl().mean()
