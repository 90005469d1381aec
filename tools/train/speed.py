"""`python -m tools train speed`: steps per second, memory, waiting for data, and how much of the device is used.

The steps are those of a recipe with random weights, so that nothing needs to be downloaded to measure them.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model_zoo.diffusion.config import LATENT_CHANNELS
from model_zoo.diffusion.pictures import ClipBatch, collate
from model_zoo.diffusion.posing import Poser
from tools.recipes import TrainConfig
from tools.subject import subjects
from tools.train import ranks
from tools.train.diffusion import dataset, fresh_model
from tools.train.loop import Rhythm, train
from tools.train.objective import Objective
from tools.train.state import Folder

WARM = 3  # steps before the clock starts: kernels are chosen, buffers are made
_PRODUCTS = 5
_SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices that tell what a device can do


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
        device: Name of the device.
        recipe: Name of the recipe.
        steps_per_s: Steps per second, warm.
        waiting: Share of the time that was spent waiting for data.
        peak_mb: Largest memory, of the GPU where there is one, else of the process.
        flops: Floating-point operations of a step: the forward pass of what is frozen, three times that of the rest
            (the backward pass counts twice); what is computed again to save memory does not count.
        able: Operations per second of a large matrix product on the device, in the recipe's precision.
    """

    device: str
    recipe: str
    steps_per_s: float
    waiting: float
    peak_mb: float
    flops: float
    able: float

    def table(self) -> str:
        """The figures as a table in Markdown."""
        rate = self.flops * self.steps_per_s
        return "\n".join(
            [
                "| recipe | on | steps/s | peak memory, MB | waiting for data | TFLOP/s | of a large matrix product |",
                "|---|---|---|---|---|---|---|",
                f"| `{self.recipe}` | {self.device} | {self.steps_per_s:.2f} | {self.peak_mb:.0f} | {self.waiting:.1%} "
                f"| {rate / 1e12:.3g} | {rate / self.able:.0%} |",
            ]
        )


def run(
    recipe: str, config: TrainConfig, shards: Sequence[Path], index: Path, body_model: Path, *, steps: int,
    device: torch.device,
) -> Speed:  # fmt: skip
    """Train for some steps and measure them; nothing is kept.

    Args:
        recipe: Name of the recipe.
        config: What it says for these shards.
        shards: Root `zarr.json` of every shard.
        index: `index.parquet`.
        body_model: File of the body model.
        steps: Of the denoiser that are measured, after `WARM` others.
        device: Where to compute.
    """
    with np.load(body_model) as file:
        body = dict(file)
    poser = Poser(body)
    sizes = dataclasses.replace(config.model, num_vertices=poser.num_vertices)
    config = dataclasses.replace(config, model=sizes, pretrained={}, autoencoder_steps=0)
    windows = dataset(config, list(shards), index)
    windows.subjects = subjects(config.model, body)
    model = fresh_model(recipe, config, seed=0)
    marks: list[tuple[float, float]] = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    # States go where they are thrown away; the last step's is written after the clock has stopped.
    with tempfile.TemporaryDirectory(prefix="strata-speed-") as scratch:
        train(
            config,
            windows,
            poser,
            model=model,
            accelerator=ranks.accelerator(device, config.precision),
            seed=0,
            rhythm=Rhythm(WARM + steps, save_every=0),
            folder=Folder(Path(scratch), {}),
            watch=lambda waited: marks.append((time.monotonic(), waited)),
        )
    (since, waited), (until, waited_at_last) = marks[WARM - 1], marks[-1]
    seconds = until - since
    known = collate([windows.load(windows.draw(0, 0, 0), config.model)], device)
    return Speed(
        torch.cuda.get_device_name(device) if device.type == "cuda" else f"{os.cpu_count()} cores",
        recipe,
        steps / seconds,
        (waited_at_last - waited) / seconds,
        _peak_mb(device),
        config.batch * flops(Objective(model, poser), known),
        able(device, torch.bfloat16 if config.precision == "bfloat16" else torch.float32),
    )


def flops(objective: Objective, known: ClipBatch) -> float:
    """Operations of a step per window, see `Speed.flops`.

    Args:
        objective: The model on its device.
        known: One window.
    """
    model = objective.model
    frames, *size = known.video.shape[2:]
    shape = (1, LATENT_CHANNELS, frames, *(side // model.config.vae_factor for side in size))
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(known.video.device)
    timestep = torch.tensor([model.config.timesteps // 2], device=noise.device)

    def frozen() -> None:
        model.scene(known.scene, known.occluder)
        model.latents.encode(known.video)
        model.latents.encode(known.reference[:, :, None])
        if model.config.clip:
            model.identity.tower(known.reference)

    still = _counted(frozen)
    return still + 3 * (_counted(lambda: objective(known, noise, timestep)) - still)


def _counted(work: Callable[[], object]) -> float:
    """Operations of matrix products and convolutions; attention is spelt out in them to be counted on every device."""
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def able(device: torch.device, precision: torch.dtype) -> float:
    """Operations per second of a large matrix product, the best of a few."""
    side = _SIDE[device.type]
    one = torch.ones(side, side, dtype=precision, device=device)
    best = float("inf")
    for _ in range(_PRODUCTS):
        since = time.monotonic()
        float((one @ one)[0, 0])  # waits for the device
        best = min(best, time.monotonic() - since)
    return 2 * side**3 / best


def _peak_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
