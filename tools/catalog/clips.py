"""From shots to clips, from clips to splits and shards. Pure: no file is touched."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Optional, Protocol

from tools.catalog import shots
from workflow import catalog
from workflow.catalog import Clip, Row, Video


class Limits(Protocol):
    """Settings that bound clips."""

    @property
    def max_clip_frames(self) -> int:
        """Longer shots are split."""

    @property
    def min_clip_frames(self) -> int:
        """Shorter ones are rejected."""

    @property
    def subjects(self) -> int:
        """Clips made of every span."""


def split_of(video: Video, shares: Mapping[str, float], subjects: Mapping[str, str] = {}) -> str:
    """Split of a video: as its table says, else its subject's, else by a hash of the subject's name or of its bytes.

    Args:
        video: The video with its note.
        shares: Weight of each split.
        subjects: Splits of subjects that have one.
    """
    if video.note.split:
        return video.note.split
    if video.note.subject in subjects:
        return subjects[video.note.subject]
    key = f"subject {video.note.subject}" if video.note.subject else f"video {video.sha256}"
    point = int(hashlib.sha256(key.encode()).hexdigest()[:12], 16) / 16**12 * sum(shares.values())
    for name in catalog.SPLITS:
        point -= shares.get(name, 0.0)
        if point < 0:
            return name
    return max(catalog.SPLITS, key=lambda name: shares.get(name, 0.0))  # rounding at the very end


def parts(start: int, end: int, longest: int) -> list[tuple[int, int]]:
    """Cut a span into the fewest parts of nearly equal length, none above `longest`."""
    count = -(-(end - start) // longest)
    edges = [start + (end - start) * i // count for i in range(count + 1)]
    return list(zip(edges, edges[1:]))


def cut(video: Video, scan: Optional[shots.Scan], split: str, limits: Limits) -> list[Row]:
    """Rows of a new video; shards are still open.

    Args:
        video: Its facts.
        scan: Its frames and cuts; None where it is rejected.
        split: Split of its clips.
        limits: Bounds of clips.

    Returns:
        Active rows, and a rejected one for the video or for every shot that gives no clip.
    """
    if scan is None or video.reason or not video.frames:
        return [Row(_clip(video, None, 0, 0, 0), status=catalog.REJECTED, reason=video.reason or "no frame decodes")]
    rows = []
    edges = [0, *scan.cuts, video.frames]
    for shot, (start, end) in enumerate(zip(edges, edges[1:])):
        if end - start < limits.min_clip_frames:
            what = "the video" if len(edges) == 2 else f"shot {shot}"
            reason = f"too short: {what} has {_frames(end - start)}, a clip needs {limits.min_clip_frames}"
            rows.append(Row(_clip(video, scan, start, end, 0), shot, status=catalog.REJECTED, reason=reason))
            continue
        for first, last in parts(start, end, limits.max_clip_frames):
            if last - first < limits.min_clip_frames:
                reason = f"too short: a part of shot {shot} has {_frames(last - first)}"
                rows.append(Row(_clip(video, scan, first, last, 0), shot, status=catalog.REJECTED, reason=reason))
                continue
            rows += [Row(_clip(video, scan, first, last, who), shot, split) for who in range(limits.subjects)]
    return rows


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _clip(video: Video, scan: Optional[shots.Scan], start: int, end: int, subject: int) -> Clip:
    shared = {f.name for f in dataclasses.fields(Clip)} & {f.name for f in dataclasses.fields(Video)} - {"sha256"}
    timed = scan is not None and end > start and shots.increasing(scan.times_us)
    return Clip(
        id=catalog.clip_id(video.sha256, start, end, subject),
        sha256=video.sha256,
        start=start,
        end=end,
        subject=subject,
        first_us=int(scan.times_us[start]) if scan is not None and timed else None,
        last_us=int(scan.times_us[end - 1]) if scan is not None and timed else None,
        **{name: getattr(video, name) for name in shared},
    )


def of_more_subjects(rows: Sequence[Row], subjects: int) -> list[Row]:
    """Rows for people that were not asked for when a video was taken in.

    Args:
        rows: All rows of the video.
        subjects: People wanted now.
    """
    known = {row.id for row in rows}
    made = []
    for row in rows:
        if row.status != catalog.ACTIVE or row.clip.subject:
            continue
        for who in range(1, subjects):
            name = catalog.clip_id(row.clip.sha256, row.clip.start, row.clip.end, who)
            if name not in known:
                clip = dataclasses.replace(row.clip, id=name, subject=who)
                made.append(dataclasses.replace(row, clip=clip, shard=""))
    return made


def moved(rows: Iterable[Row], split: str) -> list[Row]:
    """Active rows that are now to lie in another split; they go to new shards."""
    return [
        dataclasses.replace(row, split=split, shard="")
        for row in rows
        if row.status == catalog.ACTIVE and row.split != split
    ]


def pack(rows: Sequence[Row], shard_frames: int, next_shard: int) -> list[Row]:
    """Give every active row a shard: new ones only, each of one split, filled in order.

    Args:
        rows: Rows in the order of their videos.
        shard_frames: Most frames of a shard; a longer clip has a shard of its own.
        next_shard: Number of the first new shard.

    Returns:
        The rejected rows and the active ones, by split.
    """
    packed = [row for row in rows if row.status != catalog.ACTIVE]
    number = next_shard - 1
    for split in catalog.SPLITS:
        filled = None
        for row in rows:
            if row.status != catalog.ACTIVE or row.split != split:
                continue
            if filled is None or filled + row.clip.frames > shard_frames:
                number, filled = number + 1, 0
            filled += row.clip.frames
            packed.append(dataclasses.replace(row, shard=f"s{number:05d}"))
    return packed
