"""Global identity by CLIP's vision tower, frozen; its weights are loaded from a file."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

from model_zoo.diffusion.config import GLOBAL_SIZE, MimoConfig

_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of the pictures CLIP was trained on (Radford et al., ICML 2021)
_STD = (0.26862954, 0.26130258, 0.27577711)


class Tower(nn.Module):
    """CLIP's vision tower with projection; state-dict names below `model.` are those of transformers."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: MimoConfig) -> None:
        """Build with random weights."""
        super().__init__()
        width, layers, heads, patch, self.image = config.clip
        self.model = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=width,
                intermediate_size=4 * width,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                patch_size=patch,
                image_size=self.image,
                projection_dim=GLOBAL_SIZE,
            )
        )
        self.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_STD)[:, None, None], persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        """Embed pictures (B, 3, H, W), -1 to 1, as (B, 512), in full precision as kept embeddings have it."""
        with torch.autocast(picture.device.type, enabled=False):
            resized = functional.interpolate(picture, (self.image, self.image), mode="bicubic", antialias=True)
            return self.model(pixel_values=(resized / 2 + 0.5 - self.mean) / self.std).image_embeds
