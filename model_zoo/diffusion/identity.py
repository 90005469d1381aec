"""Canonical identity code: a global token for cross-attention and reference features for self-attention."""

from __future__ import annotations

import importlib

from torch import Tensor, nn

from model_zoo.diffusion.config import GLOBAL_SIZE, MimoConfig
from model_zoo.diffusion.reference import Bank, ReferenceNet


class CanonicalIdentityEncoder(nn.Module):
    """A picture of the subject to a global token and to a bank of local features."""

    def __init__(self, config: MimoConfig) -> None:
        """Build for a configuration."""
        super().__init__()
        # By name, so that a model without CLIP does not import transformers' CLIP.
        kind = "clip" if config.clip else "convolutional"
        self.tower: nn.Module = importlib.import_module(f"model_zoo.diffusion.tower_{kind}").Tower(config)
        self.project = nn.Linear(GLOBAL_SIZE, config.cross_dim)
        self.norm = nn.LayerNorm(config.cross_dim)
        self.reference = ReferenceNet(config)

    def forward(self, picture: Tensor, latent: Tensor) -> tuple[Tensor, Tensor, Bank]:
        """Encode the identity.

        Args:
            picture: Shape (B, 3, H, W), -1 to 1, the subject on white.
            latent: Shape (B, 4, h, w), its latent.

        Returns:
            embedding: Shape (B, 512).
            token: Shape (B, 1, cross_dim), for cross-attention.
            bank: Local features, see `ReferenceNet`.
        """
        embedding = self.tower(picture)
        return embedding, *self.told(embedding, latent)

    def told(self, embedding: Tensor, latent: Tensor) -> tuple[Tensor, Bank]:
        """Token and bank, as of `forward`, of an embedding (B, 512) and a latent (B, 4, h, w)."""
        token = self.norm(self.project(embedding))[:, None]
        return token, self.reference(latent, token)
