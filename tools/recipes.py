"""Recipes: named training runs as plain data. `tiny` runs on a CPU in a minute, `paper` is the published setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_zoo.diffusion.config import MimoConfig, from_json, to_json
from workflow import layout
from workflow.errors import ToolError


@dataclass(frozen=True)
class TrainConfig:
    """A resolved run; saved with the checkpoint.

    Attributes:
        model: Sizes of the networks; height and width follow the shards' aspect, see `frame_size`.
        steps: Of the denoiser.
        save_every: Steps between two saved states.
        validate_every: Steps between two losses on held-out clips; 0 for none.
        learning: Patterns of the names of the parameters that learn; empty lets all learn that the method does not
            freeze. What does not learn keeps its pretrained weights and takes no gradient, moments or average.
        pixels: Of a frame, about; 0 takes the model's height times width.
        batch: Windows per step.
        accumulate: Parts a batch is worked through in, to save memory; each has batch / accumulate windows. Several
            processes keep the size of a part and have fewer of them each.
        optimizer: "adamw", or "adamw8bit" with the package bitsandbytes, which needs a GPU.
        learning_rate: Of the optimizer, after the warm-up.
        warmup: Steps over which it grows from zero.
        rate_half: Steps of the denoiser after which it has fallen to a half, after twice as many to a third, and so on;
            0 keeps it. A function of the step alone, so that a longer run begins as the shorter one did.
        weight_decay: Of the optimizer.
        clip_norm: Largest norm of the gradient.
        ema: Decay of the averaged weights that are saved; smaller while there are few steps.
        guidance: Strength of the conditions when a video is sampled; above 1 it needs a well-trained model.
        drop: Share of windows whose conditions are all dropped, for classifier-free guidance.
        autoencoder_steps: Steps that train the autoencoder before the denoiser; 0 where it is pretrained.
        autoencoder_rate: Learning rate of those steps.
        autoencoder_pictures: Pictures per such step.
        min_valid: Share of valid frames that a window must have.
        limits: Smallest and largest value of quality figures of `index.parquet` that a clip must keep, such as
            "body.reprojection_share".
        shares: Share of windows per source ("real", "synthetic"); empty takes them as they come.
        flip: Share of windows that are mirrored, body and camera with them.
        zoom: Largest enlargement of a window at random, by cutting closer; the camera follows. 1 leaves it whole.
        colour: Largest random change of brightness, contrast and saturation, as a share, the same for all layers.
        workers: Threads that read and resize windows.
        cpu_threads: Threads of torch on a CPU; fixed, so that a run gives the same bits on every machine of a kind.
        precision: "float32", or "bfloat16" for the denoiser on a GPU.
        checkpointing: Whether activations are recomputed to save memory.
        pretrained: Files in model_zoo/weights by part: "unet", "motion", "vae", "clip".
    """

    model: MimoConfig = field(default_factory=MimoConfig)
    steps: int = 60
    save_every: int = 20
    validate_every: int = 20
    learning: tuple[str, ...] = ()
    pixels: int = 0
    batch: int = 2
    accumulate: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    warmup: int = 10
    rate_half: int = 0
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema: float = 0.999
    guidance: float = 1.0
    drop: float = 0.1
    autoencoder_steps: int = 150
    autoencoder_rate: float = 2e-3
    autoencoder_pictures: int = 8
    min_valid: float = 0.75
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    flip: float = 0.0
    zoom: float = 1.0
    colour: float = 0.0
    workers: int = 2
    cpu_threads: int = 1
    precision: str = "float32"
    checkpointing: bool = False
    pretrained: dict[str, str] = field(default_factory=dict)


def tiny() -> TrainConfig:
    """Frames of 64 px, 8 at a time, 3.5 million parameters, autoencoder and all from scratch: a CPU and a minute."""
    return TrainConfig(model=MimoConfig(scene_prior=0.15, identity="apose"), learning_rate=1.5e-3, rate_half=200)


def _stable_diffusion(side: int, frames: int) -> MimoConfig:
    """Sizes of Stable Diffusion 1.5, AnimateDiff's motion modules and CLIP ViT-B/32."""
    return MimoConfig(
        height=side,
        width=side,
        frames=frames,
        autoencoder="kl",
        vae_channels=(128, 256, 512, 512),
        vae_layers=2,
        vae_groups=32,
        unet_channels=(320, 640, 1280, 1280),
        unet_attention_last=False,
        unet_layers=2,
        unet_groups=32,
        unet_heads=(8, 8, 8, 8),
        cross_dim=768,
        code_dim=32,
        motion_channels=(64, 128, 256),
        motion_scale=8,
        motion_temporal=False,
        clip=(768, 12, 12, 32, 224),
        identity="apose",
    )


_STABLE_DIFFUSION_FILES = {
    "unet": "sd15-unet.safetensors",
    "motion": "animatediff-motion-v1-5-2.safetensors",
    "vae": "sd-vae-ft-mse.safetensors",
    "clip": "clip-vit-base-patch32-vision.safetensors",
}


# What of Stable Diffusion's shape must learn for new conditions: the first layer, which gets eight channels more; the
# attention, where identity enters; the motion modules. With all that is made from scratch.
_NEW_CONDITIONS = (
    "motion.*",
    "identity.project.*",
    "identity.norm.*",
    "denoiser.unet.conv_in.*",
    "denoiser.*.attn1.*",
    "denoiser.*.attn2.*",
    "denoiser.*.motion_modules.*",
)


def small() -> TrainConfig:
    """Stable Diffusion 1.5 at 256 px, 16 frames, for one GPU of 24 GB.

    550 of the 2174 million parameters learn: 18 GB of weights, gradients, moments and averages, where all would be 44.
    """
    return TrainConfig(
        model=_stable_diffusion(256, 16),
        steps=50_000,
        save_every=500,
        validate_every=500,
        learning=_NEW_CONDITIONS,
        batch=4,
        accumulate=4,
        learning_rate=1e-5,
        warmup=500,
        ema=0.9999,
        guidance=3.5,
        autoencoder_steps=0,
        flip=0.5,
        zoom=1.15,
        colour=0.1,
        workers=4,
        precision="bfloat16",
        checkpointing=True,
        pretrained=dict(_STABLE_DIFFUSION_FILES),
    )


def paper() -> TrainConfig:
    """The published setting: 24 frames, batch 4, 50,000 steps, all learns but autoencoder and CLIP; at 512 px."""
    return dataclasses.replace(small(), model=_stable_diffusion(512, 24), learning=(), workers=8)


RECIPES: dict[str, Callable[[], TrainConfig]] = {"tiny": tiny, "small": small, "paper": paper}


def as_json(config: TrainConfig) -> dict[str, Any]:
    """A run as it is saved with the checkpoint."""
    flat = {item.name: getattr(config, item.name) for item in dataclasses.fields(config)}
    return {**flat, "model": to_json(config.model)}


def of_json(data: Mapping[str, Any]) -> TrainConfig:
    """The run that `as_json` gave, read from a file; what an earlier version did not know is as by default.

    Raises:
        ToolError: A key is unknown.
    """
    limits = {name: (low, high) for name, (low, high) in data.get("limits", {}).items()}
    try:
        made = {"model": from_json(data["model"]), "limits": limits, "learning": tuple(data.get("learning", ()))}
        return TrainConfig(**{**data, **made})
    except TypeError as error:
        raise ToolError(f"the run was written by another version: {error}; train again") from None


def named(name: str) -> TrainConfig:
    """The recipe of a name.

    Raises:
        ToolError: There is none.
    """
    if name not in RECIPES:
        raise ToolError(f"recipe is {name!r}, expected one of {', '.join(RECIPES)}")
    return RECIPES[name]()


def weights(name: str, config: TrainConfig, parts: Collection[str] | None = None) -> dict[str, Path]:
    """Files of the published weights that a recipe starts from, by part; of some parts, or of all.

    Raises:
        ToolError: Some are not there.
    """
    files = {part: layout.WEIGHTS / file for part, file in config.pretrained.items() if parts is None or part in parts}
    missing = [f"  {part}: {path}" for part, path in files.items() if not path.is_file()]
    if missing:
        raise ToolError(
            f"recipe {name} starts from published weights that are not there:\n"
            + "\n".join(missing)
            + "\nput them there as safetensors (see docs/licences.md), or choose recipe tiny"
        )
    return files
