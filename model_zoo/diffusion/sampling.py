"""Videos from noise: DDIM with classifier-free guidance, over windows that overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from model_zoo.diffusion.config import LATENT_CHANNELS
from model_zoo.diffusion.mimo import Conditions, MimoModel
from model_zoo.diffusion.schedule import NoiseSchedule
from model_zoo.diffusion.windows import windows


def guided(model: MimoModel, noised: Tensor, timestep: Tensor, conditions: Conditions, guidance: float) -> Tensor:
    """Answer with all conditions, pushed away from the answer without any (Ho and Salimans, 2021).

    A guidance of 1 is the conditional answer itself and costs one pass.
    """
    conditional = model(noised, timestep, conditions)
    if guidance == 1.0:
        return conditional
    nothing = torch.zeros(len(noised), dtype=torch.bool, device=noised.device)
    unconditional = model(noised, timestep, conditions, keep=nothing)
    return unconditional + guidance * (conditional - unconditional)


@torch.no_grad()
def sample(
    model: MimoModel,
    conditions: Conditions,
    *,
    steps: int,
    guidance: float,
    generator: torch.Generator,
    progress: Callable[[list[int]], Iterable[int]] = iter,
) -> Tensor:
    """Draw a video's latents.

    Args:
        model: Trained model.
        conditions: For all T frames; T may be longer than the model's window.
        steps: Denoising steps.
        guidance: Strength of the conditions.
        generator: Source of the noise, on the CPU, so that every device starts from the same.
        progress: Wraps the list of steps to show how far the work is.

    Returns:
        Shape (B, 4, T, h, w).
    """
    schedule = NoiseSchedule(model.config)
    batch, _, frames, height, width = conditions.spatial.shape
    device = conditions.spatial.device
    latents = torch.randn(batch, LATENT_CHANNELS, frames, height, width, generator=generator).to(device)
    parts = [torch.tensor(list(window), device=device) for window in windows(frames, model.config.frames)]
    told = [conditions.frames(part) for part in parts]
    counts = torch.zeros(frames, device=device)
    for part in parts:
        counts[part] += 1
    for here, earlier in _pairs(progress(schedule.timesteps(steps))):
        timestep = torch.full((batch,), here, dtype=torch.int64, device=device)
        answer = torch.zeros_like(latents)
        for part, known in zip(parts, told):
            answer[:, :, part] += guided(model, latents[:, :, part], timestep, known, guidance)
        latents = schedule.step_back(answer / counts[:, None, None], latents, here, earlier)
    return latents


def _pairs(timesteps: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Each step with the one after it, -1 after the last, without running ahead of the consumer's work."""
    before = None
    for timestep in timesteps:
        if before is not None:
            yield before, timestep
        before = timestep
    if before is not None:
        yield before, -1
