"""Reference attention: features of an identity picture enter the denoiser's self-attention (MIMO, section 3.3)."""

from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.diffusion.config import LATENT_CHANNELS, MimoConfig

Bank = dict[str, Tensor]


class BankedAttention(nn.Module):
    """Attention processor that leaves its input in a bank, or attends to what lies there as well.

    The bank travels as an argument (`cross_attention_kwargs`), so that a module holds no state between calls and
    gradient checkpointing works. Cross-attention gets the argument too and does not touch the bank.
    """

    def __init__(self, key: str, write: bool) -> None:
        """Name the place in the bank; `write` for the reference network, otherwise read."""
        super().__init__()
        self.key, self.write = key, write
        self.is_self = key.endswith("attn1.processor")

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        bank: Bank | None = None,
        keep: Tensor | None = None,
    ) -> Tensor:
        """Attend.

        Args:
            attn: The layer's projections.
            hidden_states: Shape (N, L, C).
            encoder_hidden_states: Tokens of cross-attention, shape (N, M, D); None for self-attention.
            attention_mask: Not used by these networks.
            temb: Not used by these networks.
            bank: Features by key, each (B, L', C), with N a multiple of B (frames of one clip follow each other).
            keep: Shape (B,), bool; false hides the bank from a clip. None shows it to all.

        Returns:
            Shape (N, L, C).
        """
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        mask = None
        if self.is_self and bank is not None:
            if self.write:
                bank[self.key] = hidden_states
            else:
                known = bank[self.key]
                repeats = len(hidden_states) // len(known)
                context = torch.cat([hidden_states, known.repeat_interleave(repeats, 0)], 1)
                if keep is not None:
                    own = keep.new_ones(len(hidden_states), hidden_states.shape[1])
                    shown = keep.repeat_interleave(repeats, 0)[:, None].expand(-1, known.shape[1])
                    mask = torch.cat([own, shown], 1)[:, None, None]
        query, key, value = (
            part.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for part in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return attn.to_out[1](attn.to_out[0](attended.transpose(1, 2).flatten(2)))


def block_types(config: MimoConfig, suffix: str) -> dict[str, tuple[str, ...]]:
    """Kinds of the UNet's levels for diffusers; `suffix` is "2D" or "Motion"."""
    levels = len(config.unet_channels)
    attends = [True] * (levels - 1) + [config.unet_attention_last]
    cross = "CrossAttn{}Block" + suffix
    plain = "{}Block" + suffix
    down = tuple((cross if level else plain).format("Down") for level in attends)
    up = tuple((cross if level else plain).format("Up") for level in reversed(attends))
    return {"down_block_types": down, "up_block_types": up}


class ReferenceNet(nn.Module):
    """UNet of the denoiser's widths that turns a clean picture's latent into a bank of features.

    Only the inputs of its self-attention layers are used; what comes after the last of them is frozen.
    """

    def __init__(self, config: MimoConfig) -> None:
        """Build with random weights; names and shapes are those of Stable Diffusion's UNet."""
        super().__init__()
        self.unet = UNet2DConditionModel(
            in_channels=LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            block_out_channels=config.unet_channels,
            layers_per_block=config.unet_layers,
            norm_num_groups=config.unet_groups,
            cross_attention_dim=config.cross_dim,
            attention_head_dim=config.unet_heads,
            **block_types(config, "2D"),
        )
        self.unet.set_attn_processor({key: BankedAttention(key, write=True) for key in self.unet.attn_processors})
        last = self.unet.up_blocks[-1].attentions[-1]
        block = last.transformer_blocks[-1]
        for unused in (self.unet.conv_norm_out, self.unet.conv_out, last.proj_out, block.norm2, block.attn2,
                       block.norm3, block.ff, block.attn1):  # fmt: skip
            unused.requires_grad_(False)

    def forward(self, latent: Tensor, token: Tensor) -> Bank:
        """Features of the picture at every self-attention layer, in a clean picture's time step 0.

        Args:
            latent: Shape (B, 4, h, w).
            token: Shape (B, 1, cross_dim), the identity token.

        Returns:
            By key of the attention layer, each of shape (B, h_i * w_i, C_i).
        """
        bank: Bank = {}
        self.unet(latent, 0, encoder_hidden_states=token, cross_attention_kwargs={"bank": bank})
        return bank
