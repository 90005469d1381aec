"""A working directory whose catalog already knows many videos, without a single one being decoded."""

import hashlib
import os
from pathlib import Path

from workflow import catalog


def fill(base: Path, clips: int, clip_frames: int = 200, shard_frames: int = 2000) -> None:
    """Make `clips` tiny files under base/footage and a catalog that has one clip for each."""
    footage = base / "footage"
    footage.mkdir(parents=True)
    events = []
    per_shard = shard_frames // clip_frames
    for index in range(clips):
        path = footage / f"{index:06d}.mp4"
        path.write_bytes(str(index).encode())
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        stat = os.stat(path)
        facts = {"fps": "25/1", "width": 1280, "height": 720, "codec": "h264 yuv420p"}
        clip = catalog.Clip(
            id=catalog.clip_id(sha256, 0, clip_frames),
            sha256=sha256,
            start=0,
            end=clip_frames,
            subject=0,
            first_us=0,
            last_us=(clip_frames - 1) * 40_000,
            rotation=0.0,
            interlaced=False,
            alpha=False,
            range="tv",
            matrix="bt709",
            primaries="bt709",
            transfer="bt709",
            damaged=False,
            **facts,
        )
        row = catalog.Row(clip, split="train", shard=f"s{index // per_shard:05d}")
        events += [
            catalog.file_event(f"footage/{path.name}", catalog.Seen(stat.st_size, stat.st_mtime_ns, sha256)),
            catalog.video_event(catalog.Video(sha256, bytes=stat.st_size, frames=clip_frames, **facts)),
            catalog.clip_event(row),
        ]
    log = base / catalog.LOG
    log.parent.mkdir(parents=True)
    catalog.append(log, events)
    catalog.write_manifests(catalog.read(log), base)
