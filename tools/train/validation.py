"""Loss on held-out clips: always the same windows, noise and time steps, so that its numbers can be compared."""

from __future__ import annotations

import hashlib
import logging

import torch
from accelerate import Accelerator

from model_zoo.diffusion.config import LATENT_CHANNELS
from model_zoo.diffusion.pictures import collate
from tools.train.data import Windows
from tools.train.objective import LAYERS, Objective, layer_means, layer_sums

logger = logging.getLogger(__name__)

COLUMNS = ("step", *LAYERS)
_WINDOWS = 8


def noise_of(index: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Noise of a validation window: the same in every run."""
    seed = int.from_bytes(hashlib.sha256(f"validation {index}".encode()).digest()[:7], "big")
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def losses(objective: Objective, windows: Windows, accelerator: Accelerator) -> tuple[float, float, float, float]:
    """Losses of the whole frame, the human, the scene and the occluders, with all conditions.

    Windows and identity pictures are drawn from the data's digest alone; window i of n has the time step in the middle
    of the i-th of n equal parts of the noise process. Processes take turns with the windows and sum.

    Args:
        objective: With the weights to judge; gradients must be off.
        windows: Held-out data.
        accelerator: Of the run.
    """
    model = objective.model
    sums = torch.zeros(len(LAYERS), 2, dtype=torch.float64, device=accelerator.device)
    for index in range(accelerator.process_index, _WINDOWS, accelerator.num_processes):
        known = collate([windows.load(windows.draw(0, index, 0), model.config)], accelerator.device)
        frames, height, width = known.video.shape[2:]
        factor = model.config.vae_factor
        noise = noise_of(index, (1, LATENT_CHANNELS, frames, height // factor, width // factor))
        timestep = torch.tensor([int((index + 0.5) / _WINDOWS * model.config.timesteps)])
        with accelerator.autocast():
            error = objective(known, noise.to(accelerator.device), timestep.to(accelerator.device))
        sums += layer_sums(known, error)
    return layer_means(accelerator.reduce(sums, "sum"))
