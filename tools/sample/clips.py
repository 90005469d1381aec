"""Which clip the sample is driven by."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow.errors import ToolError
from workflow.shard_reader import Clip, Shard

logger = logging.getLogger(__name__)

HELD_OUT = ("val", "test")


@dataclass(frozen=True)
class Source:
    """A clip, where it lies and of which split it is."""

    shard: Shard
    clip: Clip
    split: str

    def valid(self) -> np.ndarray:
        """(T,) bool."""
        return self.shard.read_window(self.clip, 0, self.clip.length, ("valid",))["valid"]


def every(shards: Sequence[Path]) -> list[Source]:
    """All clips of the shards, in the order of their paths."""
    found = []
    for path in sorted(shards):
        shard = Shard(path)
        found += [Source(shard, clip, path.parent.parent.name) for clip in shard.clips]
    return found


def find(sources: Sequence[Source], clip_id: str) -> Source:
    """Clip by its id.

    Raises:
        ToolError: There is none.
    """
    for source in sources:
        if source.clip.id == clip_id:
            return source
    known = ", ".join(source.clip.id for source in sources[:5])
    raise ToolError(f"no clip {clip_id!r} in the shards; there are {len(sources)}, such as {known}")


def held_out(sources: Sequence[Source]) -> Source:
    """First clip of `val`, else of `test`; where nothing is held out the last clip of `train`, said aloud.

    Raises:
        ToolError: No clip has a valid frame.
    """
    usable = [source for source in sources if source.valid().any()]
    for split in HELD_OUT:
        for source in usable:
            if source.split == split:
                return source
    if not usable:
        raise ToolError("sample: no clip of the shards has a valid frame; see the report for why clips are rejected")
    logger.warning(
        "sample: the shards hold no clip of val or test; the sample is driven by a clip the model was trained on (%s)",
        usable[-1].clip.id,
    )
    return usable[-1]


def best_start(valid: np.ndarray, frames: int) -> int:
    """First frame of the window with the most valid frames; the earliest of equals."""
    length = min(frames, len(valid))
    total = np.concatenate([[0], np.cumsum(valid)])
    return int(np.argmax(total[length:] - total[:-length]))


def there_and_back(length: int, frames: int) -> list[int]:
    """Frames of a shorter video that fill a longer one: forth, back, and forth again."""
    order = [*range(length), *range(length - 2, 0, -1)]
    return [order[t % len(order)] for t in range(frames)]
