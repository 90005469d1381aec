"""Attention over time for feature maps of a video."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_FRAMES = 32


def sinusoids(length: int, width: int) -> Tensor:
    """Position encoding of Vaswani et al. (NeurIPS 2017), shape (length, width)."""
    position = torch.arange(length, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10_000.0) / width))
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(position * rate)
    table[:, 1::2] = torch.cos(position * rate[: width // 2])
    return table


class TemporalAttentionLayer(nn.Module):
    """Every place of the map attends to itself at all times; starts as the identity.

    Normalise, attend over time with a position encoding, feed forward, project by a layer that starts at zero, add.
    """

    positions: Tensor

    def __init__(
        self, channels: int, num_head_channels: int, num_groups: int = 32, max_frames: int = MAX_FRAMES
    ) -> None:
        """Build the layer.

        Args:
            channels: C of the map; a multiple of both following numbers.
            num_head_channels: Channels of one attention head.
            num_groups: Groups of the normalisation.
            max_frames: Longest video the position encoding serves.
        """
        super().__init__()
        if channels % num_head_channels:
            raise ValueError(f"{channels} channels cannot be split into heads of {num_head_channels}")
        self.num_heads = channels // num_head_channels
        self.norm = nn.GroupNorm(num_groups, channels)
        self.norm_attention = nn.LayerNorm(channels)
        self.to_qkv = nn.Linear(channels, 3 * channels, bias=False)
        self.to_out = nn.Linear(channels, channels)
        self.norm_forward = nn.LayerNorm(channels)
        self.feed_forward = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )
        self.proj_out = nn.Linear(channels, channels)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)
        self.register_buffer("positions", sinusoids(max_frames, channels), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Attend over time.

        Args:
            features: Shape (B, C, F, H, W).

        Returns:
            Same shape.
        """
        batch, channels, frames, height, width = features.shape
        if frames > len(self.positions):
            raise ValueError(f"{frames} frames, the position encoding serves {len(self.positions)}")
        tokens = self.norm(features).permute(0, 3, 4, 2, 1).reshape(batch * height * width, frames, channels)
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.to_qkv(self.norm_attention(tokens) + self.positions[:frames]).chunk(3, -1)
        )
        attended = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.to_out(attended)
        tokens = tokens + self.feed_forward(self.norm_forward(tokens))
        change = self.proj_out(tokens).reshape(batch, height, width, frames, channels).permute(0, 4, 3, 1, 2)
        return features + change
