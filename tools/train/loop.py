"""The training loop: read a batch, noise it, ask the model, step, save."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.pictures import ClipArrays, ClipBatch, collate
from model_zoo.diffusion.posing import Poser
from model_zoo.diffusion.schedule import NoiseSchedule
from tools import progress
from tools.train.data import Windows, batches
from tools.train.recipes import TrainConfig
from tools.train.state import Folder, State

logger = logging.getLogger(__name__)

AUTOENCODER, DENOISER = 0, 1
PHASES = ("autoencoder", "denoiser")
COLUMNS = ("step", "phase", "loss", "human", "scene", "occluder", "gradient_norm", "learning_rate")
_GOLDEN = (math.sqrt(5) - 1) / 2
_MEASURED_WINDOWS = 8
_STEPS_BEFORE_ESTIMATE = 3
_EMA_DELAY = 10


@dataclass(frozen=True)
class Outcome:
    """What a run leaves.

    Attributes:
        model: The model, with the weights of the last step.
        averaged: Averaged weights of what was trained, by name.
        curve: Shape (steps, len(COLUMNS)), float64; NaN where a layer was not in the batch.
    """

    model: MimoModel
    averaged: dict[str, Tensor]
    curve: np.ndarray


def train(
    config: TrainConfig,
    windows: Windows,
    poser: Poser,
    *,
    model: MimoModel,
    device: torch.device,
    seed: int,
    steps: int,
    save_every: int,
    folder: Folder,
) -> Outcome:
    """Train, or go on training from the newest state in `folder`.

    The autoencoder learns for `config.autoencoder_steps`, then it is frozen and the rest learns for `steps`. Every
    random number is a function of the seed and the step: a run that was killed ends in the same bits as one that was
    not.

    Args:
        config: The run.
        windows: The data.
        poser: Body model.
        model: With its first weights, random or pretrained.
        device: Where to compute.
        seed: Of the windows, the noise and the dropped conditions.
        steps: Steps of the denoiser.
        save_every: Steps between two saved states.
        folder: Where states are kept.
    """
    if device.type == "cpu":
        torch.set_num_threads(config.cpu_threads)
        torch.use_deterministic_algorithms(True)
    model, poser = model.to(device), poser.to(device)
    total = config.autoencoder_steps + steps
    state = folder.newest(total)
    done = 0
    curve = np.zeros((0, len(COLUMNS)))
    averaged: dict[str, Tensor] = {}
    if state is not None:
        done, curve = state.step, state.curve
        model.load_state_dict(state.model)
        averaged = {name: tensor.to(device) for name, tensor in state.averaged.items()}
        logger.info("train: going on after step %d of %d", done, total)
    phase = _phase(config, done)
    optimizer = _optimizer(config, model, phase)
    if state is not None and done != config.autoencoder_steps:
        _restore(optimizer, model, phase, state.optimizer)
    schedule = model.schedule
    rows = list(curve)
    started = time.monotonic()
    model.train()
    stream = batches(
        windows, model.config, seed=seed, steps=range(done, total), batch=config.batch, workers=config.workers
    )
    for step, samples in zip(progress.bar(range(done, total), total - done, "train"), stream):
        if step == config.autoencoder_steps:
            phase = DENOISER
            optimizer = _optimizer(config, model, phase)
            if config.autoencoder_steps:
                model.latents.settle(_pictures(model, windows, seed, step, config.batch, device))
            averaged = {name: parameter.detach().clone() for name, parameter in model.trained()}
        elif step == 0:
            model.latents.prepare(_pictures(model, windows, seed, step, config.batch, device))
        generator = torch.Generator().manual_seed(_stream_seed(seed, step))
        since = step - (config.autoencoder_steps if phase == DENOISER else 0)
        rate = (config.learning_rate if phase == DENOISER else config.autoencoder_rate) * min(
            1, (since + 1) / config.warmup
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        if phase == AUTOENCODER:
            losses = _autoencoder_pass(model, samples, config.autoencoder_pictures, generator, device)
        else:
            losses = _denoiser_pass(config, model, poser, schedule, samples, generator, since, device)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        optimizer.step()
        if phase == DENOISER:
            decay = min(config.ema, (1 + since) / (_EMA_DELAY + since))
            for name, parameter in model.trained():
                averaged[name].lerp_(parameter.detach(), 1 - decay)
        rows.append(np.array([step + 1, phase, *losses, float(norm), rate]))
        if step + 1 - done == _STEPS_BEFORE_ESTIMATE < total - done:
            pace = (time.monotonic() - started) / _STEPS_BEFORE_ESTIMATE
            logger.info("train: %.2f s a step, about %.0f s to go", pace, pace * (total - step - 1))
        if (step + 1) % save_every == 0 or step + 1 == total:
            moments = _moments(optimizer, model, phase)
            folder.save(State(step + 1, model.state_dict(), averaged, moments, np.stack(rows)))
    return Outcome(model, averaged, np.stack(rows) if rows else curve)


def _phase(config: TrainConfig, step: int) -> int:
    return AUTOENCODER if step < config.autoencoder_steps else DENOISER


def _stream_seed(seed: int, step: int) -> int:
    """Seed of a step's own random stream."""
    return int.from_bytes(hashlib.sha256(f"{seed} {step}".encode()).digest()[:7], "big")


def _learning(model: MimoModel, phase: int) -> list[tuple[str, torch.nn.Parameter]]:
    """Parameters of a phase by name."""
    if phase == DENOISER:
        return model.trained()
    return [(f"latents.{name}", parameter) for name, parameter in model.latents.named_parameters()]


def _optimizer(config: TrainConfig, model: MimoModel, phase: int) -> torch.optim.AdamW:
    parameters = [parameter for _, parameter in _learning(model, phase)]
    return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)


def _moments(optimizer: torch.optim.AdamW, model: MimoModel, phase: int) -> dict[str, Tensor]:
    """The optimizer's tensors by "<parameter>/<moment>"."""
    return {
        f"{name}/{moment}": tensor
        for name, parameter in _learning(model, phase)
        for moment, tensor in optimizer.state[parameter].items()
    }


def _restore(optimizer: torch.optim.AdamW, model: MimoModel, phase: int, moments: dict[str, Tensor]) -> None:
    """Give the optimizer the tensors that `_moments` took."""
    for name, parameter in _learning(model, phase):
        held = {
            moment: moments[f"{name}/{moment}"].to(parameter.device if moment != "step" else "cpu")
            for moment in ("step", "exp_avg", "exp_avg_sq")
            if f"{name}/{moment}" in moments
        }
        if held:
            optimizer.state[parameter] = held


def _pictures(model: MimoModel, windows: Windows, seed: int, step: int, batch: int, device: torch.device) -> Tensor:
    """Frames and scenes of windows of their own, shape (N, 3, H, W)."""
    picks = [windows.draw(seed, step, batch + index) for index in range(_MEASURED_WINDOWS)]
    known = collate([windows.load(pick, model.config) for pick in picks], device)
    return torch.cat([known.video, known.scene]).transpose(1, 2).flatten(0, 1)


def _autoencoder_pass(
    model: MimoModel, samples: list[ClipArrays], pictures: int, generator: torch.Generator, device: torch.device
) -> tuple[float, float, float, float]:
    """Loss and gradients of the autoencoder on pictures of every layer."""
    known = collate(samples, device)
    size = known.video.shape[-2:]
    layers = [layer.transpose(1, 2).flatten(0, 1) for layer in (known.video, known.scene, known.occluder[:, :, :1])]
    pool = torch.cat([*layers, functional.interpolate(known.reference, size, mode="bilinear", align_corners=False)])
    chosen = pool[torch.randperm(len(pool), generator=generator)[:pictures].to(device)]
    loss = model.latents.objective(chosen, generator)
    loss.backward()
    return float(loss.detach()), math.nan, math.nan, math.nan


def _denoiser_pass(
    config: TrainConfig,
    model: MimoModel,
    poser: Poser,
    schedule: NoiseSchedule,
    samples: list[ClipArrays],
    generator: torch.Generator,
    since: int,
    device: torch.device,
) -> tuple[float, float, float, float]:
    """Loss and gradients of the denoiser; losses of the whole frame, the human, the scene and the occluders."""
    first = since * config.batch
    # Time steps are spread evenly over consecutive windows (golden-ratio sequence), which makes the curve smoother.
    shares = (torch.arange(first, first + config.batch, dtype=torch.float64) * _GOLDEN) % 1
    timestep = (shares * model.config.timesteps).long()
    keep = torch.rand(config.batch, generator=generator) >= config.drop
    shape = (config.batch, 4, model.config.frames, *model.config.latent_size)
    noise = torch.randn(shape, generator=generator)
    sums = np.zeros((4, 2))
    size = config.batch // config.accumulate
    for part in range(config.accumulate):
        mine = slice(part * size, (part + 1) * size)
        known = collate(samples[mine], device)
        mixed = torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16")
        with mixed:
            kept = None if keep[mine].all() else keep[mine].to(device)
            error = _squared_error(
                model, poser, schedule, known, noise[mine].to(device), timestep[mine].to(device), kept
            )
        weight = known.valid.to(error.dtype)[:, :, None, None].expand_as(error)
        loss = (error * weight).sum() / weight.sum().clamp(min=1)
        (loss / config.accumulate).backward()
        human, occluder = (_at(mask, error) for mask in (known.human_mask, known.occluder_mask))
        for row, mask in enumerate((torch.ones_like(human), human, (1 - human - occluder).clamp(min=0), occluder)):
            sums[row] += [float((error.detach() * weight * mask).sum()), float((weight * mask).sum())]
    means = np.divide(sums[:, 0], sums[:, 1], out=np.full(4, np.nan), where=sums[:, 1] > 0)
    return float(means[0]), float(means[1]), float(means[2]), float(means[3])


def _at(mask: Tensor, like: Tensor) -> Tensor:
    """Mask (B, T, H, W) at the latent's size."""
    return functional.interpolate(mask, like.shape[-2:], mode="area").to(like.dtype)


def _squared_error(
    model: MimoModel,
    poser: Poser,
    schedule: NoiseSchedule,
    known: ClipBatch,
    noise: Tensor,
    timestep: Tensor,
    keep: Tensor | None,
) -> Tensor:
    """Mean over channels of the squared error of the denoiser's answer, shape (B, T, h, w), float32."""
    with torch.no_grad():
        clean = model.latents.encode(known.video).float()
        with torch.autocast(clean.device.type, enabled=False):
            vertices = poser(known.betas, known.pose, known.transl)
    conditions = model.conditions(known.scene, known.occluder, vertices, poser.faces, known.intrinsics, known.reference)
    answer = model(schedule.add_noise(clean, noise, timestep), timestep, conditions, keep)
    return (answer.float() - schedule.target(clean, noise, timestep)).square().mean(1)
