"""Windows of consecutive frames from the shards, in an order that depends on the data, the seed and the step alone."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import logging
import threading
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_zoo.diffusion import augment
from model_zoo.diffusion.augment import Amounts, Change
from model_zoo.diffusion.config import MimoConfig, frame_size
from model_zoo.diffusion.pictures import (
    LAYERS,
    LAYERS_WITH_LATENTS,
    ClipArrays,
    LatentArrays,
    clip_arrays,
    latent_arrays,
)
from tools.latent_cache import LatentCache
from tools.subject import Subjects
from tools.train.buckets import Buckets
from workflow.errors import ToolError
from workflow.shard_reader import Buffers, Clip, Shard

logger = logging.getLogger(__name__)

_STEPS_AHEAD = 3


@dataclass(frozen=True)
class Pick:
    """One drawn window: which clip, from which frame on, which frame shows the subject, and how it is changed."""

    number: int
    start: int
    reference: int
    change: Change = augment.NONE


@dataclass(frozen=True)
class _Source:
    """A usable clip: where it lies, where windows may start, which frames are valid."""

    shard: Shard
    clip: Clip
    starts: np.ndarray
    valid: np.ndarray


class Windows:
    """All usable windows of a split.

    A window is usable when at least `min_valid` of its frames are valid. A clip shorter than a window gives one window,
    padded with its last frame; padding counts as not valid in the loss but not against the clip here.

    Attributes:
        digest: SHA-256 of which clips there are and what is in them.
        size: (H, W) of the first clip's frames, px.
        subjects: Who makes the pictures of the subjects; crops until another is set.
        latents: By folder of the shard, what the frozen networks made of it; None has them run in every step.
    """

    def __init__(
        self,
        shards: Sequence[Path],
        split: str,
        frames: int,
        min_valid: float,
        *,
        allowed: Collection[str] | None = None,
        shares: Mapping[str, float] | None = None,
        kinds: Mapping[str, str] | None = None,
        only: str = "",
        amounts: Amounts = Amounts(),  # noqa: B008  a tuple
        pixels: int = 0,
    ) -> None:
        """Look through the shards.

        Args:
            shards: Root `zarr.json` of every shard, `shards/<split>/<shard>.zarr/zarr.json`.
            split: Which shards to take.
            frames: Length of a window.
            min_valid: Share of valid frames that a window must have.
            allowed: Ids of the clips that may be taken, see `within`; None takes all.
            shares: Share of the windows by kind of clip; empty takes them as they come.
            kinds: Kind of each clip by id, "real" or "synthetic"; needed with `shares`.
            only: Id of a clip; all others are left out. Empty takes all.
            amounts: How much windows are changed at random.
            pixels: About how many pixels frames of another aspect than the first clip's are given; 0 takes the
                model's height times width.

        Raises:
            ToolError: No clip is usable.
        """
        self.frames = frames
        self.subjects = Subjects()
        self.latents: Mapping[Path, LatentCache] | None = None
        self.sources: list[_Source] = []
        rows = []
        skipped = 0
        for path in sorted(path for path in shards if split_of(path) == split):
            shard = Shard(path)
            if not shard.clips:
                continue
            valid = shard.array("valid").read(0, shard.length)
            for clip in shard.clips:
                if only and clip.id != only:
                    continue
                seen = valid[clip.start : clip.start + clip.length]
                good = allowed is None or clip.id in allowed
                starts = usable_starts(seen, frames, min_valid) if good else np.zeros(0, np.int64)
                rows.append(f"{clip.id} {clip.digest} {shard.attributes['profile']}")
                if len(starts):
                    self.sources.append(_Source(shard, clip, starts, np.flatnonzero(seen)))
                else:
                    skipped += 1
        if not self.sources:
            raise ToolError(
                f"train: no clip of split {split!r} has {frames} frames in a row of which {min_valid:.0%} are valid "
                f"and keeps the limits ({skipped} clips looked at); add videos, or see the report for why "
                "clips are rejected"
            )
        if skipped:
            logger.info("data: %d clips of %s have no usable window", skipped, split)
        self.digest = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
        self.size = (self.sources[0].shard.height, self.sources[0].shard.width)
        self._seed_words = [int(self.digest[i : i + 8], 16) for i in range(0, 32, 8)]
        weights = np.array([len(source.starts) for source in self.sources], np.float64)
        if shares:
            weights = _shared(weights, [(kinds or {})[source.clip.id] for source in self.sources], shares)
        self._buckets = Buckets([(source.shard.height, source.shard.width) for source in self.sources], weights)
        self._amounts, self._pixels = amounts, pixels
        self._local = threading.local()

    def __len__(self) -> int:
        """Number of windows."""
        return sum(len(source.starts) for source in self.sources)

    def draw(self, seed: int, step: int, index: int) -> Pick:
        """Window `index` of the batch of a step: a pure function of the data's digest and the arguments.

        All windows of a step have the same aspect.
        """
        rng = np.random.default_rng([*self._seed_words, seed, step, index])
        bucket = 0
        if len(self._buckets) > 1:
            bucket = self._buckets.bucket(np.random.default_rng([*self._seed_words, seed, step]).random())
        number = self._buckets.clip(bucket, rng.random())
        source = self.sources[number]
        start = int(source.starts[int(rng.random() * len(source.starts))])
        reference = int(source.valid[int(rng.random() * len(source.valid))])
        change = augment.NONE
        if self._amounts != Amounts():
            change = augment.draw(np.random.default_rng([*self._seed_words, seed, step, index, 1]), self._amounts)
        return Pick(number, start, reference, change)

    def sized(self, number: int, config: MimoConfig) -> MimoConfig:
        """The configuration with the frame size of a clip: its own aspect, about as many pixels."""
        shard = self.sources[number].shard
        if shard.height * self.size[1] == shard.width * self.size[0]:
            return config
        height, width = frame_size(config, shard.height, shard.width, self._pixels)
        return dataclasses.replace(config, height=height, width=width)

    def load(self, pick: Pick, config: MimoConfig) -> ClipArrays:
        """Read a window, size it and change it."""
        source, config = self.sources[pick.number], self.sized(pick.number, config)
        length = min(self.frames, source.clip.length - pick.start)
        layers = source.shard.read_window(source.clip, pick.start, length, LAYERS, self._buffers(source.shard, length))
        reference = self.subjects.picture(source.shard, source.clip, pick.reference, config.reference_size)
        betas = source.shard.read_clip(source.clip, ("betas",))["betas"]
        sample = clip_arrays(layers, betas, reference, config, self.frames, pick.change.framing)
        return augment.changed(sample, pick.change, config.motion_size[1])

    def sample(self, pick: Pick, config: MimoConfig) -> ClipArrays | LatentArrays:
        """What a step of the training learns from: the window, or its latents where they were made before."""
        if self.latents is None:
            return self.load(pick, config)
        source, config = self.sources[pick.number], self.sized(pick.number, config)
        length = min(self.frames, source.clip.length - pick.start)
        layers = source.shard.read_window(source.clip, pick.start, length, LAYERS_WITH_LATENTS)
        betas = source.shard.read_clip(source.clip, ("betas",))["betas"]
        size = (config.height, config.width)
        latents = self.latents[source.shard.path].read(source.clip, pick.start, length, pick.reference, size)
        return latent_arrays(layers, betas, latents, config, self.frames)

    def _buffers(self, shard: Shard, length: int) -> Buffers:
        """This thread's arrays to read into: fresh memory costs the system a third of the time."""
        key = (length, shard.height, shard.width, shard.attributes["profile"])
        if getattr(self._local, "key", None) != key:
            self._local.key, self._local.buffers = key, shard.empty_window(length, LAYERS)
        buffers: Buffers = self._local.buffers
        return buffers

    def whole(self, length: int, config: MimoConfig) -> ClipArrays:
        """The first clip from its first usable window on, `length` frames, its subject as window 0 of step 0 has it."""
        source = self.sources[0]
        pick = Pick(0, min(int(source.starts[0]), source.clip.length - length), self.draw(0, 0, 0).reference)
        longer = copy.copy(self)
        longer.frames = length
        return longer.load(pick, config)

    def explain(self, seed: int, step: int, batch: int, *, cropped: bool = True) -> list[str]:
        """Clip and frames of every window of a step, in words.

        Args:
            seed: Of the run.
            step: From 0.
            batch: Windows of a step.
            cropped: Whether the subject is shown as it stands in a frame of its own; re-posed, it is the same always.
        """
        lines = []
        for index in range(batch):
            pick = self.draw(seed, step, index)
            clip = self.sources[pick.number].clip
            last = min(pick.start + self.frames, clip.length) - 1
            how = "mirrored, " if pick.change.flip else ""
            how = f", {how}enlarged {pick.change.framing.zoom:.3f}" if pick.change != augment.NONE else ""
            shown = f", identity from frame {pick.reference}" if cropped else ""
            lines.append(f"{clip.id} frames {pick.start} to {last}{shown}{how}")
        return lines


def split_of(shard: Path) -> str:
    """Split of a shard by the path of its root `zarr.json`."""
    return shard.parent.parent.name


def usable_starts(valid: np.ndarray, frames: int, min_valid: float) -> np.ndarray:
    """First frames of windows with enough valid frames.

    Args:
        valid: Shape (T,), bool.
        frames: Length of a window; a shorter clip is one window.
        min_valid: Share of the window's frames that must be valid; at least one must be.

    Returns:
        Shape (n,), int64, ascending.
    """
    if not len(valid):
        return np.zeros(0, np.int64)
    length = min(frames, len(valid))
    total = np.concatenate([[0], np.cumsum(valid)])
    counts = total[length:] - total[:-length]
    return np.flatnonzero(counts >= max(1, np.ceil(min_valid * length)))


def within(figures: Mapping[str, float | None], limits: Mapping[str, tuple[float, float]]) -> bool:
    """Whether a clip has every limited figure, and within its limits."""
    values = ((figures.get(name), low, high) for name, (low, high) in limits.items())
    return all(value is not None and low <= value <= high for value, low, high in values)


def _shared(weights: np.ndarray, kinds: list[str], shares: Mapping[str, float]) -> np.ndarray:
    """Weights scaled so that each kind of clip gets its share."""
    unknown = sorted(set(kinds) - set(shares))
    if unknown:
        raise ToolError(
            f"train: shares say nothing of source {', '.join(unknown)}; give every source a share, 0 to leave it out"
        )
    scaled = np.zeros_like(weights)
    for kind, share in shares.items():
        of_kind = np.array([k == kind for k in kinds])
        if of_kind.any():
            scaled[of_kind] = share * weights[of_kind] / weights[of_kind].sum()
    if not scaled.sum() > 0:
        raise ToolError(f"train: shares {dict(shares)} leave no clip; there are {', '.join(sorted(set(kinds)))}")
    return scaled


def batches(
    windows: Windows,
    config: MimoConfig,
    *,
    seed: int,
    steps: range,
    batch: int,
    workers: int,
    share: slice = slice(None),
) -> Iterator[list[ClipArrays] | list[LatentArrays]]:
    """Batches of the steps, or the share of each that one of several processes works through, in order, read ahead.

    The number of threads decides when a window is read, never which; the number of processes decides who reads it.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="windows") as pool:
        waiting: deque[list[Future[Any]]] = deque()
        try:
            for step in steps:
                picks = [windows.draw(seed, step, index) for index in range(batch)[share]]
                waiting.append([pool.submit(windows.sample, pick, config) for pick in picks])
                if len(waiting) > _STEPS_AHEAD:
                    yield [future.result() for future in waiting.popleft()]
            while waiting:
                yield [future.result() for future in waiting.popleft()]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
