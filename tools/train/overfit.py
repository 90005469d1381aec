"""Health check: can the model learn one clip by heart? If it cannot, nothing else about a training matters."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model_zoo.diffusion.pictures import collate, to_pictures
from model_zoo.diffusion.posing import Poser
from model_zoo.metrics import pictures
from tools import mp4
from tools.recipes import TrainConfig
from tools.subject import subjects
from tools.train import averages, ranks
from tools.train.curve import running_mean, write_plot, write_table
from tools.train.data import Windows, split_of
from tools.train.diffusion import fresh_model
from tools.train.loop import DENOISER, Rhythm, train
from tools.train.snapshots import drawn
from tools.train.state import Folder
from workflow.errors import ToolError
from workflow.shard_reader import Shard
from workflow.store import replacing

logger = logging.getLogger(__name__)

LOSS_SHARE, PSNR_dB = 0.1, 20.0  # what a healthy trainer reaches
_FIRST, _LAST_SHARE = 20, 10  # steps at the start; the last tenth, as single steps differ much with their time step
_SAVE_EVERY = 200
_VIDEO_PX = 256


@dataclass(frozen=True)
class Verdict:
    """What the check found.

    Attributes:
        first: Loss, mean of the first steps.
        last: Loss, mean of the last steps.
        psnr: Of the sampled clip against the source, dB, over the valid frames.
        psnr_human: The same where the subject is.
        psnr_scene: Of the scene without the subject against the source: what copying the scene would reach.
    """

    first: float
    last: float
    psnr: float
    psnr_human: float
    psnr_scene: float

    @property
    def healthy(self) -> bool:
        """Whether loss and picture are good enough."""
        return self.last < LOSS_SHARE * self.first and self.psnr > PSNR_dB

    def words(self) -> str:
        """The verdict for people."""
        good, bad = "as it should be", "NOT as it should be"
        lines = [
            f"loss {self.first:.4f} -> {self.last:.4f}, {self.last / self.first:.3f} of its start "
            f"(expected below {LOSS_SHARE:g}): {good if self.last < LOSS_SHARE * self.first else bad}",
            f"sampled clip against the source: {self.psnr:.1f} dB (expected above {PSNR_dB:g}): "
            f"{good if self.psnr > PSNR_dB else bad}; the subject alone {self.psnr_human:.1f} dB; "
            f"the scene without the subject would have {self.psnr_scene:.1f} dB",
            "passed: the model learns a clip by heart" if self.healthy else "FAILED: the model does not learn a clip",
        ]
        return "\n".join(lines)


def run(
    recipe: str,
    config: TrainConfig,
    shards: Sequence[Path],
    body_model: Path,
    clip: str,
    *,
    steps: int,
    seed: int,
    device: torch.device,
    into: Path,
) -> Verdict:
    """Train on one clip, sample it, compare.

    Args:
        recipe: Name of the recipe.
        config: What it says for these shards; conditions are never dropped here.
        shards: Root `zarr.json` of every shard.
        body_model: File of the body model.
        clip: Id of the clip; empty takes the first usable one.
        steps: Of the denoiser.
        seed: Of the run.
        device: Where to compute.
        into: Folder in which one of the clip's name gets states, curve and sampled video (result left, source right).

    Raises:
        ToolError: There is no such clip, or it has no usable window.
    """
    where, clip = _find(shards, clip)
    into = into / clip
    with np.load(body_model) as file:
        body = dict(file)
    poser = Poser(body)
    config = dataclasses.replace(
        config, drop=0.0, model=dataclasses.replace(config.model, num_vertices=poser.num_vertices)
    )
    windows = Windows([where], split_of(where), config.model.frames, config.min_valid, only=clip)
    windows.subjects = subjects(config.model, body)
    accelerator = ranks.accelerator(device, config.precision)
    settings = {"config": dataclasses.asdict(config), "data": windows.digest, "seed": seed, "device": device.type}
    logger.info("overfit: clip %s, %d windows, %d steps", clip, len(windows), steps)
    outcome = train(
        config,
        windows,
        poser,
        model=fresh_model(recipe, config, seed),
        accelerator=accelerator,
        seed=seed,
        rhythm=Rhythm(steps, _SAVE_EVERY),
        folder=Folder(into / "state", settings),
    )
    write_table(outcome.curve, into / "loss.csv")
    write_plot(outcome.curve, into / "loss.png")
    losses = outcome.curve[outcome.curve[:, 1] == DENOISER, 2]
    (source,) = windows.sources
    length = min(source.clip.length, 3 * config.model.frames)
    known = collate([windows.whole(length, config.model)], device)
    with averages.used(outcome.averaged, outcome.model):
        result = drawn(outcome.model, poser.to(device), known, config.guidance)
    video, scene = to_pictures(known.video[0]), to_pictures(known.scene[0])
    with replacing(into / "sample.mp4") as path:
        mp4.write(mp4.enlarged(np.concatenate([result, video], 2), _VIDEO_PX), source.clip.fps, path)
    counts = np.broadcast_to(known.valid[0].cpu().numpy()[:, None, None], video.shape[:3]).astype(np.float64)
    human = known.human_mask[0].cpu().numpy() * counts
    return Verdict(
        float(losses[:_FIRST].mean()),
        float(running_mean(losses, max(_FIRST, steps // _LAST_SHARE))[-1]),
        psnr(result, video, counts),
        psnr(result, video, human),
        psnr(scene, video, counts),
    )


def psnr(one: np.ndarray, other: np.ndarray, weight: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB.

    Args:
        one: Shape (T, H, W, 3), uint8.
        other: Same.
        weight: Shape (T, H, W), of the pixels.
    """
    error = np.square(one.astype(np.float64) - other).mean(-1)
    return pictures.psnr(float((error * weight).sum() / weight.sum()))


def _find(shards: Sequence[Path], clip: str) -> tuple[Path, str]:
    """Shard of a clip, and its id."""
    known = []
    for path in sorted(shards):
        for found in Shard(path).clips:
            if found.id == clip or not clip:
                return path, found.id
            known.append(found.id)
    raise ToolError(f"overfit: no clip {clip!r} in the shards; there are {len(known)}, such as {', '.join(known[:5])}")
