"""Train and sample: a video diffusion model that proves the shards."""

from __future__ import annotations

from dataclasses import dataclass

from workflow.stage import Backend, File, Params, Resources, Stage
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.shards import EVERY_SHARD, INDEX

CHECKPOINT = File("checkpoint", "train/model.safetensors")
SETTINGS = File("config", "train/model.json")
LOG = File("curve", "train/loss.csv")
PLOT = File("plot", "train/loss.png")
VIDEO = File("video", "train/sample.mp4")
SHEET = File("sheet", "train/sample.png")


@dataclass(frozen=True)
class TrainParams(Params):
    """Conditional latent video diffusion on windows of the shards."""

    recipe: str = "tiny"  # tools/train/recipes.py
    steps: int = 60
    seed: int = 0
    device: str = "auto"  # auto, cpu or cuda
    save_every: int = 20  # steps between resumable checkpoints


@dataclass(frozen=True)
class SampleParams(Params):
    """Video from the trained model, on motion and scene of a held-out clip."""

    clip: str = ""  # clip id that gives motion and scene; empty takes the first clip of `val`, then of `test`
    steps: int = 20  # denoising steps
    guidance: float = 2.0
    seed: int = 0
    device: str = "auto"


STAGE = Stage(
    "train",
    "train the bundled video diffusion model",
    inputs=(INDEX, EVERY_SHARD, BODY_MODEL),
    outputs=(CHECKPOINT, SETTINGS, LOG, PLOT),
    backends={"diffusion": Backend("train", TrainParams, Resources(threads=2, mem_mb=6_000, runtime_min=2_880), summary="diffusers")},
    default="diffusion",
)

SAMPLE_STAGE = Stage(
    "sample",
    "a video from the trained model, conditioned on a held-out clip",
    inputs=(INDEX, EVERY_SHARD, BODY_MODEL, CHECKPOINT, SETTINGS),
    outputs=(VIDEO, SHEET),
    backends={"diffusion": Backend("train", SampleParams, Resources(threads=2, mem_mb=4_000), summary="DDIM")},
    default="diffusion",
)
