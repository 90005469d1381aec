"""The parts of a model that no training changes: the pretrained autoencoder and CLIP's vision tower."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from model_zoo.diffusion import pretrained
from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.latents import build
from model_zoo.diffusion.tower_clip import Tower

PARTS = ("vae", "clip")  # of the pretrained files


class _Identity(nn.Module):
    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.tower = tower


class FrozenParts(nn.Module):
    """Autoencoder and tower under the names they have in `MimoModel`, without the rest of it."""

    def __init__(self, config: MimoConfig, files: Mapping[str, Path]) -> None:
        """Build and load.

        Args:
            config: Of the model; `autoencoder` is "kl" and `clip` is given.
            files: Safetensors of the parts "vae" and "clip".

        Raises:
            ValueError: A file does not fit.
        """
        super().__init__()
        self.latents = build(config)
        self.identity = _Identity(Tower(config))
        pretrained.load(self, {part: files[part] for part in PARTS})
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def latents_of(self, video: Tensor) -> Tensor:
        """Latents (4, T, h, w) of a video (3, T, H, W), -1 to 1, float32."""
        return self.latents.encode(video[None])[0].float()

    @torch.no_grad()
    def embedding_of(self, picture: Tensor) -> Tensor:
        """CLIP's embedding (512,) of a picture (3, S, S), -1 to 1, float32."""
        embedding: Tensor = self.identity.tower(picture[None])[0].float()
        return embedding
