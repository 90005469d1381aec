"""How fast windows reach a training process: our reader, its bare decode loop, and what else people store clips in.

The contestants take turns, a few windows each (A B C D A B C D ...), so that other work on the machine meets all of
them alike; processor time, of worker processes too, is counted beside wall time.
"""

from __future__ import annotations

import logging
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numcodecs.zstd import Zstd

from tools.bench import chain, rivals
from workflow.errors import ToolError
from workflow.shard import WINDOW_LAYERS
from workflow.shard_array import CRC_BYTES, ShardArray
from workflow.shard_reader import Buffers, Clip, Shard

logger = logging.getLogger(__name__)

FRAMES = 16
_THREADS = 2
_AHEAD = 3  # windows on their way
_TURNS = 7
_WINDOWS = 24  # of a turn
_RUN_IN = 6  # windows before the clock starts, so that what was read ahead in a pause does not count
_IN_MEMORY = 24  # windows whose encoded bytes the bare loop holds
_QUIET_s = 1.0  # for workers to fill their queues after a turn
_INSTALL = "pip install --no-deps --target .bench --requirement envs/bench.pin.txt"

Spot = tuple[Shard, Clip, int]


@dataclass
class Turns:
    """What a contestant took per window, one entry per turn, ms."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def shards(scratch: Path, footage: Callable[[], Path], cores: int) -> list[Shard]:
    """Shards to read: those below STRATA_BENCH_SHARDS, else made from the clip the chain is measured on.

    Raises:
        ToolError: They are empty.
    """
    given = os.environ.get("STRATA_BENCH_SHARDS")
    if given is None:
        chain.run(footage(), scratch / "chain", cores)
    root = Path(given) if given is not None else scratch / "chain" / "shards"
    found = [Shard(path) for path in sorted(root.glob("*/*.zarr/zarr.json"))]
    kept = [shard for shard in found if any(clip.length >= FRAMES for clip in shard.clips)]
    if not kept:
        raise ToolError(f"bench: {root} holds no shard with a clip of {FRAMES} frames")
    return kept


def spots(stores: Sequence[Shard], count: int, seed: int = 0) -> list[Spot]:
    """Random windows, evenly over all there are."""
    every = [
        (shard, clip, start) for shard in stores for clip in shard.clips for start in range(clip.length - FRAMES + 1)
    ]
    return [every[int(index)] for index in np.random.default_rng(seed).integers(0, len(every), count)]


def ours(stores: Sequence[Shard], drawn: Sequence[Spot]) -> Iterator[Buffers]:
    """Windows without end, read by threads into buffers that go round."""
    free: deque[Buffers] = deque(stores[0].empty_window(FRAMES) for _ in range(_AHEAD + 1))
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[tuple[Buffers, Future[Any]]] = deque()
        number = 0
        while True:
            while free:
                shard, clip, start = drawn[number % len(drawn)]
                number += 1
                into = free.popleft()
                waiting.append((into, pool.submit(shard.read_window, clip, start, FRAMES, WINDOW_LAYERS, into)))
            into, future = waiting.popleft()
            future.result()
            yield into
            free.append(into)


def _encoded(spot: Spot) -> list[tuple[str, ShardArray, list[bytes]]]:
    """Encoded chunks of a window by layer, checksums cut off."""
    shard, clip, start = spot
    begin = clip.start + start
    return [
        (name, array, [bytes(data[:-CRC_BYTES]) for _, data in array.pieces(begin, begin + FRAMES) if data is not None])
        for name, array in ((name, shard.array(name)) for name in WINDOW_LAYERS)
    ]


def bare(stores: Sequence[Shard], drawn: Sequence[Spot], *, delivered: bool) -> Iterator[None]:
    """The same chunks decoded from memory by as many threads and nothing else.

    Args:
        stores: Shards.
        drawn: Windows.
        delivered: Whether the decoded bytes go to a window's arrays, as a training process needs them, or all to one
            chunk's place, which stays in the processor's cache.
    """
    known = [_encoded(spot) for spot in drawn[:_IN_MEMORY]]
    # One place per window on its way: two threads never write to the same.
    windows = [stores[0].empty_window(FRAMES) for _ in range(_AHEAD if delivered else 0)]
    places = [np.empty(max(array.chunk_bytes for _, array, _ in known[0]), np.uint8) for _ in range(_AHEAD)]

    def work(number: int) -> None:
        codec = Zstd()
        for name, array, chunks in known[number % len(known)]:
            into = windows[number % _AHEAD].room[name] if delivered else places[number % _AHEAD]
            into = into.reshape(-1).view(np.uint8)
            for place, chunk in enumerate(chunks):
                start = place * array.chunk_bytes if delivered else 0
                if array.compressed:
                    codec.decode(chunk, into[start : start + array.chunk_bytes])
                else:
                    into[start : start + len(chunk)] = np.frombuffer(chunk, np.uint8)

    with ThreadPoolExecutor(_THREADS) as pool:
        waiting = deque(pool.submit(work, number) for number in range(_AHEAD))
        number = _AHEAD
        while True:
            waiting.popleft().result()
            yield None
            waiting.append(pool.submit(work, number))
            number += 1


def _processor_s() -> float:
    """Processor time of this process and its children so far."""
    me = psutil.Process()
    total = 0.0
    for process in (me, *me.children(recursive=True)):
        used = process.cpu_times()
        total += used.user + used.system
    return total


def compare(contestants: dict[str, Iterator[Any]], turns: int = _TURNS, windows: int = _WINDOWS) -> dict[str, Turns]:
    """Let the contestants take turns.

    Args:
        contestants: Endless iterators over windows, by name.
        turns: Of each.
        windows: Of each turn.
    """
    found = {name: Turns() for name in contestants}
    for turn in range(turns + 1):
        for name, stream in contestants.items():
            for _ in range(_RUN_IN):
                next(stream)
            wall, cpu = time.perf_counter(), _processor_s()
            for _ in range(windows):
                next(stream)
            if turn:  # the first is for caches and worker processes to come up
                found[name].wall.append((time.perf_counter() - wall) / windows * 1e3)
                found[name].cpu.append((_processor_s() - cpu) / windows * 1e3)
            time.sleep(_QUIET_s)
    return found


def ratio(of: Sequence[float], to: Sequence[float]) -> float:
    """Median over turns of how much longer `of` took than `to` in the same turn."""
    return statistics.median(a / b for a, b in zip(of, to))


def _bytes_per_frame(root: Path, frames: int) -> float:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / frames


def table(scratch: Path, footage: Callable[[], Path], cores: int) -> str:
    """Measure and tell."""
    stores = shards(scratch, footage, cores)
    drawn = spots(stores, 500)
    first = stores[0]
    contestants: dict[str, Iterator[Any]] = {
        "bare decode loop, into one place": bare(stores, drawn, delivered=False),
        "bare decode loop, into windows": bare(stores, drawn, delivered=True),
        "Strata": ours(stores, drawn),
    }
    kilobytes = {"Strata": _window_bytes(drawn) / FRAMES / 1e3}
    missing = rivals.absent()
    if missing:
        logger.warning("bench: %s not installed; %s; PYTHONPATH=.bench", ", ".join(missing), _INSTALL)
    else:
        whole = [
            (shard, clip, start)
            for shard in stores
            for clip in shard.clips
            for start in range(0, clip.length - FRAMES + 1, FRAMES)
        ]
        for name, write, read in (
            ("WebDataset", rivals.write_webdataset, rivals.read_webdataset),
            ("MosaicML MDS", rivals.write_mds, rivals.read_mds),
        ):
            folder = scratch / name.split()[-1].lower()
            write((shard.read_window(clip, start, FRAMES) for shard, clip, start in whole), folder)
            kilobytes[name] = _bytes_per_frame(folder, len(whole) * FRAMES) / 1e3
            contestants[name] = read(folder)
    found = compare(contestants)
    for stream in contestants.values():
        getattr(stream, "close", getattr(stream, "_shutdown_workers", lambda: None))()
    lines = [
        f"Windows of {FRAMES} frames of {first.width}x{first.height} px, all {len(WINDOW_LAYERS)} layers, to one "
        f"training process; {_THREADS} threads or {rivals.WORKERS} DataLoader workers on {cores} cores; {_TURNS} turns "
        f"of {_WINDOWS} windows each, interleaved, medians.",
        "",
        "| from | windows/s | processor ms per window | time against Strata, wall, processor | kB read per frame |",
        "|---|---|---|---|---|",
    ]
    base = found["Strata"]
    for name, took in found.items():
        size = f"{kilobytes[name]:.0f}" if name in kilobytes else ""
        against = f"{ratio(took.wall, base.wall):.2f}, {ratio(took.cpu, base.cpu):.2f}"
        rate, cpu = 1e3 / statistics.median(took.wall), statistics.median(took.cpu)
        lines.append(f"| {name} | {rate:.1f} | {cpu:.1f} | {against} | {size} |")
    if missing:
        lines += ["", f"Not measured, not installed: {', '.join(missing)} (`{_INSTALL}`)."]
    return "\n".join(lines)


def _window_bytes(drawn: Sequence[Spot]) -> float:
    """Mean encoded bytes of a window, whole chunks."""
    sizes = [sum(len(chunk) for _, _, chunks in _encoded(spot) for chunk in chunks) for spot in drawn[:_IN_MEMORY]]
    return sum(sizes) / len(sizes)
