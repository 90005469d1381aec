"""`python -m tools sample motion`: whether the trained model's people move as they are told."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import torch

from model_zoo.diffusion import checkpoint
from model_zoo.diffusion.pictures import LAYERS, clip_arrays
from model_zoo.diffusion.posing import Poser
from model_zoo.loading import device
from tools.sample import clips
from tools.sample.motion_study import Study, study
from tools.subject import frame_scores, subjects
from workflow.errors import ToolError
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.shards import EVERY_SHARD
from workflow.stages.train import CHECKPOINT, SETTINGS

logger = logging.getLogger(__name__)

_WORDS = {
    "source": "people of the source videos, own body",
    "own": "own motion, own body",
    "own_control": "own motion, bodies of the other clips",
    "swapped": "another clip's motion, that clip's body",
    "swapped_kept": "another clip's motion, own body",
    "swapped_control": "another clip's motion, bodies of third clips",
}


def main(argv: list[str]) -> int:
    """Answer a question about the trained model of a working directory; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools sample", description=__doc__)
    parser.add_argument("command", choices=["motion"])
    parser.add_argument("--clips", type=int, default=4, help="clips that lend scene, subject and motion; at least 2")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    options = parser.parse_args(argv)
    if options.clips < 2 or options.steps < 1:
        raise ToolError("sample motion: --clips is at least 2 and --steps at least 1")
    sys.stdout.write(table(_measured(options.clips, options.steps, options.device)) + "\n")
    return 0


def table(found: Study) -> str:
    """The figures as a table in Markdown."""
    rows = [f"| {_WORDS[name]} | {value:.3f} |" for name, value in found.figures().items()]
    return "\n".join(["| drawn people against | overlap |", "|---|---|", *rows])


def _measured(count: int, steps: int, where: str) -> Study:
    shards = sorted(Path().glob(EVERY_SHARD.path.format(split="*", shard="*")))
    missing = [path for path in (CHECKPOINT.path, SETTINGS.path, BODY_MODEL.path) if not Path(path).is_file()]
    if missing or not shards:
        raise ToolError(f"sample motion: {', '.join(missing) or 'shards'}: not there; run snakemake first")
    try:
        chosen = device.choose(where)
        model, record = checkpoint.load(Path(CHECKPOINT.path), Path(SETTINGS.path))
    except ValueError as error:
        raise ToolError(f"sample motion: {error}") from None
    with np.load(BODY_MODEL.path) as body:
        arrays = dict(body)
    if chosen.type == "cpu":
        torch.set_num_threads(int(record["config"]["cpu_threads"]))
    frames = model.config.frames
    usable = [source for source in clips.every(shards) if source.clip.length >= frames]
    usable = [source for source in usable if _start(source, frames) is not None][:count]
    if len(usable) < 2:
        raise ToolError(f"sample motion: needs two clips with {frames} valid frames in a row, found {len(usable)}")
    shown = subjects(model.config, arrays)
    made = []
    for source in usable:
        start = _start(source, frames)
        assert start is not None
        layers = source.shard.read_window(source.clip, start, frames, LAYERS)
        betas = source.shard.read_clip(source.clip, ("betas",))["betas"]
        best = int(frame_scores(source.shard, source.clip).argmax())
        reference = shown.picture(source.shard, source.clip, best, model.config.reference_size)
        made.append(clip_arrays(layers, betas, reference, model.config, frames))
        logger.info("sample motion: clip %s (%s) from frame %d", source.clip.id, source.split, start)
    return study(
        model.to(chosen), Poser(arrays).to(chosen), made, steps=steps, guidance=float(record["config"]["guidance"]),
        device=chosen, told=lambda i, j: logger.info("sample motion: scene %d, motion %d", i + 1, j + 1),
    )  # fmt: skip


def _start(source: clips.Source, frames: int) -> int | None:
    """First frame of a window that is valid from end to end."""
    valid = source.valid()
    start = clips.best_start(valid, frames)
    return start if valid[start : start + frames].all() else None
