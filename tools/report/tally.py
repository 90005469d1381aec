"""`python -m tools tally`: what the working directory holds, in a few lines. Needs no more than the core."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tools.page.words import counted
from workflow import catalog, layout
from workflow.stages.report import OVERVIEW
from workflow.stages.shards import SHARD
from workflow.stages.train import CHECKPOINT, VIDEO

_REASONS = 3  # told one by one
_WIDTH = 120  # of a line
_PLACES = (
    ("report", (OVERVIEW.path,)),
    ("shards", (SHARD.path.partition("/")[0],)),
    ("model", (CHECKPOINT.path, VIDEO.path)),
)


@dataclass
class Count:
    """What is there.

    Attributes:
        splits: Clips by split.
        frames: Of all clips.
        seconds: Of all clips.
        shards: Number of them.
        rejected: By stage and reason.
        withdrawn: Clips taken out.
        pending: Clips the catalog has and no shard.
    """

    splits: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    seconds: float = 0.0
    shards: int = 0
    rejected: Counter[tuple[str, str]] = field(default_factory=Counter)
    withdrawn: int = 0
    pending: int = 0

    @property
    def clips(self) -> int:
        """Clips in the data set."""
        return sum(self.splits.values())


def main(argv: list[str]) -> int:
    """Tell; returns 0 whatever is missing."""
    parser = argparse.ArgumentParser(prog="python -m tools tally", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="working directory; this one if none")
    root = parser.parse_args(argv).folder
    sys.stdout.write("\n".join(lines(root)) + "\n")
    return 0


def lines(root: Path) -> list[str]:
    """What to tell of a working directory."""
    if not (root / layout.CATALOG).exists() and not _stores(root):
        return ["Nothing is there yet: no catalog and no shards. Name your videos in config.yaml and run snakemake."]
    count = gather(root)
    told = [_held(count)]
    rejected = sum(count.rejected.values())
    if rejected:
        told.append(f"{counted(rejected, 'clip or file', 'clips or files')} rejected:")
        reasons = sorted(count.rejected.items(), key=lambda item: (-item[1], item[0]))
        told += [_clipped(f"  {number:>5} {stage}: {reason}") for (stage, reason), number in reasons[:_REASONS]]
        rest = reasons[_REASONS:]
        if rest:
            told.append(f"  {sum(number for _, number in rest):>5} for {counted(len(rest), 'other reason')}")
    others = [(count.withdrawn, "withdrawn"), (count.pending, "not in a shard yet")]
    if any(number for number, _ in others):
        told.append(", ".join(f"{counted(number, 'clip')} {word}" for number, word in others if number))
    for word, paths in _PLACES:
        there = [path for path in paths if (root / path).exists()]
        if there:
            told.append(f"{word:<7} {', '.join(there)}")
    return told


def gather(root: Path) -> Count:
    """Count the clips of the catalog and of the shards; either may be missing."""
    count = Count()
    log = root / layout.CATALOG
    known = catalog.read(log) if log.exists() else None
    members = known.members() if known else {}
    settled = set()
    for store in _stores(root):
        attributes = json.loads(store.read_bytes())["attributes"]
        active = None if known is None else {row.id for row in members.get(attributes["shard"], ())}
        count.shards += 1
        for clip in attributes["clips"]:
            if active is None or clip["id"] in active:
                settled.add(clip["id"])
                count.splits[attributes["split"]] += 1
                count.frames += clip["length"]
                count.seconds += clip["length"] / clip["fps"]
        for clip in attributes["rejected"]:
            if active is None or clip["id"] in active:
                settled.add(clip["id"])
                count.rejected[clip["stage"], clip["reason"]] += 1
    if known:
        _add_catalog(count, known, settled)
    return count


def _add_catalog(count: Count, known: catalog.Catalog, settled: set[str]) -> None:
    """Count what only the catalog knows."""
    cut = set()
    for row in known.rows.values():
        cut.add(row.clip.sha256)
        if row.status == catalog.WITHDRAWN:
            count.withdrawn += 1
        elif row.status == catalog.REJECTED:
            count.rejected["catalog", row.reason] += 1
        elif row.id not in settled:
            count.pending += 1
    for video in known.videos.values():
        if video.sha256 not in cut:
            count.rejected["catalog", video.reason or "holds no clip"] += 1


def _held(count: Count) -> str:
    if not count.clips:
        return "No clip is in the data set."
    splits = ", ".join(f"{name} {count.splits[name]:,}" for name in catalog.SPLITS if count.splits[name])
    return (
        f"{counted(count.clips, 'clip')} ({splits}) in {counted(count.shards, 'shard')}: "
        f"{counted(count.frames, 'frame')}, {count.seconds / 60:,.1f} minutes"
    )


def _clipped(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _stores(root: Path) -> list[Path]:
    return sorted(root.glob(SHARD.path.format(split="*", shard="*")))
