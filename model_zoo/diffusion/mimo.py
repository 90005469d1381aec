"""The whole model: decomposed conditions in, the denoiser's answer out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.denoiser import Denoiser
from model_zoo.diffusion.identity import CanonicalIdentityEncoder
from model_zoo.diffusion.latents import SceneOcclusionEncoder, build
from model_zoo.diffusion.motion import StructuredMotionEncoder
from model_zoo.diffusion.reference import Bank
from model_zoo.diffusion.schedule import NoiseSchedule


class Conditions(NamedTuple):
    """What the denoiser is told about a clip; see `Denoiser.forward`."""

    spatial: Tensor
    motion: Tensor
    token: Tensor
    bank: Bank

    def frames(self, index: Tensor) -> Conditions:
        """The conditions of some frames."""
        return self._replace(spatial=self.spatial[:, :, index], motion=self.motion[:, :, index])


class MimoModel(nn.Module):
    """Character video synthesis with decomposed conditions (MIMO, arXiv 2409.16160).

    The autoencoder (and CLIP, where there is one) is frozen while the rest learns; see `trained`.
    """

    def __init__(self, config: MimoConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.config = config
        self.latents = build(config)
        self.scene = SceneOcclusionEncoder(self.latents)
        self.motion = StructuredMotionEncoder(config)
        self.motion.pool.requires_grad_(False)  # the pooled vector is for other heads; the denoiser takes the map
        self.identity = CanonicalIdentityEncoder(config)
        self.denoiser = Denoiser(config)
        self.schedule = NoiseSchedule(config)

    def trained(self) -> list[tuple[str, nn.Parameter]]:
        """Parameters of the diffusion training, by name: codes, pose encoder, identity, denoiser."""
        return [
            (name, parameter)
            for name, parameter in self.named_parameters()
            if parameter.requires_grad and not name.startswith("latents.")
        ]

    def identify(self, reference: Tensor) -> tuple[Tensor, Bank]:
        """Identity token and bank of pictures (B, 3, H, W), -1 to 1, subject on white."""
        with torch.no_grad():
            latent = self.latents.encode(reference[:, :, None])[:, :, 0]
        _, token, bank = self.identity(reference, latent)
        return token, bank

    def conditions(
        self, scene: Tensor, occluder: Tensor, vertices: Tensor, faces: Tensor, intrinsics: Tensor, reference: Tensor
    ) -> Conditions:
        """Encode everything the denoiser is told.

        Args:
            scene: Shape (B, 3, T, H, W), -1 to 1.
            occluder: Same shape, black where nothing occludes.
            vertices: Shape (B, T, V, 3), m, camera frame.
            faces: Shape (F, 3), int64.
            intrinsics: Shape (B, T, 3, 3), px of the motion raster.
            reference: Shape (B, 3, S, S), -1 to 1, the subject on white.
        """
        with torch.no_grad():
            spatial = self.scene(scene, occluder)
        motion, _ = self.motion(vertices, faces, intrinsics, (spatial.shape[-2], spatial.shape[-1]))
        token, bank = self.identify(reference)
        return Conditions(spatial, motion, token, bank)

    def conditions_of(
        self, spatial: Tensor, vertices: Tensor, faces: Tensor, intrinsics: Tensor, embedding: Tensor, reference: Tensor
    ) -> Conditions:
        """As `conditions`, of what the frozen networks gave before.

        Args:
            spatial: Shape (B, 8, T, h, w), latents of scene and occluders.
            vertices: Shape (B, T, V, 3), m, camera frame.
            faces: Shape (F, 3), int64.
            intrinsics: Shape (B, T, 3, 3), px of the motion raster.
            embedding: Shape (B, 512), of the identity picture.
            reference: Shape (B, 4, s, s), latent of the identity picture.
        """
        motion, _ = self.motion(vertices, faces, intrinsics, (spatial.shape[-2], spatial.shape[-1]))
        token, bank = self.identity.told(embedding, reference)
        return Conditions(spatial, motion, token, bank)

    def forward(self, noised: Tensor, timestep: Tensor, conditions: Conditions, keep: Tensor | None = None) -> Tensor:
        """Prediction of epsilon or v, (B, 4, T, h, w); where `keep` (B,) is false, all conditions are dropped."""
        if not self.config.scene_prior:
            return self.denoiser(noised, timestep, *conditions, keep=keep)
        known = torch.ones(len(noised), dtype=torch.bool, device=noised.device) if keep is None else keep
        scene = conditions.spatial[:, : noised.shape[1]] * known.to(noised.dtype)[:, None, None, None, None]
        spread = torch.where(known, self.config.scene_prior, 1.0)
        seen = self.schedule.relative(noised, timestep, scene, spread)
        answer = self.denoiser(seen, timestep, *conditions, keep=keep)
        return self.schedule.around(answer, noised, timestep, scene, spread)
