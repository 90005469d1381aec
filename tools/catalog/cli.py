"""`python -m tools catalog ...`: sync, list, add, withdraw, explain."""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.catalog import scan
from workflow import catalog, footage, store
from workflow.catalog import Catalog, Row
from workflow.errors import ToolError

_COLUMNS = ("clip", "status", "split", "shard", "start", "end", "fps", "size", "video", "licence", "reason")


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tools catalog", description="the table of videos and clips")
    commands = made.add_subparsers(dest="command", required=True)

    sync = commands.add_parser("sync", help="take in what is new or changed")
    sync.add_argument("--settings", required=True, help="JSON: videos, max_clip_frames, shard_frames, splits, ...")
    sync.add_argument("--dry-run", action="store_true", help="change nothing; needs --into")
    sync.add_argument("--into", type=Path, help="with --dry-run: write the log that would result to this file")

    listing = commands.add_parser("list", help="show clips")
    listing.add_argument("--json", action="store_true", help="one JSON object a line, all columns")
    listing.add_argument("--split", choices=catalog.SPLITS)
    listing.add_argument("--status", choices=(catalog.ACTIVE, catalog.WITHDRAWN, catalog.REJECTED))
    listing.add_argument("--shard")

    add = commands.add_parser("add", help="take in videos now, with the settings of the last run")
    add.add_argument(
        "videos", nargs="+", metavar="VIDEO", help="file, folder or glob; after -- if it begins with a dash"
    )

    withdraw = commands.add_parser("withdraw", help="take clips out of the data")
    withdraw.add_argument("names", nargs="+", metavar="CLIP|VIDEO", help="clip id, file, or start of a SHA-256")
    withdraw.add_argument("--reason", required=True)

    explain = commands.add_parser("explain", help="everything known about a clip or a video")
    explain.add_argument("name", metavar="CLIP|VIDEO")
    return made


def main(argv: list[str]) -> int:
    """Run a command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command == "sync":
        if options.dry_run != (options.into is not None):
            parser.error("--dry-run and --into FILE go together")
        scan.sync(scan.Settings.from_json(options.settings), Path(), options.into)
    elif options.command == "list":
        _list(catalog.read(catalog.LOG), options)
    elif options.command == "add":
        known = catalog.read(catalog.LOG).settings
        scan.sync(scan.Settings(**{**known, "videos": options.videos}), Path())
    elif options.command == "withdraw":
        _withdraw(options.names, options.reason)
    else:
        _explain(catalog.read(catalog.LOG), options.name)
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _list(state: Catalog, options: argparse.Namespace) -> None:
    wanted = {key: getattr(options, key) for key in ("split", "status", "shard") if getattr(options, key)}
    rows = [name for name, row in state.rows.items() if all(getattr(row, k) == v for k, v in wanted.items())]
    if options.json:
        for name in rows:
            _say(json.dumps(state.columns(name)))
        return
    cells = [_COLUMNS, *(_cells(state.columns(name)) for name in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(_COLUMNS))]
    for row in cells:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    counts = {
        status: sum(state.rows[name].status == status for name in rows)
        for status in ("active", "withdrawn", "rejected")
    }
    _say(f"{len(rows)} rows: " + ", ".join(f"{count} {status}" for status, count in counts.items()))


def _cells(columns: Mapping[str, Any]) -> tuple[str, ...]:
    shown = {**columns, "size": f"{columns['width']}x{columns['height']}" if columns["width"] else ""}
    return tuple(str(shown[name]) for name in _COLUMNS)


def _meant(state: Catalog, name: str) -> list[Row]:
    """Rows that a name stands for.

    Raises:
        ToolError: It stands for nothing, or for several videos.
    """
    if name in state.rows:
        return [state.rows[name]]
    path = footage.name_of(name, str(Path.cwd()))
    if path in state.files:
        return state.by_video().get(state.files[path].sha256, [])
    found = [sha for sha in state.videos if len(name) >= 6 and sha.startswith(name)]
    found = found or list(dict.fromkeys(seen.sha256 for file, seen in state.files.items() if Path(file).name == name))
    if len(found) == 1:
        return state.by_video().get(found[0], [])
    if found:
        raise ToolError(f"{name}: stands for {len(found)} videos; give the whole path, or more of the SHA-256")
    raise ToolError(f"{name}: no clip, file or video of the catalog; see python -m tools catalog list")


def _withdraw(names: Iterable[str], reason: str) -> None:
    if not reason.strip() or reason.startswith(f"{catalog.REPLACED}:"):
        raise ToolError(
            f"--reason: is {reason!r}; say why, in words that do not begin with {catalog.REPLACED!r}, as the catalog's "
            "own about files that changed do"
        )
    with catalog.locked(Path()):
        state = catalog.read(catalog.LOG)
        rows = {row.id: row for name in names for row in _meant(state, name) if _may_be_used(row)}
        events = [catalog.status_event(name, catalog.WITHDRAWN, reason) for name in rows]
        catalog.append(catalog.LOG, events)
        written = catalog.write_manifests(catalog.fold(events, state))
    for name, row in rows.items():
        _say(f"withdrew {name} from {row.shard}")
    if not rows:
        _say("nothing to withdraw: no active clip among them")
    else:
        _say(f"{len(written)} shard{'' if len(written) == 1 else 's'} will be made again at the next run")


def _may_be_used(row: Row) -> bool:
    """Whether a clip is in the data, or comes back by itself when its file does."""
    return row.status == catalog.ACTIVE or catalog.is_replaced(row)


def _explain(state: Catalog, name: str) -> None:
    rows = _meant(state, name)
    video = state.videos[rows[0].clip.sha256] if rows else None
    if video is None:
        raise ToolError(f"{name}: the video has no rows")
    _say(f"video {video.sha256}")
    for path in video.paths:
        there = "" if Path(path).exists() else "  (no longer there)"
        _say(f"  file      {path}{there}")
    if not video.paths:
        _say("  file      none now; the name it had holds other bytes")
    if video.reason:
        _say(f"  rejected  {video.reason}")
    else:
        kind = "variable" if video.variable else "constant"
        flags = [word for word in ("interlaced", "alpha", "damaged") if getattr(video, word)]
        _say(f"  picture   {video.width}x{video.height}, {video.codec}, turned by {video.rotation:g} degrees")
        _say(f"  colour    {video.range} {video.matrix} {video.primaries} {video.transfer}")
        _say(f"  time      {video.frames} frames at {video.fps}/s, {kind} rate; header: about {video.expected} frames")
        if flags:
            _say(f"  also      {', '.join(flags)}")
    note = video.note
    for key in ("source", "licence", "consent", "subject", "notes", "split"):
        if getattr(note, key):
            _say(f"  {key:9s} {getattr(note, key)}")
    for row in rows:
        clip = row.clip
        place = f"{row.split} {row.shard}" if row.shard else "no shard"
        _say(f"clip {row.id}")
        _say(f"  frames {clip.start} to {clip.end} (end excluded), shot {row.shot}, subject {clip.subject}, {place}")
        _say(f"  {row.status}" + (f": {row.reason}" if row.reason else ""))
        for line in _stages(row):
            _say(f"  {line}")


def _stages(row: Row) -> list[str]:
    """What the artifacts of the clip's shard say about it."""
    lines = []
    for path in sorted(Path("work", row.shard).glob("*.zip")) if row.shard else ():
        try:
            header = store.header(path)
        except (zipfile.BadZipFile, KeyError):
            lines.append(f"{path}: not a whole file")
            continue
        entry = header["clips"].get(row.id)
        if entry is None:
            lines.append(f"{path}: made before, or without, this clip")
        elif "rejected" in entry:
            lines.append(f"{path}: rejected by {entry['rejected']['stage']}: {entry['rejected']['reason']}")
        else:
            figures = ", ".join(f"{key} {value:.4g}" for key, value in entry.get("quality", {}).items())
            lines.append(f"{path}: there" + (f" ({figures})" if figures else ""))
    return lines
