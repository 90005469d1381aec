"""The denoiser: a UNet with motion modules, told about scene, occluders, motion and identity."""

from __future__ import annotations

import torch
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from torch import Tensor, nn

from model_zoo.diffusion.config import LATENT_CHANNELS, MimoConfig
from model_zoo.diffusion.reference import Bank, BankedAttention, block_types

IN_CHANNELS = 3 * LATENT_CHANNELS  # noise, scene, occluder


class Denoiser(nn.Module):
    """Stable Diffusion's UNet shape with AnimateDiff's motion modules (diffusers' names) and 12 input channels."""

    def __init__(self, config: MimoConfig) -> None:
        """Build with random weights; motion modules start as the identity, as in AnimateDiff."""
        super().__init__()
        self.unet = UNetMotionModel(
            in_channels=IN_CHANNELS,
            out_channels=LATENT_CHANNELS,
            block_out_channels=config.unet_channels,
            layers_per_block=config.unet_layers,
            norm_num_groups=config.unet_groups,
            cross_attention_dim=config.cross_dim,
            num_attention_heads=config.unet_heads,
            motion_num_attention_heads=config.unet_heads,
            motion_max_seq_length=config.max_frames,
            **block_types(config, "Motion"),
        )
        shared = [key for key in self.unet.attn_processors if "motion_modules" not in key]
        processors = dict(self.unet.attn_processors)
        processors.update({key: BankedAttention(key, write=False) for key in shared})
        self.unet.set_attn_processor(processors)
        for name, module in self.unet.named_modules():
            if "motion_modules" in name and name.endswith("proj_out"):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(
        self,
        noised: Tensor,
        timestep: Tensor,
        spatial: Tensor,
        motion: Tensor,
        token: Tensor,
        bank: Bank,
        keep: Tensor | None = None,
    ) -> Tensor:
        """Predict epsilon or v.

        Args:
            noised: Shape (B, 4, T, h, w).
            timestep: Shape (B,), int64.
            spatial: Shape (B, 8, T, h, w), latents of scene and occluders.
            motion: Shape (B, C, T, h, w), added to the features after the first convolution.
            token: Shape (B, 1, cross_dim).
            bank: Reference features.
            keep: Shape (B,), bool; false drops all conditions of a clip together. None keeps all.

        Returns:
            Shape (B, 4, T, h, w).
        """
        frames = noised.shape[2]
        if keep is not None:
            kept = keep.to(noised.dtype)
            spatial = spatial * kept[:, None, None, None, None]
            motion = motion * kept[:, None, None, None, None]
            token = token * kept[:, None, None]
        added = motion.transpose(1, 2).flatten(0, 1)
        # The motion code enters behind the first convolution, a place that diffusers gives no argument for.
        hook = self.unet.conv_in.register_forward_hook(lambda _module, _inputs, features: features + added)
        try:
            # UNetMotionModel repeats the time embedding over frames, but not the tokens of cross-attention.
            return self.unet(
                torch.cat([noised, spatial], 1),
                timestep,
                encoder_hidden_states=token.repeat_interleave(frames, 0),
                cross_attention_kwargs={"bank": bank, "keep": keep},
            ).sample
        finally:
            hook.remove()
