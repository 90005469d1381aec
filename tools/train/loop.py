"""The training loop: read a batch, noise it, ask the model, step, look, save."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

from model_zoo.diffusion.config import LATENT_CHANNELS
from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.pictures import ClipArrays, collate
from model_zoo.diffusion.posing import Poser
from tools import progress
from tools.recipes import TrainConfig
from tools.train import averages, optimizers, ranks, validation
from tools.train.board import Board
from tools.train.data import Windows, batches
from tools.train.objective import LAYERS, Objective, layer_means, layer_sums, weights
from tools.train.snapshots import Snapshots
from tools.train.state import Folder, State

logger = logging.getLogger(__name__)

AUTOENCODER, DENOISER = 0, 1
PHASES = ("autoencoder", "denoiser")
COLUMNS = ("step", "phase", *LAYERS, "gradient_norm", "learning_rate")
_GOLDEN = (math.sqrt(5) - 1) / 2
_MEASURED_WINDOWS = 8
_STEPS_BEFORE_ESTIMATE = 3
_T = TypeVar("_T")


@dataclass(frozen=True)
class Rhythm:
    """How long a run is, and how often what happens; in steps, 0 for never.

    Attributes:
        steps: Of the denoiser.
        save_every: Between two saved states, counted over both phases.
        validate_every: Between two losses on held-out clips, of the denoiser.
        sample_every: Between two sampled videos, of the denoiser.
    """

    steps: int
    save_every: int
    validate_every: int = 0
    sample_every: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a run leaves.

    Attributes:
        model: The model, with the weights of the last step.
        averaged: Averaged weights of what was trained, by name.
        curve: Shape (steps, len(COLUMNS)), float64; NaN where a layer was not in the batch.
        validation: Shape (n, len(validation.COLUMNS)), float64; losses of the averaged weights on held-out clips.
    """

    model: MimoModel
    averaged: dict[str, Tensor]
    curve: np.ndarray
    validation: np.ndarray


def train(
    config: TrainConfig,
    windows: Windows,
    poser: Poser,
    *,
    model: MimoModel,
    accelerator: Accelerator,
    seed: int,
    rhythm: Rhythm,
    folder: Folder,
    held_out: Windows | None = None,
    watch: Callable[[float], None] = lambda waited: None,
) -> Outcome:
    """Train, or go on training from the newest state in `folder`.

    The autoencoder learns for `config.autoencoder_steps`, then it is frozen and the rest learns for `rhythm.steps`.
    Every random number is a function of the seed and the step: a run that was killed ends in the same bits as one that
    was not. Of several processes each works through its share of a batch; the batch, its noise and its weights in the
    loss are those of one process. They repeat the autoencoder's steps, each for itself, as those are short.

    Args:
        config: The run.
        windows: The data.
        poser: Body model.
        model: With its first weights, random or pretrained.
        accelerator: Where to compute, and with whom.
        seed: Of the windows, the noise and the dropped conditions.
        rhythm: How long, and how often what.
        folder: Where states are kept.
        held_out: Data to validate on, and to sample from; without it there is no validation.
        watch: Called after every step with the seconds that were spent waiting for data so far.

    Raises:
        ToolError: The batch cannot be shared by the processes.
    """
    ranks.check(config, accelerator.num_processes)
    device, leads = accelerator.device, accelerator.is_main_process
    if device.type == "cpu":
        torch.set_num_threads(config.cpu_threads)
        torch.use_deterministic_algorithms(True)
    model, poser = model.to(device), poser.to(device)
    first, total = config.autoencoder_steps, config.autoencoder_steps + rhythm.steps
    state = folder.newest(total)
    accelerator.wait_for_everyone()  # all have read it before one writes the next
    done = 0
    rows: list[np.ndarray] = []
    judged: list[np.ndarray] = []
    averaged: dict[str, Tensor] = {}
    if state is not None:
        done, rows, judged = state.step, list(state.curve), list(state.validation)
        model.load_state_dict(state.model)
        averaged = {name: tensor.to(device) for name, tensor in state.averaged.items()}
        logger.info("train: going on after step %d of %d", done, total)
    phase = AUTOENCODER if done < first else DENOISER
    objective = Objective(model, poser)
    called, optimizer = _ready(config, accelerator, objective, phase)
    if state is not None and done != first:
        optimizers.restore(optimizer.optimizer, _learning(model, phase), state.optimizer)
    board = Board(folder.path / "tensorboard", done) if leads and done < total else None
    snapshots = Snapshots(held_out or windows, folder.path / "samples", config.guidance)
    share = config.batch // accelerator.num_processes
    mine = slice(accelerator.process_index * share, (accelerator.process_index + 1) * share)
    reading = {"seed": seed, "batch": config.batch, "workers": config.workers}
    stream = itertools.chain(
        batches(windows, model.config, steps=range(done, first), **reading),
        batches(windows, model.config, steps=range(max(done, first), total), share=mine, **reading),
    )
    clock = _Clock()
    model.train()
    steps: Iterable[int] = range(done, total)
    for step, samples in zip(progress.bar(steps, total - done, "train") if leads else steps, clock.waiting(stream)):
        if step == first:
            if first:
                model.latents.settle(_pictures(model, windows, seed, step, config.batch, device))
            if phase == AUTOENCODER:
                phase = DENOISER
                called, optimizer = _ready(config, accelerator, objective, phase)
            averaged = averages.start(model)
        elif step == 0:
            model.latents.prepare(_pictures(model, windows, seed, step, config.batch, device))
        generator = torch.Generator().manual_seed(_stream_seed(seed, step))
        since = step - first if phase == DENOISER else step
        rate = learning_rate(config, phase, since)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        if phase == AUTOENCODER:
            losses = _autoencoder_pass(accelerator, model, samples, config.autoencoder_pictures, generator)
        else:
            losses = _denoiser_pass(config, accelerator, called, model, samples, generator, since)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        norm = accelerator.clip_grad_norm_(parameters, config.clip_norm)
        optimizer.step()
        rows.append(np.array([step + 1, phase, *losses, float(norm), rate]))
        if board:
            board.write(step + 1, PHASES[phase], dict(zip(COLUMNS[2:], rows[-1][2:])))
        if phase == DENOISER:
            averages.follow(averaged, model, config.ema, since)
            if held_out is not None and _due(since, rhythm.validate_every):
                with averages.used(averaged, model):
                    judged.append(np.array([step + 1, *validation.losses(objective, held_out, accelerator)]))
                logger.info("train: step %d, validation loss %.4f", step + 1, judged[-1][1])
                if board:
                    board.write(step + 1, "validation", dict(zip(validation.COLUMNS[1:], judged[-1][1:])))
            if leads and _due(since, rhythm.sample_every):
                with averages.used(averaged, model):
                    logger.info("train: wrote %s", snapshots.draw(model, poser, step + 1, device))
        watch(clock.waited)
        if step + 1 - done == _STEPS_BEFORE_ESTIMATE < total - done:
            pace = clock.seconds / _STEPS_BEFORE_ESTIMATE
            logger.info("train: %.2f s a step, about %.0f s to go", pace, pace * (total - step - 1))
        if leads and (_due(step, rhythm.save_every) or step + 1 == total):
            if board:
                board.flush()
            held = optimizers.moments(optimizer.optimizer, _learning(model, phase))
            table = _table(judged, len(validation.COLUMNS))
            folder.save(State(step + 1, model.state_dict(), averaged, held, np.stack(rows), table))
    if board:
        board.close()
    if done < total:
        logger.info("train: %.0f s, %.1f %% of them waiting for data", clock.seconds, 100 * clock.share)
    return Outcome(model, averaged, _table(rows, len(COLUMNS)), _table(judged, len(validation.COLUMNS)))


def learning_rate(config: TrainConfig, phase: int, since: int) -> float:
    """Learning rate of a phase's step `since`, counted from 0."""
    rising = min(1, (since + 1) / config.warmup)
    if phase == AUTOENCODER:
        return config.autoencoder_rate * rising
    return config.learning_rate * rising / (1 + since / config.rate_half if config.rate_half else 1)


class _Clock:
    """Time since it was made, and how much of it went into waiting."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.waited = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def share(self) -> float:
        return self.waited / max(self.seconds, 1e-9)

    def waiting(self, items: Iterable[_T]) -> Iterator[_T]:
        """The items, with the time counted that they take to come."""
        source = iter(items)
        while True:
            since = time.monotonic()
            try:
                item = next(source)
            except StopIteration:
                return
            finally:
                self.waited += time.monotonic() - since
            yield item


def _due(since: int, every: int) -> bool:
    """Whether something that is done every so many steps is done after step `since`, counted from 0."""
    return every > 0 and (since + 1) % every == 0


def _table(rows: list[np.ndarray], width: int) -> np.ndarray:
    return np.stack(rows) if rows else np.zeros((0, width))


def _stream_seed(seed: int, step: int) -> int:
    """Seed of a step's own random stream."""
    return int.from_bytes(hashlib.sha256(f"{seed} {step}".encode()).digest()[:7], "big")


def _learning(model: MimoModel, phase: int) -> list[tuple[str, nn.Parameter]]:
    """Parameters of a phase by name."""
    if phase == DENOISER:
        return model.trained()
    return [(f"latents.{name}", parameter) for name, parameter in model.latents.named_parameters()]


def _ready(config: TrainConfig, accelerator: Accelerator, objective: Objective, phase: int) -> tuple[nn.Module, Any]:
    """The objective as it is called in a phase, and the phase's optimizer, both wrapped by `accelerate`."""
    optimizer = optimizers.build(config, _learning(objective.model, phase))
    if phase == AUTOENCODER:
        return objective, accelerator.prepare(optimizer)
    # Wrapping sends the first process's weights to all, and expects a gradient for whatever is not frozen.
    objective.model.latents.requires_grad_(False)
    called, prepared = accelerator.prepare(objective, optimizer)
    return called, prepared


def _pictures(model: MimoModel, windows: Windows, seed: int, step: int, batch: int, device: torch.device) -> Tensor:
    """Frames and scenes of windows of their own, shape (N, 3, H, W)."""
    picks = [windows.draw(seed, step, batch + index) for index in range(_MEASURED_WINDOWS)]
    known = collate([windows.load(pick, model.config) for pick in picks], device)
    return torch.cat([known.video, known.scene]).transpose(1, 2).flatten(0, 1)


def _autoencoder_pass(
    accelerator: Accelerator, model: MimoModel, samples: list[ClipArrays], pictures: int, generator: torch.Generator
) -> tuple[float, float, float, float]:
    """Loss and gradients of the autoencoder on pictures of every layer."""
    known = collate(samples, accelerator.device)
    size = known.video.shape[-2:]
    layers = [layer.transpose(1, 2).flatten(0, 1) for layer in (known.video, known.scene, known.occluder[:, :, :1])]
    pool = torch.cat([*layers, functional.interpolate(known.reference, size, mode="bilinear", align_corners=False)])
    chosen = pool[torch.randperm(len(pool), generator=generator)[:pictures].to(pool.device)]
    loss = model.latents.objective(chosen, generator)
    accelerator.backward(loss)
    return float(loss.detach()), math.nan, math.nan, math.nan


def _denoiser_pass(
    config: TrainConfig,
    accelerator: Accelerator,
    objective: nn.Module,
    model: MimoModel,
    samples: list[ClipArrays],
    generator: torch.Generator,
    since: int,
) -> tuple[float, float, float, float]:
    """Loss and gradients of the denoiser on this process's share of a batch; losses of the whole batch by layer."""
    device, processes = accelerator.device, accelerator.num_processes
    first = since * config.batch
    # Time steps are spread evenly over consecutive windows (golden-ratio sequence), which makes the curve smoother.
    shares = (torch.arange(first, first + config.batch, dtype=torch.float64) * _GOLDEN) % 1
    timestep = (shares * model.config.timesteps).long()
    keep = torch.rand(config.batch, generator=generator) >= config.drop
    frames, height, width = samples[0].human_mask.shape
    factor = model.config.vae_factor
    noise = torch.randn((config.batch, LATENT_CHANNELS, frames, height // factor, width // factor), generator=generator)
    # Every window's noise is made everywhere, so that a window has the same one whoever works on it.
    offset = accelerator.process_index * len(samples)
    part = min(config.batch // config.accumulate, len(samples))
    # The loss is a mean over the valid frames of the whole batch: their number is summed over the processes first.
    valid = torch.tensor(float(sum(sample.valid.sum() for sample in samples)), dtype=torch.float64, device=device)
    valid = accelerator.reduce(valid, "sum").clamp(min=1)
    sums = torch.zeros(len(LAYERS), 2, dtype=torch.float64, device=device)
    for start in range(0, len(samples), part):
        mine = slice(offset + start, offset + start + part)
        known = collate(samples[start : start + part], device)
        last = start + part >= len(samples)
        kept = None if keep[mine].all() else keep[mine].to(device)
        with contextlib.nullcontext() if last else accelerator.no_sync(objective):
            with accelerator.autocast():
                error = objective(known, noise[mine].to(device), timestep[mine].to(device), kept)
            places = valid.to(error.dtype) * math.prod(error.shape[2:])
            # Gradients are averaged over the processes, so each counts as often as there are processes.
            accelerator.backward((error * weights(known, error)).sum() / places * processes)
        sums += layer_sums(known, error)
    return layer_means(accelerator.reduce(sums, "sum"))
