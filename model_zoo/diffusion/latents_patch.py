"""Autoencoder for runs without pretrained weights: principal components of patches, and a small decoder that refines.

From scratch, a small AutoencoderKL takes hundreds of steps to reach what the principal components of 4 x 4 patches
give at once (21 against 23 dB after 100 steps on a real clip), and fails on pictures unlike those it has seen (12
against 21 dB on other clips). So the encoder is linear and has a closed form, and only a correction of the linear
decoder is learned (28 dB after 100 steps).
"""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.vae import Decoder
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.diffusion.config import LATENT_CHANNELS, MimoConfig
from model_zoo.diffusion.latents import Latents

_NOISE = 0.1  # standard deviations of the latents


class Autoencoder(Latents):
    """z = P (x - mean) per patch; x = mean + P' z + decoder(z), with a decoder that starts at zero."""

    mean: Tensor
    components: Tensor

    def __init__(self, config: MimoConfig) -> None:
        """Build with random components; `prepare` finds the right ones."""
        super().__init__()
        self.side = config.vae_factor
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("components", torch.empty(LATENT_CHANNELS, 3, self.side, self.side))
        nn.init.orthogonal_(self.components)
        self.decoder = Decoder(
            in_channels=LATENT_CHANNELS,
            out_channels=3,
            up_block_types=("UpDecoderBlock2D",) * len(config.vae_channels),
            block_out_channels=config.vae_channels,
            layers_per_block=config.vae_layers,
            norm_num_groups=config.vae_groups,
        )
        nn.init.zeros_(self.decoder.conv_out.weight)
        nn.init.zeros_(self.decoder.conv_out.bias)

    @torch.no_grad()
    def prepare(self, pictures: Tensor) -> None:
        """Find the components, and the shift and scale of their coefficients."""
        self.mean.copy_(pictures.mean((0, 2, 3)))
        centred = pictures - self.mean[:, None, None]
        patches = functional.unfold(centred, self.side, stride=self.side).transpose(1, 2).flatten(0, 1).double()
        vectors = torch.linalg.eigh(patches.T @ patches).eigenvectors[:, -LATENT_CHANNELS:].flip(1)
        # The sign of an eigenvector is arbitrary: the largest entry is made positive, so that machines agree.
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        self.components.copy_((vectors * largest.sign()).T.reshape(self.components.shape))
        self.measure(pictures)

    def raw_latents(self, pictures: Tensor) -> Tensor:
        """See `Latents`."""
        return functional.conv2d(pictures - self.mean[:, None, None], self.components, stride=self.side)

    def raw_pictures(self, latents: Tensor) -> Tensor:
        """See `Latents`."""
        linear = functional.conv_transpose2d(latents, self.components, stride=self.side)
        scaled = (latents - self.shift[:, None, None]) * self.scale[:, None, None]
        return linear + self.mean[:, None, None] + self.decoder(scaled)

    def objective(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Mean absolute and mean squared error, from latents with a little noise: sampled ones are never clean."""
        clean = self.raw_latents(pictures)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        restored = self.raw_pictures(clean + _NOISE * noise / self.scale[:, None, None])
        return functional.l1_loss(restored, pictures) + functional.mse_loss(restored, pictures)
