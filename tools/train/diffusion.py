"""Trains the bundled video diffusion model on the shards, from recipe to checkpoint."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyarrow import parquet

from model_zoo.diffusion import checkpoint, pretrained
from model_zoo.diffusion.augment import Amounts
from model_zoo.diffusion.config import frame_size
from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.posing import Poser
from model_zoo.loading import device
from tools import latent_cache, provenance, recipes
from tools.latent_cache import LatentCache
from tools.recipes import TrainConfig
from tools.subject import subjects
from tools.train import ranks
from tools.train.curve import write_plot, write_table, write_validation
from tools.train.data import Windows, split_of, within
from tools.train.loop import Rhythm, train
from tools.train.state import Folder
from workflow import layout
from workflow.errors import ToolError
from workflow.stages.train import TrainParams
from workflow.store import replacing

logger = logging.getLogger(__name__)

STATE = "state"  # beside the outputs, but none of them: Snakemake deletes outputs before it runs a job again
_TRAIN_SPLIT, _HELD_OUT_SPLIT = "train", "val"
_RHYTHM = ("steps", "save_every", "validate_every")  # does not make another run
_QUALITY = "quality."  # before the names of figures in the index


def run(params: TrainParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Train and write checkpoint, settings, curve, plot and validation losses, in as many processes as asked for."""
    if ranks.inside():
        ranks.hush()
    where = chosen_device(params.device)
    if params.processes == 1 or ranks.inside():
        _run(params, where, inputs, outputs)
        return
    ranks.check(recipes.named(params.recipe), params.processes)
    if where.type == "cuda" and torch.cuda.device_count() < params.processes:
        raise ToolError(
            f"train: {params.processes} processes need a GPU each, {torch.cuda.device_count()} are visible; "
            "set processes to that, or device to cpu"
        )
    ranks.together(params.processes, _run, params, where, inputs, outputs)


def _run(
    params: TrainParams,
    where: torch.device,
    inputs: Mapping[str, Path | list[Path]],
    outputs: Mapping[str, Path],
) -> None:
    """What one process does; the first one writes."""
    shards = _paths(inputs["shards"])
    body_path = _paths(inputs["body_model"])[0]
    (index,) = _paths(inputs["index"])
    config = resolved(params.recipe, shards, index, **changes(params))
    windows = dataset(config, shards, index)
    with np.load(body_path) as body:
        arrays = dict(body)
    poser = Poser(arrays)
    windows.subjects = subjects(config.model, arrays)
    size = (config.model.height, config.model.width)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, num_vertices=poser.num_vertices))
    settings = {
        "config": {key: value for key, value in recipes.as_json(config).items() if key not in _RHYTHM},
        "seed": params.seed,
        "device": where.type,
        "data": windows.digest,
        "body_model": provenance.file_digest(body_path),
    }
    files = recipes.weights(params.recipe, config)
    settings["weights"] = {part: provenance.file_digest(path) for part, path in files.items()}
    if config.model.reposer:
        settings["weights"]["reposer"] = provenance.file_digest(layout.WEIGHTS / config.model.reposer)
    if params.latents:
        windows.latents = _latents(config, windows, files, body_path, _paths(inputs["latents"]))
        settings["latents"] = True  # equal to float tolerance, so states do not mix
    accelerator = ranks.accelerator(where, config.precision)
    model = fresh_model(params.recipe, config, params.seed)
    logger.info(
        "train: recipe %s on %s, %d windows of %d frames at %d x %d px from %d clips, %.1f million parameters",
        params.recipe, where, len(windows), config.model.frames, size[1], size[0], len(windows.sources),
        sum(parameter.numel() for parameter in model.parameters()) / 1e6,
    )  # fmt: skip
    held_out = _held_out(config, shards, index) if config.validate_every or params.sample_every else None
    if held_out is not None:
        held_out.subjects = windows.subjects
    outcome = train(
        config,
        windows,
        poser,
        model=model,
        accelerator=accelerator,
        seed=params.seed,
        rhythm=Rhythm(config.steps, config.save_every, config.validate_every, params.sample_every),
        folder=Folder(outputs["checkpoint"].parent / STATE, settings, writes=accelerator.is_main_process),
        held_out=held_out,
    )
    if not accelerator.is_main_process:
        return
    record = {**settings, "config": recipes.as_json(config), "recipe": params.recipe, "steps": config.steps}
    record["packages"] = provenance.versions()
    record["processes"] = accelerator.num_processes
    record["params"] = dataclasses.asdict(params)
    with replacing(outputs["checkpoint"]) as weights, replacing(outputs["config"]) as document:
        checkpoint.save(outcome.model, outcome.averaged, weights, document, record)
    with replacing(outputs["curve"]) as table:
        write_table(outcome.curve, table)
    with replacing(outputs["plot"]) as picture:
        write_plot(outcome.curve, picture, outcome.validation)
    with replacing(outputs["validation"]) as judged:
        write_validation(outcome.validation, judged)


def _latents(
    config: TrainConfig, windows: Windows, files: Mapping[str, Path], body_model: Path, paths: list[Path]
) -> dict[Path, LatentCache]:
    """What the frozen networks made of every shard that has windows, by its folder.

    Raises:
        ToolError: The recipe's networks are not frozen, or latents are of something else.
    """
    latent_cache.check(config)
    made_with = latent_cache.key(config, files, body_model)
    by_name = {path.parent.parts[-2:]: path for path in paths}
    found = {}
    for shard in {source.shard.path: source.shard for source in windows.sources}.values():
        path = by_name[shard.path.parent.name, shard.path.stem]
        found[shard.path] = LatentCache(path, shard, made_with, per_clip=config.model.identity != "crop")
    return found


def fresh_model(recipe: str, config: TrainConfig, seed: int) -> MimoModel:
    """The model a run begins with, on the CPU.

    Raises:
        ToolError: Published weights that the recipe starts from are missing, or of another network.
    """
    files = recipes.weights(recipe, config)
    torch.manual_seed(seed)
    model = MimoModel(config.model)
    try:
        pretrained.load(model, files)
    except ValueError as error:
        raise ToolError(f"train: {error}") from None
    choose_learning(model, config.learning)
    if config.checkpointing:
        recompute(model)
    return model


def recompute(model: MimoModel) -> None:
    """Have activations of the large networks computed again in the backward pass, to save memory."""
    model.denoiser.unet.enable_gradient_checkpointing()
    model.identity.reference.unet.enable_gradient_checkpointing()


def choose_learning(model: MimoModel, patterns: Sequence[str]) -> None:
    """Freeze what no pattern names; nothing where there are none.

    Raises:
        ToolError: A pattern names nothing.
    """
    if not patterns:
        return
    learning = model.trained()
    idle = [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name, _ in learning)]
    if idle:
        raise ToolError(f"train: no parameter is named {', '.join(idle)}; correct `learning` of the recipe")
    for name, parameter in learning:
        parameter.requires_grad_(any(fnmatchcase(name, pattern) for pattern in patterns))


def changes(params: TrainParams) -> dict[str, Any]:
    """What settings change of a recipe, by name of the recipe's fields."""
    found: dict[str, Any] = {"shares": params.shares, "limits": params.limits}
    found = {name: value for name, value in found.items() if value}
    found |= {name: getattr(params, name) for name in _RHYTHM if getattr(params, name) is not None}
    if not params.augment:
        found |= {"flip": 0.0, "zoom": 1.0, "colour": 0.0}
    return found


def resolved(recipe: str, shards: list[Path], index: Path, **changed: Any) -> TrainConfig:
    """The recipe with some fields changed, and with the frame size that fits the shards.

    Raises:
        ToolError: The recipe is unknown, or the shards have nothing for it.
    """
    config = dataclasses.replace(recipes.named(recipe), **changed)
    pixels = config.model.height * config.model.width
    height, width = frame_size(config.model, *dataset(config, shards, index).size)
    sized = dataclasses.replace(config.model, height=height, width=width)
    return dataclasses.replace(config, model=sized, pixels=pixels)


def _held_out(config: TrainConfig, shards: list[Path], index: Path) -> Windows | None:
    """The windows a run is validated on; where there are none, that is said."""
    if not any(split_of(shard) == _HELD_OUT_SPLIT for shard in shards):
        logger.info("train: the shards have no split %s: no validation loss", _HELD_OUT_SPLIT)
        return None
    try:
        return dataset(config, shards, index, _HELD_OUT_SPLIT)
    except ToolError as error:
        logger.warning("train: no validation loss: %s", error)
        return None


def dataset(config: TrainConfig, shards: list[Path], index: Path, split: str = _TRAIN_SPLIT) -> Windows:
    """The windows of a split: those a run learns from, or is validated on.

    Raises:
        ToolError: No clip is usable, or the index has no such figure.
    """
    kinds, allowed = None, None
    if config.shares or config.limits:
        columns = {name: _QUALITY + name for name in config.limits}
        held = parquet.read_schema(index).names
        absent = [name for name, column in columns.items() if column not in held]
        if absent:
            there = ", ".join(name.removeprefix(_QUALITY) for name in held if name.startswith(_QUALITY))
            raise ToolError(f"train: limits name {', '.join(absent)}, the index has {there}")
        rows = parquet.read_table(index, columns=["id", "source", *columns.values()]).to_pylist()
        kinds = {row["id"]: row["source"] for row in rows}
        figures = {row["id"]: {name: row[column] for name, column in columns.items()} for row in rows}
        allowed = {clip for clip, known in figures.items() if within(known, config.limits)}
    return Windows(
        shards,
        split,
        config.model.frames,
        config.min_valid,
        allowed=allowed,
        shares=config.shares,
        kinds=kinds,
        amounts=Amounts(config.flip, config.zoom, config.colour) if split == _TRAIN_SPLIT else Amounts(),
        pixels=config.pixels,
    )


def _paths(value: Path | list[Path]) -> list[Path]:
    return value if isinstance(value, list) else [value]


def chosen_device(name: str) -> torch.device:
    """Device of a setting, told in the log.

    Raises:
        ToolError: There is none of the kind.
    """
    try:
        chosen = device.choose(name)
    except ValueError as error:
        raise ToolError(f"train: {error}") from None
    logger.info("train: device %s, asked for %s", chosen.type, name)
    return chosen
