"""Bring new and changed footage into the catalog: hash, look, cut, split, pack, write."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np

from tools import progress
from tools.catalog import clips, probe, shots, sidecar
from workflow import catalog, footage
from workflow.catalog import Catalog, Note, Row, Seen, Video
from workflow.errors import ConfigError

logger = logging.getLogger(__name__)

_WORKERS = 2  # videos looked at together; each decoder has threads of its own
_SECONDS_BETWEEN_LINES = 10.0
_CACHE = Path("catalog/scanned")  # what was found, until the run that found it is through
_CACHE_VERSION = 1


@dataclass(frozen=True)
class Settings:
    """What decides which clips there are.

    Attributes:
        videos: Folders, globs and files.
        max_clip_frames: Longer shots are split.
        min_clip_frames: Shorter ones are rejected.
        shard_frames: A shard holds at most this many frames, or one clip.
        subjects: Clips made of every span, one for each person.
        splits: Shares of train, val and test.
    """

    videos: Sequence[str]
    max_clip_frames: int = 300
    min_clip_frames: int = 2
    shard_frames: int = 2000
    subjects: int = 1
    splits: Mapping[str, float] = field(default_factory=lambda: {"train": 0.9, "val": 0.05, "test": 0.05})

    def __post_init__(self) -> None:
        """Check everything at once."""
        faults = []
        names = ("max_clip_frames", "min_clip_frames", "shard_frames", "subjects")
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                faults.append(f"{name}: is {value!r}; expected an integer of at least 1")
        if not faults and self.min_clip_frames > self.max_clip_frames:
            faults.append(f"min_clip_frames: is {self.min_clip_frames}, above max_clip_frames {self.max_clip_frames}")
        shares = list(self.splits.values())
        if set(self.splits) - set(catalog.SPLITS) or any(share < 0 for share in shares) or sum(shares) <= 0:
            faults.append(f"splits: is {dict(self.splits)}; expected shares of {', '.join(catalog.SPLITS)}, not all 0")
        if faults:
            raise ConfigError("config.yaml:\n" + "\n".join(f"  {fault}" for fault in faults))

    def without_videos(self) -> dict[str, Any]:
        """All but `videos`, as JSON values."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "videos"}

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Settings from a JSON object.

        Raises:
            ConfigError: It is not one, or a key is unknown.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            if isinstance(error, ConfigError):
                raise
            known = ", ".join(f.name for f in dataclasses.fields(cls))
            raise ConfigError(f"--settings: {error}; expected a JSON object with {known}") from error


def sync(settings: Settings, base: Path = Path(), into: Optional[Path] = None) -> Catalog:
    """Take in what is new or changed.

    Two runs at once take turns, and the second finds nothing left to do. All lines of one run are written at once,
    so that neither a kill nor the order of decoding changes which clip lies in which shard.

    Args:
        settings: What decides which clips there are.
        base: Working directory.
        into: Write the log that would result to this file and change nothing else; what was seen of new videos is
            remembered for the real run.

    Returns:
        The state afterwards.
    """
    if into is not None:
        before = catalog.read(base / catalog.LOG)
        events = _events(settings, before, base)
        into.unlink(missing_ok=True)
        log = base / catalog.LOG
        into.write_bytes(log.read_bytes() if log.exists() else b"")
        catalog.append(into, events)
        return catalog.fold(events, before)
    with catalog.locked(base, lambda: logger.info("catalog: another run is at it; waiting")):
        before = catalog.read(base / catalog.LOG)
        events = _events(settings, before, base)
        catalog.append(base / catalog.LOG, events)
        after = catalog.fold(events, before)
        catalog.write_manifests(after, base)
        _clear_cache(base)
    _tell(before, after)
    return after


def _tell(before: Catalog, after: Catalog) -> None:
    new = [row for name, row in after.rows.items() if name not in before.rows]
    made = [row for row in new if row.status == catalog.ACTIVE]
    logger.info(
        "catalog: %d videos, %d new; %d clips added in %d new shards, %d rows rejected",
        len(after.videos),
        len(after.videos) - len(before.videos),
        len(made),
        len({row.shard for row in made}),
        sum(row.status == catalog.REJECTED for row in new),
    )
    for row in new:
        if row.status == catalog.REJECTED:
            where = ", ".join(after.paths(row.clip.sha256))
            logger.warning("catalog: rejected %s of %s: %s", row.id, where, row.reason)
    for name, row in after.rows.items():
        if row.status == catalog.WITHDRAWN and before.rows[name].status != catalog.WITHDRAWN:
            logger.warning("catalog: withdrew %s from %s: %s", name, row.shard, row.reason)


# --- one run ----------------------------------------------------------------------------------------------


def _events(settings: Settings, before: Catalog, base: Path) -> list[dict[str, Any]]:
    """Everything that happened since the log was written, in a fixed order."""
    files, tables = footage.find(settings.videos, base)
    notes = sidecar.read(tables, base, before.files)
    for video in before.videos.values():
        if video.paths and not video.reason and not any((base / name).exists() for name in video.paths):
            logger.warning("catalog: %s is no longer there; its clips stay as they are", " or ".join(video.paths))
    events: list[dict[str, Any]] = []
    asked = settings.without_videos()
    if asked != before.settings:
        events.append(catalog.settings_event(asked))
        _say_what_stays(before, asked)
    fresh = dict(_hashed(footage.changed(files, before.files, base), base))
    events += [catalog.file_event(name, seen) for name, seen in fresh.items()]
    events += [
        catalog.table_event(name, seen) for name, seen in _hashed(footage.changed(tables, before.tables, base), base)
    ]
    state = catalog.fold(events, before)
    unknown = list(dict.fromkeys(seen.sha256 for seen in fresh.values() if seen.sha256 not in before.videos))
    looked = _look_at_all(unknown, fresh, base)
    events += [catalog.video_event(video) for video, _ in looked.values()]
    state = catalog.fold(events, before)

    rows_of = state.by_video()
    events += _replaced(before, state, fresh, rows_of)
    present = list(dict.fromkeys(state.files[name].sha256 for name in files if name in state.files))
    events += _noted(state, present, notes)
    state = catalog.fold(events, before)
    rows_of = state.by_video()

    asked = _asked_of_subjects(state, present)
    subjects = {**_kept_by_subjects(before), **asked}
    rows: list[Row] = []
    for sha in present:
        if sha in looked:
            split = clips.split_of(state.videos[sha], settings.splits, subjects)
            rows += clips.cut(looked[sha][0], looked[sha][1], split, settings)
        else:
            rows += clips.of_more_subjects(rows_of.get(sha, ()), settings.subjects)
    for sha in present:
        if sha not in looked:
            note, old = state.videos[sha].note, before.videos[sha].note
            if note.subject in asked or (note.split, note.subject) != (old.split, old.subject):
                split = clips.split_of(state.videos[sha], settings.splits, subjects)
                rows += clips.moved(rows_of.get(sha, ()), split)
    events += [catalog.clip_event(row) for row in clips.pack(rows, settings.shard_frames, state.next_shard)]
    return events


def _say_what_stays(before: Catalog, asked: Mapping[str, Any]) -> None:
    """Tell of settings that are others now: a shard keeps its members, so they hold for new videos only."""
    for key, value in asked.items():
        old = before.settings.get(key, value)
        if value != old and before.rows and key != "subjects":  # that one makes clips of known videos, too
            logger.warning(
                "catalog: %s is %s, was %s: holds for videos that are new from now on; clips made before stay as they "
                "are (another --directory makes all anew)", key, value, old,
            )  # fmt: skip


def _hashed(names: Iterable[str], base: Path) -> Iterator[tuple[str, Seen]]:
    """Digest of files as they are now; a file that is being written is left for the next run."""
    listed = list(names)
    for name in progress.bar(listed, len(listed), "catalog: reading"):
        path = base / name
        try:
            before = path.stat()
            sha = footage.digest(path)
            after = path.stat()
        except OSError as error:
            logger.warning("catalog: %s cannot be read (%s); left for the next run", name, error.strerror)
            continue
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            logger.warning("catalog: %s is being written; left for the next run", name)
            continue
        yield name, Seen(after.st_size, after.st_mtime_ns, sha)


def _replaced(
    before: Catalog, state: Catalog, fresh: Mapping[str, Seen], rows_of: Mapping[str, Sequence[Row]]
) -> list[dict[str, Any]]:
    """Withdrawals of clips whose file now holds other bytes, and returns of clips whose bytes came back."""
    events = []
    for name, seen in fresh.items():
        old = before.files.get(name)
        if old is not None and old.sha256 != seen.sha256 and not state.paths(old.sha256):
            reason = f"{catalog.REPLACED}: {name} now holds other bytes"
            for row in rows_of.get(old.sha256, ()):
                if row.status == catalog.ACTIVE:
                    events.append(catalog.status_event(row.id, catalog.WITHDRAWN, reason))
        for row in rows_of.get(seen.sha256, ()):
            if catalog.is_replaced(row):
                events.append(catalog.status_event(row.id, catalog.ACTIVE, ""))
    return events


def _noted(state: Catalog, present: Sequence[str], notes: Mapping[str, Note]) -> Iterator[dict[str, Any]]:
    """What the tables say differently now about the videos that are there."""
    for sha in present:
        said = {name: notes[name] for name in state.paths(sha) if name in notes}
        if len(set(said.values())) > 1:
            raise ConfigError(
                f"{' and '.join(said)} hold the same bytes, but {footage.TABLE} says different things about them; "
                "make the rows equal or remove all but one"
            )
        for note in list(said.values())[:1]:
            if note != state.videos[sha].note:
                yield catalog.note_event(sha, note)


def _asked_of_subjects(state: Catalog, present: Sequence[str]) -> dict[str, str]:
    """Splits that tables ask for, by the subject of the videos; they hold for all videos of the subject.

    Raises:
        ConfigError: Several are asked for one subject.
    """
    asked: dict[str, dict[str, str]] = {}
    for sha in present:
        video = state.videos[sha]
        if video.note.subject and video.note.split:
            asked.setdefault(video.note.subject, {}).setdefault(video.note.split, video.paths[0])
    faults = [
        f"{footage.TABLE}: subject {subject!r} is asked for in "
        + " and in ".join(f"{split} ({path})" for split, path in splits.items())
        + "; all videos of one subject go to one split: make them equal"
        for subject, splits in asked.items()
        if len(splits) > 1
    ]
    if faults:
        raise ConfigError("\n".join(faults))
    return {subject: split for subject, splits in asked.items() for split in splits}


def _kept_by_subjects(before: Catalog) -> dict[str, str]:
    """Splits in which clips of subjects lie already: new videos of them go there, whatever the shares are now."""
    kept: dict[str, str] = {}
    for row in before.rows.values():
        subject = before.videos[row.clip.sha256].note.subject
        if subject and row.status == catalog.ACTIVE:
            kept.setdefault(subject, row.split)
    return kept


# --- looking at videos ------------------------------------------------------------------------------------


def _look_at_all(
    unknown: Sequence[str], fresh: Mapping[str, Seen], base: Path
) -> dict[str, tuple[Video, Optional[shots.Scan]]]:
    """Facts and shots of videos, by digest, in the order asked for."""
    name_of: dict[str, str] = {}
    for name, seen in fresh.items():
        name_of.setdefault(seen.sha256, name)
    threads = 0 if len(unknown) == 1 else 1
    found = {}
    with ThreadPoolExecutor(_WORKERS) as pool:
        futures = {
            sha: pool.submit(_look_once, base, name_of[sha], sha, fresh[name_of[sha]].size, threads) for sha in unknown
        }
        try:
            for sha in progress.bar(unknown, len(unknown), "catalog: looking"):
                found[sha] = futures[sha].result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _look_once(base: Path, name: str, sha: str, size: int, threads: int) -> tuple[Video, Optional[shots.Scan]]:
    kept = base / _CACHE / f"{sha}.json"
    if kept.exists():
        stored = json.loads(kept.read_bytes())
        if stored["version"] == _CACHE_VERSION:
            scan = stored["scan"] and shots.Scan(
                np.array(stored["scan"]["times_us"], np.int64), tuple(stored["scan"]["cuts"]), ()
            )
            return Video(**stored["video"], note=Note()), scan
    video, scan = look(base / name, sha, size, threads)
    facts = {key: value for key, value in dataclasses.asdict(video).items() if key not in ("paths", "note")}
    shown = scan and {"times_us": scan.times_us.tolist(), "cuts": list(scan.cuts)}
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_name(f".{kept.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps({"version": _CACHE_VERSION, "video": facts, "scan": shown}))
    partial.replace(kept)
    return video, scan


def _clear_cache(base: Path) -> None:
    if (base / _CACHE).exists():
        shutil.rmtree(base / _CACHE)


def look(path: Path, sha256: str, size: int, threads: int = 0) -> tuple[Video, Optional[shots.Scan]]:
    """Facts of a video, and its frames and cuts; a reason and None where it cannot be read.

    Args:
        path: The file.
        sha256: Digest of its bytes.
        size: Bytes.
        threads: Threads of the decoder; 0 for as many as there are processors.
    """
    try:
        facts = probe.probe(path)
    except probe.Unreadable as error:
        return Video(sha256, bytes=size, reason=str(error)), None
    promised = round(facts.duration_s * facts.rate)
    scan = shots.scan(path, (facts.width, facts.height), threads=threads, progress=_Teller(path.name, promised))
    if not len(scan.times_us):
        return Video(sha256, bytes=size, reason=": ".join(["no frame decodes", *scan.complaints[-1:]])), None
    rate, variable = shots.rate(scan.times_us, facts.rate)
    shared = {f.name for f in dataclasses.fields(Video)} & {f.name for f in dataclasses.fields(facts)}
    video = Video(
        sha256,
        bytes=size,
        frames=len(scan.times_us),
        fps=f"{rate.numerator}/{rate.denominator}",
        variable=variable,
        damaged=bool(scan.complaints),
        expected=promised,
        **{name: getattr(facts, name) for name in shared},
    )
    if scan.complaints:
        logger.warning(
            "catalog: %s is damaged: %d frames decode, about %d are promised; the decoder said: %s",
            path.name,
            len(scan.times_us),
            promised,
            scan.complaints[0],
        )
    return video, scan


class _Teller:
    """Says how far a long video is, every ten seconds."""

    def __init__(self, name: str, promised: int) -> None:
        self._name = name
        self._promised = promised
        self._start = self._told = time.monotonic()

    def __call__(self, count: int) -> None:
        now = time.monotonic()
        if now - self._told < _SECONDS_BETWEEN_LINES:
            return
        self._told = now
        left = (now - self._start) / count * max(0, self._promised - count)
        logger.info("catalog: %s: frame %d of about %d, about %.0f s left", self._name, count, self._promised, left)
