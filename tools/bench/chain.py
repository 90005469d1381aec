"""One clip through every stage to its shard, as `snakemake` runs it."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from tools.bench.process import Cost, measure
from workflow import catalog, layout
from workflow.stages import PIPELINE


@dataclass(frozen=True)
class StageCost:
    """What one stage took, as Snakemake measured its job."""

    stage: str
    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Run:
    """A whole run."""

    frames: int
    cost: Cost
    stages: tuple[StageCost, ...]

    @property
    def peak_mb(self) -> float:
        """Memory of the largest job."""
        return max(stage.peak_mb for stage in self.stages)


def loop(video: Path, times: int, into: Path) -> Path:
    """The same clip several times end to end, without coding it again."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", str(times - 1), "-i", str(video),
        "-an", "-c", "copy", str(into),
    ]  # fmt: skip
    measure(command, into.parent, into.with_suffix(".log"))
    return into


def snakemake(directory: Path, *arguments: str) -> list[str]:
    """Command line of a run of this repository in a working directory."""
    return [
        sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(layout.repository / "Snakefile"),
        "--directory", str(directory),
    ]  # fmt: skip


def run(video: Path, directory: Path, cores: int) -> Run:
    """Run one clip through every stage to the shard; the body model is made before the clock starts.

    Args:
        video: A video of one shot.
        directory: Empty working directory.
        cores: Cores Snakemake may use.
    """
    directory.mkdir(parents=True)
    config = ["--cores", str(cores), "--config", f"videos={video}"]
    measure(snakemake(directory, "work/body_model.npz", *config), directory, directory / "model.log")
    (directory / "catalog" / "clips.jsonl").unlink()
    for manifest in directory.glob("work/s*/clips.json"):
        manifest.unlink()
    cost = measure(snakemake(directory, "shards_only", *config), directory, directory / "run.log")
    frames = sum(row.clip.frames for row in catalog.read(directory / layout.CATALOG).rows.values())
    return Run(frames, cost, tuple(_stages(directory)))


def _stages(directory: Path) -> Iterator[StageCost]:
    """Cost of every stage over all its jobs: times added up, memory of the largest."""
    for stage in PIPELINE:
        if stage.name == "body_model":
            continue
        rows = []
        for path in sorted((directory / "benchmarks" / stage.name).rglob("*.tsv")):
            with path.open() as file:
                rows += list(csv.DictReader(file, delimiter="\t"))
        if rows:
            yield StageCost(
                stage.name,
                sum(float(row["s"]) for row in rows),
                sum(_number(row["cpu_time"]) for row in rows),
                max(_number(row["max_rss"]) for row in rows),
            )


def _number(text: str) -> float:
    """Snakemake writes NA for jobs too short to sample."""
    return 0.0 if text in ("NA", "-") else float(text)


def table(measured: Run) -> str:
    """Markdown table of a run."""
    lines = [
        "| stage | seconds | frames/s | peak memory, MB | share of wall time |",
        "|---|---|---|---|---|",
    ]
    for stage in measured.stages:
        rate = measured.frames / stage.wall_s if stage.wall_s else 0.0
        share = stage.wall_s / measured.cost.wall_s
        lines.append(f"| {stage.stage} | {stage.wall_s:.1f} | {rate:.1f} | {stage.peak_mb:.0f} | {share:.0%} |")
    rate = measured.frames / measured.cost.wall_s
    lines.append(
        f"| all, start-up, catalog and planning included | {measured.cost.wall_s:.1f} | {rate:.2f} "
        f"| {measured.peak_mb:.0f} | 100% |"
    )
    return "\n".join(lines)
