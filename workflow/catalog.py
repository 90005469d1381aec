"""The catalog: an append-only log of videos and clips, the state it folds to, and the manifests of shards.

`catalog/clips.jsonl` holds one JSON object a line; its key `event` says which kind:

- `file`: a path was seen with a size, a modification time and the SHA-256 of its bytes;
- `table`: the same for a `videos.csv`;
- `video`: what the bytes hold, or why they cannot be read;
- `note`: licence, consent, subject, notes, source and wanted split of a video;
- `clip`: a span of a video with its shard (a later line for the same clip replaces the earlier one);
- `status`: a clip was withdrawn, or is active again;
- `settings`: what `sync` was last asked for.

The planner reads this at every start, so nothing heavy is imported here.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Optional

from workflow import layout
from workflow.errors import ContractError, ToolError
from workflow.footage import Seen as Seen
from workflow.footage import changed, digest, find

LOG = layout.CATALOG
SPLITS = ("train", "val", "test")
ACTIVE, WITHDRAWN, REJECTED = "active", "withdrawn", "rejected"
REPLACED = "replaced"  # first word of the reason of clips whose file now holds other bytes


@dataclass(frozen=True)
class Note:
    """What people say about a video in `videos.csv`.

    Attributes:
        licence: Terms under which the footage may be used.
        consent: Whether and how the people in it agreed.
        subject: Name of the person the clips are about; all videos of one subject fall in one split.
        notes: Free text.
        source: "real" or "synthetic".
        split: Split asked for; empty for the one the hash gives.
    """

    licence: str = ""
    consent: str = ""
    subject: str = ""
    notes: str = ""
    source: str = "real"
    split: str = ""


@dataclass(frozen=True)
class Video:
    """Bytes of a video, under however many names.

    Attributes:
        sha256: Identity: digest of the bytes.
        bytes: Size of the file.
        frames: Number of frames that decode; 0 where the video is rejected.
        fps: Nominal rate as a fraction, "24000/1001".
        variable: Whether the time between frames varies.
        width: px, upright, square pixels.
        height: px, upright.
        rotation: Degrees clockwise by which the stored picture is turned to be upright.
        codec: Codec and pixel format as FFmpeg calls them.
        interlaced: Whether frames consist of two fields.
        alpha: Whether the picture has transparency.
        range: "tv" or "pc".
        matrix: Colour matrix, FFmpeg's name; "unknown" where the file does not say.
        primaries: Colour primaries, likewise.
        transfer: Transfer function, likewise.
        damaged: Whether the decoder complained.
        expected: Number of frames the header promises, about; 0 where it does not say.
        reason: Why the video is rejected; empty where it is not.
        paths: Names under which the bytes were seen last, relative to the working directory where they lie in it.
        note: What people say about it.
    """

    sha256: str
    bytes: int = 0
    frames: int = 0
    fps: str = "0/1"
    variable: bool = False
    width: int = 0
    height: int = 0
    rotation: float = 0.0
    codec: str = ""
    interlaced: bool = False
    alpha: bool = False
    range: str = "tv"
    matrix: str = "unknown"
    primaries: str = "unknown"
    transfer: str = "unknown"
    damaged: bool = False
    expected: int = 0
    reason: str = ""
    paths: tuple[str, ...] = ()
    note: Note = Note()


@dataclass(frozen=True)
class Clip:
    """A span of one video inside one shot, about one person: what decides its pictures, and nothing else.

    A shard's manifest is a list of these.

    Attributes:
        id: Clip id.
        sha256: Digest of the video's bytes.
        start: First frame, counted from 0 in order of presentation.
        end: One past the last frame.
        subject: Which person: 0 the most prominent, 1 the next.
        first_us: Presentation time of the first frame in microseconds as the file counts; None where the file's
            times do not increase and frames have to be counted.
        last_us: Presentation time of the last frame.
        fps, width, height, rotation, codec, interlaced, alpha, range, matrix, primaries, transfer, damaged: As in
            `Video`.
    """

    id: str
    sha256: str
    start: int
    end: int
    subject: int
    first_us: Optional[int]
    last_us: Optional[int]
    fps: str
    width: int
    height: int
    rotation: float
    codec: str
    interlaced: bool
    alpha: bool
    range: str
    matrix: str
    primaries: str
    transfer: str
    damaged: bool

    @property
    def frames(self) -> int:
        """Number of source frames."""
        return self.end - self.start


@dataclass(frozen=True)
class Row:
    """A clip and its place in the catalog.

    Attributes:
        clip: What decides its pictures.
        shot: Number of the shot in its video, from 0.
        split: "train", "val" or "test"; empty where rejected.
        shard: Shard it belongs to; empty where rejected.
        status: "active", "withdrawn" or "rejected".
        reason: Why it is not active.
    """

    clip: Clip
    shot: int = 0
    split: str = ""
    shard: str = ""
    status: str = ACTIVE
    reason: str = ""

    @property
    def id(self) -> str:
        """Clip id."""
        return self.clip.id


@dataclass(frozen=True)
class Manifest:
    """Contents of `work/{shard}/clips.json`."""

    shard: str
    split: str
    clips: tuple[Clip, ...]


_SHARED = tuple(f.name for f in fields(Clip) if f.name in {g.name for g in fields(Video)} - {"sha256"})
_VIDEO_FACTS = tuple(f.name for f in fields(Video) if f.name not in ("paths", "note"))
_NOTE_KEYS = tuple(f.name for f in fields(Note))
_ROW_KEYS = tuple(f.name for f in fields(Row) if f.name != "clip")
_OWN = ("id", "sha256", "start", "end", "subject", "first_us", "last_us")  # of a clip, apart from its video's facts


def is_replaced(row: Row) -> bool:
    """Whether a clip is out because its file holds other bytes; it comes back with them."""
    return row.status == WITHDRAWN and row.reason.startswith(f"{REPLACED}:")


def clip_id(sha256: str, start: int, end: int, subject: int = 0) -> str:
    """Id of a clip: from content, span and subject, never from a file's name; safe in any path."""
    suffix = f"-s{subject}" if subject else ""
    return f"{sha256[:12]}-{start:06d}-{end:06d}{suffix}"


@dataclass(frozen=True)
class Catalog:
    """State of the catalog.

    Attributes:
        videos: By SHA-256, in order of arrival.
        rows: By clip id, in order of arrival.
        files: What was last seen under each path.
        tables: The same for each `videos.csv`.
        next_shard: Number of the next shard to open.
        settings: Settings of the last `sync`, apart from `videos`.
        opened: Split of every shard that ever had a clip; one whose clips are withdrawn or moved stays, empty.
    """

    videos: Mapping[str, Video] = field(default_factory=dict)
    rows: Mapping[str, Row] = field(default_factory=dict)
    files: Mapping[str, Seen] = field(default_factory=dict)
    tables: Mapping[str, Seen] = field(default_factory=dict)
    next_shard: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    opened: Mapping[str, str] = field(default_factory=dict)

    def shards(self) -> dict[str, str]:
        """Split of every shard that ever had a clip, in order; one whose clips are all gone stays, empty."""
        return {shard: self.opened[shard] for shard in sorted(self.opened)}

    def members(self) -> dict[str, list[Row]]:
        """Active clips of every shard that ever had one, sorted by id; empty for one whose clips are all gone."""
        found: dict[str, list[Row]] = {shard: [] for shard in sorted(self.opened)}
        for row in self.rows.values():
            if row.shard and row.status == ACTIVE:
                found[row.shard].append(row)
        return {shard: sorted(members, key=lambda row: row.id) for shard, members in found.items()}

    def by_video(self) -> dict[str, list[Row]]:
        """All clips of every video that has any, whatever their status."""
        found: dict[str, list[Row]] = {}
        for row in self.rows.values():
            found.setdefault(row.clip.sha256, []).append(row)
        return found

    def paths(self, sha256: str) -> tuple[str, ...]:
        """Names under which a video's bytes were seen last."""
        return self.videos[sha256].paths if sha256 in self.videos else ()

    def columns(self, clip_id: str) -> dict[str, Any]:
        """Everything known about a clip, flat, as JSON values: the columns of listings and of the dataset index."""
        row = self.rows[clip_id]
        video = self.videos[row.clip.sha256]
        head = {"clip": row.id, "video": video.paths[0] if video.paths else "", "paths": list(video.paths)}
        own = {name: getattr(row, name) for name in _ROW_KEYS}
        clip = {f.name: getattr(row.clip, f.name) for f in fields(Clip) if f.name != "id"}
        note = {key: getattr(video.note, key) for key in _NOTE_KEYS if key != "split"}
        note["subject_name"] = note.pop("subject")
        return {**head, **own, **clip, "variable_rate": video.variable, **note}

    def locate(self, sha256: str, base: Path) -> Path:
        """Path of a file that holds these bytes now.

        A file whose size and time are as recorded is trusted; one that looks different is read and compared.

        Raises:
            ToolError: No file does.
        """
        tried = []
        for name in self.paths(sha256):
            path = base / name
            try:
                stat = path.stat()
            except OSError as error:
                tried.append(f"{name}: {error.strerror}")
                continue
            seen = self.files[name]
            if (stat.st_size, stat.st_mtime_ns) == (seen.size, seen.mtime_ns):
                return path
            if stat.st_size == seen.size and digest(path) == sha256:
                return path
            tried.append(f"{name}: holds other bytes than when it was catalogued")
        listed = "\n".join(f"  {line}" for line in tried) or "  no path is known"
        raise ToolError(
            f"video {sha256[:12]} cannot be found:\n{listed}\nput the file back, or start again so that the catalog "
            "takes the change in, or withdraw it: python -m tools catalog withdraw " + sha256[:12]
        )


# --- the log ----------------------------------------------------------------------------------------------


def read(log: Path = LOG) -> Catalog:
    """Fold a log into the state it describes; empty where there is no log yet.

    Raises:
        ContractError: A line is not what this version writes.
    """
    try:
        lines = log.read_bytes().splitlines()
    except FileNotFoundError:
        return Catalog()
    try:
        events = json.loads(b"[" + b",".join(lines) + b"]")  # in one go: twice as fast as line by line
    except ValueError:
        raise ContractError(f"{log}, {_first_fault(lines)}; restore the file from a copy") from None
    try:
        return fold(events)
    except (KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"{log}: written by another version of Strata ({error!r})") from error


def _first_fault(lines: Sequence[bytes]) -> str:
    for number, line in enumerate(lines, 1):
        try:
            json.loads(line)
        except ValueError as error:
            return f"line {number}: not JSON ({error})"
    return "lines are not JSON together"


def fold(events: Iterable[Mapping[str, Any]], onto: Catalog = Catalog()) -> Catalog:
    """State after `events` happened to a state.

    Args:
        events: Lines of the log, in order.
        onto: State before.
    """
    rows, files, tables = dict(onto.rows), dict(onto.files), dict(onto.tables)
    next_shard, settings, opened = onto.next_shard, onto.settings, dict(onto.opened)
    facts = {sha: {name: getattr(video, name) for name in _VIDEO_FACTS} for sha, video in onto.videos.items()}
    notes = {sha: video.note for sha, video in onto.videos.items()}
    names: dict[str, dict[str, None]] = {sha: dict.fromkeys(video.paths) for sha, video in onto.videos.items()}
    for path, seen in onto.files.items():
        if seen.sha256 not in onto.videos:
            names.setdefault(seen.sha256, {})[path] = None
    for event in events:
        kind = event["event"]
        if kind == "file":
            path, sha = event["path"], event["sha256"]
            before = files.get(path)
            if before is not None:
                names.get(before.sha256, {}).pop(path, None)
            files[path] = Seen(event["size"], event["mtime_ns"], sha)
            names.setdefault(sha, {})[path] = None
        elif kind == "clip":
            video = facts[event["sha256"]]
            clip = Clip(**{name: event[name] for name in _OWN}, **{name: video[name] for name in _SHARED})
            rows[clip.id] = Row(clip, **{name: event[name] for name in _ROW_KEYS})
            if event["shard"]:
                next_shard = max(next_shard, int(event["shard"][1:]) + 1)
                opened[event["shard"]] = event["split"]
        elif kind == "video":
            facts[event["sha256"]] = {name: event[name] for name in _VIDEO_FACTS}
        elif kind == "note":
            notes[event["sha256"]] = Note(**{key: event[key] for key in _NOTE_KEYS})
        elif kind == "status":
            rows[event["id"]] = replace(rows[event["id"]], status=event["status"], reason=event["reason"])
        elif kind == "table":
            tables[event["path"]] = Seen(event["size"], event["mtime_ns"], event["sha256"])
        elif kind == "settings":
            settings = event["settings"]
        else:
            raise ContractError(f"catalog: unknown event {kind!r}; written by another version of Strata")
    unnoted = Note()
    videos = {
        sha: Video(**fact, paths=tuple(names.get(sha, ())), note=notes.get(sha, unnoted)) for sha, fact in facts.items()
    }
    return Catalog(videos, rows, files, tables, next_shard, settings, opened)


def file_event(path: str, seen: Seen) -> dict[str, Any]:
    """Event: a path was seen."""
    return {"event": "file", "path": path, **seen._asdict()}


def table_event(path: str, seen: Seen) -> dict[str, Any]:
    """Event: a `videos.csv` was read."""
    return {"event": "table", "path": path, **seen._asdict()}


def video_event(video: Video) -> dict[str, Any]:
    """Event: bytes were looked at."""
    return {"event": "video", **{name: getattr(video, name) for name in _VIDEO_FACTS}}


def note_event(sha256: str, note: Note) -> dict[str, Any]:
    """Event: people say something about a video."""
    return {"event": "note", "sha256": sha256, **asdict(note)}


def clip_event(row: Row) -> dict[str, Any]:
    """Event: a clip was made, or moved to another shard."""
    own = {name: getattr(row.clip, name) for name in _OWN}
    return {"event": "clip", **own, **{name: getattr(row, name) for name in _ROW_KEYS}}


def status_event(clip: str, status: str, reason: str) -> dict[str, Any]:
    """Event: a clip was withdrawn, or is active again."""
    return {"event": "status", "id": clip, "status": status, "reason": reason}


def settings_event(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Event: `sync` was asked for clips of another kind than before."""
    return {"event": "settings", "settings": dict(settings)}


@contextlib.contextmanager
def locked(base: Path, waiting: Any = None) -> Iterator[None]:
    """Hold the catalog's lock, which the kernel frees when the process dies.

    Args:
        base: Working directory.
        waiting: Called without arguments when another process holds it.
    """
    path = base / LOG.parent / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _replace(path: Path, data: bytes) -> None:
    """Put a whole file in place: written aside, synced, renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def append(log: Path, events: Sequence[Mapping[str, Any]]) -> None:
    """Add lines to a log, all or none of them. The caller holds the lock.

    Args:
        log: File to add to; made where missing.
        events: Lines, in order.
    """
    if not events:
        return
    for stale in log.parent.glob(f".{log.name}.*.partial"):  # of processes that were killed
        stale.unlink()
    before = log.read_bytes() if log.exists() else b""
    lines = [json.dumps(event, ensure_ascii=True, separators=(",", ":")) + "\n" for event in events]
    _replace(log, before + "".join(lines).encode("ascii"))


# --- snapshot ---------------------------------------------------------------------------------------------


def snapshot(catalog: Catalog) -> list[dict[str, Any]]:
    """The shortest log that says the same of videos and clips; times of files, which say nothing of them, are 0."""
    events = [video_event(video) for video in catalog.videos.values()]
    for sha, video in catalog.videos.items():
        size = video.bytes
        events += [file_event(path, Seen(size, 0, sha)) for path in video.paths]
        if video.note != Note():
            events.append(note_event(sha, video.note))
    return events + [clip_event(row) for row in catalog.rows.values()]


def write_snapshot(catalog: Catalog, base: Path = Path()) -> None:
    """Write `catalog/current.jsonl`, what the dataset index is made from, unless it says the same already."""
    path = base / layout.SNAPSHOT
    data = "".join(json.dumps(event, separators=(",", ":")) + "\n" for event in snapshot(catalog)).encode("ascii")
    if not path.exists() or path.read_bytes() != data:
        _replace(path, data)


# --- manifests --------------------------------------------------------------------------------------------


def write_manifests(catalog: Catalog, base: Path = Path()) -> list[Path]:
    """Write the manifests that are missing or differ, and leave every other file untouched.

    A shard that lost its last clip gets an empty manifest, so that its store is written anew without it.

    Returns:
        Paths written.
    """
    written = []
    splits = catalog.shards()
    for shard, rows in catalog.members().items():
        path = base / layout.manifest(shard)
        content = {"shard": shard, "split": splits[shard], "clips": [asdict(row.clip) for row in rows]}
        data = (json.dumps(content, indent=1) + "\n").encode("ascii")
        try:
            before: Optional[bytes] = path.read_bytes()
        except FileNotFoundError:
            before = None
        if before == data:
            continue
        _replace(path, data)
        written.append(path)
    return written


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a shard.

    Raises:
        ContractError: It is not what this version writes.
    """
    try:
        content = json.loads(path.read_bytes())
        return Manifest(content["shard"], content["split"], tuple(Clip(**row) for row in content["clips"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError(f"{path} is not a manifest of this version ({error}); delete it and start again") from error


def pending(videos: Sequence[str], catalog: Catalog, base: Path = Path(), subjects: int = 1) -> list[Path]:
    """Files that `sync` would have to look at: new or changed videos and tables.

    Looks at names, sizes and times only, so that a start with many known files costs next to nothing.

    Args:
        videos: Entries of `videos:`.
        catalog: State so far.
        base: Working directory.
        subjects: People wanted per span; videos that have fewer clips than that are pending too.

    Returns:
        Names relative to `base` (absolute where outside of it), sorted; empty when there is nothing to do.

    Raises:
        ConfigError: An entry matches nothing.
    """
    files, tables = find(videos, base)
    names = set(changed(files, catalog.files, base)) | set(changed(tables, catalog.tables, base))
    if subjects > 1:
        active = [row.clip for row in catalog.rows.values() if row.status == ACTIVE]
        short = {clip.sha256 for clip in active if clip.subject == 0}
        short -= {row.clip.sha256 for row in catalog.rows.values() if row.clip.subject == subjects - 1}
        names.update(name for name in files if name in catalog.files and catalog.files[name].sha256 in short)
    return [Path(name) for name in sorted(names)]
