"""Latents of a shard's frames, scenes, occluders and identity pictures by a recipe's autoencoder and CLIP."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap

from model_zoo.diffusion.config import LATENT_CHANNELS, frame_size
from model_zoo.diffusion.frozen import PARTS, FrozenParts
from model_zoo.diffusion.pictures import LAYERS, clip_arrays
from model_zoo.loading import device
from tools import latent_cache, progress, recipes
from tools.subject import subjects
from workflow.errors import ToolError
from workflow.shard_reader import Shard
from workflow.stages.latents import VaeParams
from workflow.store import replacing

_FRAMES_AT_ONCE = 4  # some 2 GB at 512 px


def run(params: VaeParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Write the latents of one shard; memory does not grow with its length."""
    path, body_path = inputs["shard"], inputs["body_model"]
    assert isinstance(path, Path) and isinstance(body_path, Path)
    config = recipes.named(params.recipe)
    latent_cache.check(config)
    files = recipes.weights(params.recipe, config, PARTS)
    shard = Shard(path)
    with np.load(body_path) as body:
        shown = subjects(config.model, dict(body))
    try:
        where = torch.device(device.choose(params.device).type)
        networks = FrozenParts(config.model, files).to(where)
    except ValueError as error:
        raise ToolError(f"latents: {error}") from None
    output = outputs["latents"]
    output.unlink(missing_ok=True)  # what it describes is about to change
    size = (
        frame_size(config.model, shard.height, shard.width)
        if shard.clips
        else (config.model.height, config.model.width)
    )
    model = dataclasses.replace(config.model, height=size[0], width=size[1])
    per_clip = model.identity != "crop"
    height, width = model.latent_size
    side = min(size) // model.vae_factor
    pictures = len(shard.clips) if per_clip else shard.length
    shapes = dict.fromkeys(("video", "scene", "occluder"), (shard.length, LATENT_CHANNELS, height, width))
    shapes |= {"reference": (pictures, LATENT_CHANNELS, side, side), "embedding": (pictures, 512)}
    made = {name: _array(output.with_name(f"{name}.npy"), shape) for name, shape in shapes.items()}
    spans = [(number, clip, start) for number, clip in enumerate(shard.clips)
             for start in range(0, clip.length, _FRAMES_AT_ONCE)]  # fmt: skip
    for number, clip, start in progress.bar(spans, len(spans), "latents"):
        length = min(_FRAMES_AT_ONCE, clip.length - start)
        layers = shard.read_window(clip, start, length, LAYERS)
        betas = shard.read_clip(clip, ("betas",))["betas"]
        picture = np.ones((3, *model.reference_size), np.float32)
        sample = clip_arrays(layers, betas, picture, model, length)
        begin = clip.start + start
        for name in ("video", "scene", "occluder"):
            found = networks.latents_of(torch.from_numpy(getattr(sample, name)).to(where))
            made[name][begin : begin + length] = found.transpose(0, 1).cpu().numpy()
        frames = ([0] if start == 0 else []) if per_clip else range(start, start + length)
        for frame in frames:
            shown_as = torch.from_numpy(shown.picture(shard, clip, frame, model.reference_size)).to(where)
            place = number if per_clip else clip.start + frame
            made["reference"][place] = networks.latents_of(shown_as[:, None])[:, 0].cpu().numpy()
            made["embedding"][place] = networks.embedding_of(shown_as).cpu().numpy()
    for array in made.values():
        if isinstance(array, np.memmap):
            array.flush()
    said = latent_cache.describe(shard, latent_cache.key(config, files, body_path), size)
    with replacing(output) as partial:
        partial.write_text(json.dumps(said, indent=1) + "\n")


def _array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Array in a file, to be filled; an empty one, of a shard without clips, cannot be mapped."""
    if 0 in shape:
        np.save(path, np.zeros(shape, np.float32))
        return np.zeros(shape, np.float32)
    return open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
