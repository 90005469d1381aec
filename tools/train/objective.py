"""The denoiser's loss: squared error of its answer, as one module, so that distributed training sees one call."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.pictures import ClipBatch, LatentBatch
from model_zoo.diffusion.posing import Poser

LAYERS = ("loss", "human", "scene", "occluder")  # what losses are told of: the whole frame, then its layers


class Objective(nn.Module):
    """Squared error of the denoiser on windows of clips."""

    def __init__(self, model: MimoModel, poser: Poser) -> None:
        """Take the model, and the body model that poses the clips (it learns nothing and is not registered here)."""
        super().__init__()
        self.model = model
        self._poser = (poser,)

    def forward(
        self, known: ClipBatch | LatentBatch, noise: Tensor, timestep: Tensor, keep: Tensor | None = None
    ) -> Tensor:
        """Mean over channels of the squared error of the answer.

        Args:
            known: Windows of clips, or what the frozen networks made of them.
            noise: Shape (B, 4, T, h, w), standard normal.
            timestep: Shape (B,), int64.
            keep: Shape (B,), bool; false drops the conditions of a window. None keeps all.

        Returns:
            Shape (B, T, h, w), float32.
        """
        model, (poser,) = self.model, self._poser
        with torch.no_grad(), torch.autocast(noise.device.type, enabled=False):
            vertices = poser(known.betas, known.pose, known.transl)
        if isinstance(known, LatentBatch):
            clean = known.video
            spatial = torch.cat([known.scene, known.occluder], 1)
            conditions = model.conditions_of(
                spatial, vertices, poser.faces, known.intrinsics, known.embedding, known.reference
            )
        else:
            with torch.no_grad():
                clean = model.latents.encode(known.video).float()
            conditions = model.conditions(
                known.scene, known.occluder, vertices, poser.faces, known.intrinsics, known.reference
            )
        answer = model(model.schedule.add_noise(clean, noise, timestep), timestep, conditions, keep)
        return (answer.float() - model.schedule.target(clean, noise, timestep)).square().mean(1)


def weights(known: ClipBatch | LatentBatch, error: Tensor) -> Tensor:
    """Weight of every place in the loss, as `error` (B, T, h, w): 0 in frames without a subject and in padding."""
    return known.valid.to(error.dtype)[:, :, None, None].expand_as(error)


@torch.no_grad()
def layer_sums(known: ClipBatch | LatentBatch, error: Tensor) -> Tensor:
    """Weighted sums of the error, and of the weights, over the places of every layer.

    Args:
        known: Windows of clips.
        error: Shape (B, T, h, w).

    Returns:
        Shape (len(LAYERS), 2), float64.
    """
    weight = weights(known, error)
    human, occluder = (
        functional.interpolate(mask, error.shape[-2:], mode="area").to(error.dtype)
        for mask in (known.human_mask, known.occluder_mask)
    )
    masks = (torch.ones_like(human), human, (1 - human - occluder).clamp(min=0), occluder)
    rows = [torch.stack([(error * weight * mask).sum(), (weight * mask).sum()]) for mask in masks]
    return torch.stack(rows).double()


def layer_means(sums: Tensor) -> tuple[float, float, float, float]:
    """Losses of the layers from what `layer_sums` gives; NaN for a layer that is not there."""
    total, weight = sums.cpu().numpy().T
    means = np.divide(total, weight, out=np.full(len(LAYERS), np.nan), where=weight > 0)
    return float(means[0]), float(means[1]), float(means[2]), float(means[3])
