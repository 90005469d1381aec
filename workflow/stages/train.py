"""Train and sample: a video diffusion model that proves the shards."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Optional

from workflow.stage import Backend, File, Params, Resources, Stage, outside
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.latents import EVERY_LATENTS
from workflow.stages.shards import EVERY_SHARD, INDEX

CHECKPOINT = File("checkpoint", "train/model.safetensors")
SETTINGS = File("config", "train/model.json")
LOG = File("curve", "train/loss.csv")
PLOT = File("plot", "train/loss.png")
VALIDATION = File("validation", "train/validation.csv")
VIDEO = File("video", "train/sample.mp4")
SHEET = File("sheet", "train/sample.png")

RECIPES = ("tiny", "small", "paper")  # those of tools/recipes.py
SOURCES = ("real", "synthetic")  # column `source` of the index

# What the recipes that do not run on a CPU need (docs/trainer.md); others take what the backend declares.
_LARGE = {
    "small": Resources(threads=6, mem_mb=32_000, runtime_min=2_880, gpu_class="gpu-medium"),
    "paper": Resources(threads=10, mem_mb=64_000, runtime_min=7_200, gpu_class="gpu-large"),
}


@dataclass(frozen=True)
class TrainParams(Params):
    """Conditional latent video diffusion on windows of the shards."""

    recipe: str = "tiny"  # tools/recipes.py
    steps: Optional[int] = None  # of the denoiser; null takes the recipe's. Raising it goes on training
    seed: int = 0  # another seed, other windows and other noise
    device: str = "auto"  # auto, cpu or cuda
    processes: int = 1  # on one machine, one GPU each; they share a batch, so the data of a step stay the same
    augment: bool = True  # the recipe's random changes of windows; see flip, zoom and colour in tools/recipes.py
    latents: bool = False  # read what the stage `latents` made of the shards with the same recipe; needs augment: false
    save_every: Optional[int] = None  # steps between resumable states in train/state; null takes the recipe's
    validate_every: Optional[int] = None  # steps between losses on the split `val`; 0 for none, null the recipe's
    sample_every: int = 0  # steps of the denoiser between short videos in train/state/<run>/samples; 0 for none
    shares: dict[str, float] = field(default_factory=dict)  # of windows by source: {real: 0.7, synthetic: 0.3}
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)  # of figures: {body.valid_share: [0.9, 1]}

    def faults(self) -> list[str]:
        """Values that cannot work."""
        found = _device_faults(self.device)
        if self.recipe not in RECIPES:
            found.append(f"recipe: is {self.recipe!r}, expected one of {', '.join(RECIPES)}")
        if self.latents and self.augment:
            found.append("latents: is true, expected augment: false with it; latents are of windows as they are")
        found += outside(
            self, steps=(1, None), processes=(1, None), save_every=(1, None), validate_every=(0, None),
            sample_every=(0, None), seed=(0, None),
        )  # fmt: skip
        for source, share in self.shares.items():
            if source not in SOURCES or not 0 <= share < math.inf:
                found.append(f"shares: has {source}: {share}, expected {' and '.join(SOURCES)}, none negative")
        for figure, (low, high) in self.limits.items():
            if not low <= high:
                found.append(f"limits: has {figure}: {low} to {high}, expected the smaller one first")
        return found

    def needs(self, declared: Resources) -> Resources:
        """Recipes of published sizes need a GPU per process; `tiny` takes one only with `device: cuda`."""
        need = _LARGE.get(self.recipe, declared)
        if self.device == "cuda" and need.gpu_class == "cpu":
            need = dataclasses.replace(need, gpu_class="gpu-small")
        return dataclasses.replace(
            need, threads=need.threads * self.processes, mem_mb=need.mem_mb * self.processes, gpu_count=self.processes
        )


# Kinds of files that may take a clip's place, by their endings.
MOTION_FILES = (".npz",)
PICTURE_FILES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
VIDEO_FILES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


def is_file(name: str) -> bool:
    """Whether a setting names a file and no clip: clip ids hold no dot and no slash."""
    return "." in name or "/" in name


@dataclass(frozen=True)
class SampleParams(Params):
    """Video from the trained model: who, how they move and where, each from a clip or from a file."""

    clip: str = ""  # clip id that gives what is not named below; empty takes the first clip of `val`, then of `test`
    motion: str = ""  # clip id, or an .npz of SMPL parameters (AMASS, XRMocap); empty takes `clip`
    identity: str = ""  # clip id, or a picture of the subject; empty takes `clip`
    identity_mask: str = ""  # picture of the subject's mask, where `identity` is a picture that is not cut out
    scene: str = ""  # clip id, or a picture or video of the scene (then without occluders); empty takes `clip`
    frames: int = 24  # of the video, at most the motion's; longer than the model's window by overlapping windows
    steps: int = 20  # denoising steps
    guidance: Optional[float] = None  # 1 is the conditional model as it is; null takes the recipe's
    seed: int = 0  # another seed, other noise
    device: str = "auto"  # auto, cpu or cuda

    def faults(self) -> list[str]:
        """Values that cannot work."""
        found = _device_faults(self.device)
        for name in ("frames", "steps"):
            if getattr(self, name) < 1:
                found.append(f"{name}: is {getattr(self, name)}, expected at least 1")
        found += outside(self, guidance=(0, 100), seed=(0, None))
        for name, kinds in (("motion", MOTION_FILES), ("identity", PICTURE_FILES), ("identity_mask", PICTURE_FILES),
                            ("scene", PICTURE_FILES + VIDEO_FILES)):  # fmt: skip
            value = getattr(self, name)
            if is_file(value) and not value.lower().endswith(kinds):
                found.append(f"{name}: is {value!r}, expected a clip id or a file of {', '.join(kinds)}")
        if self.clip and self.motion and self.identity and self.scene:
            found.append("clip: has no effect, motion, identity and scene are all named; remove it")
        if self.identity_mask and not is_file(self.identity):
            found.append("identity_mask: has no effect, identity is no picture; remove it")
        return found

    def files(self) -> list[str]:
        """The files that are named."""
        return [name for name in (self.motion, self.identity, self.identity_mask, self.scene) if is_file(name)]

    def needs(self, declared: Resources) -> Resources:
        """A GPU where `device` says so; the model's size is known to its checkpoint alone."""
        return dataclasses.replace(declared, gpu_class="gpu-medium") if self.device == "cuda" else declared


def _device_faults(device: str) -> list[str]:
    choices = ("auto", "cpu", "cuda")
    return [] if device in choices else [f"device: is {device!r}, expected one of {', '.join(choices)}"]


STAGE = Stage(
    "train",
    "train the bundled video diffusion model",
    inputs=(INDEX, EVERY_SHARD, BODY_MODEL, EVERY_LATENTS),
    outputs=(CHECKPOINT, SETTINGS, LOG, PLOT, VALIDATION),
    backends={
        "diffusion": Backend(
            "train",
            TrainParams,
            Resources(threads=2, mem_mb=6_000, runtime_min=2_880),
            version=3,
            weights=("for:train/{recipe}",),
            summary="diffusers",
        )
    },
    default="diffusion",
)

SAMPLE_STAGE = Stage(
    "sample",
    "a video from the trained model: subject, motion and scene from clips or files",
    inputs=(INDEX, EVERY_SHARD, BODY_MODEL, CHECKPOINT, SETTINGS),
    outputs=(VIDEO, SHEET),
    backends={
        "diffusion": Backend("train", SampleParams, Resources(threads=2, mem_mb=4_000), version=2, summary="DDIM")
    },
    default="diffusion",
)
