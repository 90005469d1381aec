"""What it costs to plan: ten thousand catalogued clips, all to do and all done."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tools.bench.chain import snakemake
from tools.bench.process import Cost, measure
from workflow import catalog, layout
from workflow.stage import File
from workflow.stages import PIPELINE

_FACTS = {"fps": "25/1", "width": 1280, "height": 720, "codec": "h264 yuv420p"}


def catalogued(base: Path, clips: int, clip_frames: int = 200, shard_frames: int = 2_000) -> None:
    """Make small files and a catalog that has one clip for each, without decoding anything."""
    footage = base / "footage"
    footage.mkdir(parents=True)
    events = []
    for index in range(clips):
        path = footage / f"{index:06d}.mp4"
        path.write_bytes(str(index).encode())
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        stat = path.stat()
        clip = catalog.Clip(
            id=catalog.clip_id(sha256, 0, clip_frames), sha256=sha256, start=0, end=clip_frames, subject=0,
            first_us=0, last_us=(clip_frames - 1) * 40_000, rotation=0.0, interlaced=False, alpha=False, range="tv",
            matrix="bt709", primaries="bt709", transfer="bt709", damaged=False, **_FACTS,
        )  # fmt: skip
        row = catalog.Row(clip, split="train", shard=f"s{index * clip_frames // shard_frames:05d}")
        events += [
            catalog.file_event(f"footage/{path.name}", catalog.Seen(stat.st_size, stat.st_mtime_ns, sha256)),
            catalog.video_event(catalog.Video(sha256, bytes=stat.st_size, frames=clip_frames, **_FACTS)),
            catalog.clip_event(row),
        ]
    log = base / layout.CATALOG
    log.parent.mkdir(parents=True)
    catalog.append(log, events)
    catalog.write_manifests(catalog.read(log), base)


def pretend_done(base: Path) -> None:
    """Put an empty file where every output belongs, so that planning finds nothing to do."""
    shards = catalog.read(base / layout.CATALOG).shards()
    for stage in PIPELINE:
        for port in stage.outputs:
            pattern = port.path if isinstance(port, File) else layout.artifact(port)
            for shard, split in shards.items():
                path = base / pattern.format(shard=shard, split=split)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()


def cost(base: Path, name: str) -> Cost:
    """Cost of `snakemake -n` in a working directory."""
    command = snakemake(base, "--dry-run", "--quiet", "--cores", "2", "--config", "videos=footage")
    return measure(command, base, base / f"{name}.log")
