"""`python -m tools bench`: measure, print, and keep the tables in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tools.bench import chain, loader, machine, plan, rendering
from tools.nvr import bench as nvr
from workflow import layout
from workflow.errors import ToolError

logger = logging.getLogger(__name__)

PAGE = layout.repository / "docs" / "benchmarks.md"
_PLAN_CLIPS = 10_000
_LOOPS = 10


def footage() -> Path:
    """The clip the chain is measured on.

    Raises:
        ToolError: It is not there.
    """
    beside = layout.repository.parent / "shared" / "data" / "real"
    folder = Path(os.environ.get("STRATA_REAL_CLIPS", beside))
    clip = folder / "juggle.mp4"
    if not clip.exists():
        raise ToolError(f"bench: {clip} is not there; set STRATA_REAL_CLIPS to the folder of the real clips")
    return clip.resolve()


def _chain(scratch: Path) -> str:
    cores = len(os.sched_getaffinity(0))
    measured = chain.run(footage(), scratch / "chain", cores)
    return f"`juggle.mp4`, {measured.frames} frames of 1280x720, `--cores {cores}`.\n\n{chain.table(measured)}"


def _length(scratch: Path) -> str:
    cores = len(os.sched_getaffinity(0))
    clip = footage()
    long = chain.loop(clip, _LOOPS, scratch / "long.mp4")
    once, many = chain.run(clip, scratch / "once", cores), chain.run(long, scratch / "many", cores)
    lines = ["| stage | peak MB, once | peak MB, ten times as long |", "|---|---|---|"]
    lines += [f"| {a.stage} | {a.peak_mb:.0f} | {b.peak_mb:.0f} |" for a, b in zip(once.stages, many.stages)]
    rate = many.frames / many.cost.wall_s
    return "\n".join(
        [*lines, "", f"{many.frames} frames of one video in {many.cost.wall_s:.0f} s, {rate:.2f} frames/s."]
    )


def _plan(scratch: Path) -> str:
    base = scratch / "plan"
    plan.catalogued(base, _PLAN_CLIPS)
    todo = plan.cost(base, "todo")
    plan.pretend_done(base)
    done = plan.cost(base, "done")
    return "\n".join(
        [
            "| `snakemake -n` | seconds | processor seconds | peak memory, MB |",
            "|---|---|---|---|",
            f"| {_PLAN_CLIPS} clips, all to do | {todo.wall_s:.1f} | {todo.cpu_s:.1f} | {todo.peak_mb:.0f} |",
            f"| {_PLAN_CLIPS} clips, all files there | {done.wall_s:.1f} | {done.cpu_s:.1f} | {done.peak_mb:.0f} |",
        ]
    )


def _loader(scratch: Path) -> str:
    return loader.table(scratch, footage, len(os.sched_getaffinity(0)))


# Name of a section: its heading and what measures it.
SECTIONS: dict[str, tuple[str, Callable[[Path], str]]] = {
    "chain": ("One clip through every stage", _chain),
    "length": ("Memory and the length of a clip", _length),
    "plan": ("Planning", _plan),
    "loader": ("Windows to a training process", _loader),
    "instant-nvr": ("The instant-nvr branch", lambda scratch: nvr.table(nvr.figures())),
    "render": ("Rendering clips with truth", lambda scratch: rendering.table()),
}


def _keep(name: str, text: str) -> None:
    """Replace one section of the page between its marks."""
    page = PAGE.read_text()
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if begin not in page:
        raise ToolError(f"bench: {PAGE} has no section {name}")
    body = f"{begin}\n{text}\n\n{machine.describe()}\n{end}"
    PAGE.write_text(re.sub(f"{begin}.*?{end}", lambda _: body, page, flags=re.DOTALL))


def main(argv: list[str]) -> int:
    """Measure the named sections, all by default; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--keep", action="store_true", help="write the tables into docs/benchmarks.md")
    options = parser.parse_args(argv)
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        raise ToolError(f"bench: unknown section {', '.join(sorted(unknown))}; one of {', '.join(SECTIONS)}")
    scratch = Path(tempfile.mkdtemp(prefix="strata-bench-"))
    try:
        for name in options.sections or SECTIONS:
            heading, measure = SECTIONS[name]
            logger.info("bench: %s", heading.lower())
            (scratch / name).mkdir()
            text = measure(scratch / name)
            sys.stdout.write(f"\n## {heading}\n\n{text}\n")
            if options.keep:
                _keep(name, text)
    finally:
        shutil.rmtree(scratch)
    sys.stdout.write(f"\n{machine.describe()}\n")
    return 0
