"""Global identity by a small convolutional network that needs no pretrained weights."""

from __future__ import annotations

from torch import Tensor, nn

from model_zoo.diffusion.config import GLOBAL_SIZE, MimoConfig

_CONVOLUTIONS = ((64, 7), (128, 3), (256, 3))  # width and kernel, each of stride 2 (johndpope/MIMO-hack)
_GROUPS = 8


class Tower(nn.Module):
    """Three convolutions, mean, projection."""

    def __init__(self, config: MimoConfig) -> None:
        """Build with random weights."""
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for channels, kernel in _CONVOLUTIONS:
            layers += [nn.Conv2d(width, channels, kernel, 2, kernel // 2), nn.GroupNorm(_GROUPS, channels), nn.SiLU()]
            width = channels
        self.layers = nn.Sequential(*layers)
        self.project = nn.Linear(width, GLOBAL_SIZE)

    def forward(self, picture: Tensor) -> Tensor:
        """Embed pictures (B, 3, H, W), -1 to 1, as (B, 512)."""
        return self.project(self.layers(picture).mean((-2, -1)))
