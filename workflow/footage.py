"""Footage: which files `videos:` stands for, and which of them changed. Looks at names, sizes and times only."""

# A start looks at every file, and pathlib takes several times as long over ten thousand.
# ruff: noqa: PTH100, PTH110, PTH111, PTH112, PTH116, PTH118, PTH119, PTH120, PTH122, PTH207

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from workflow.errors import ConfigError

TABLE = "videos.csv"
VIDEO_SUFFIXES = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".vob", ".wmv"),
        *(".flv", ".3gp", ".ogv", ".mxf", ".y4m"),
    )
)

OUTPUT_FOLDERS = frozenset(
    ("work", "shards", "reports", "catalog", "logs", "benchmarks", "train", "latents", "instant_nvr", "synthetic")
)  # of the working directory; videos in them are footage only where an entry names the folder
_HASH_BLOCK = 1 << 20


class Seen(NamedTuple):
    """A file as it was when its bytes were last read."""

    size: int
    mtime_ns: int
    sha256: str


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    sha = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_HASH_BLOCK):
            sha.update(block)
    return sha.hexdigest()


def name_of(path: str, base: str) -> str:
    """How the catalog calls a path: relative where it lies in the working directory, absolute elsewhere.

    Args:
        path: Any spelling of the path; relative to `base`.
        base: Working directory, absolute.
    """
    path = os.path.normpath(os.path.join(base, path))
    return path[len(base) + 1 :] if path.startswith(base + os.sep) else path


def _is_video(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def _videos_below(folder: str, base: str) -> Iterator[str]:
    """Videos in a folder and the folders in it; not in hidden ones nor in our own outputs."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name.startswith(".") or (folder == base and entry.name in OUTPUT_FOLDERS):
                    continue
                yield from _videos_below(entry.path, base)
            elif _is_video(entry.name):
                yield entry.path


def _is_output(path: str, base: str) -> bool:
    inside = path.startswith(base + os.sep)
    return inside and path[len(base) + 1 :].split(os.sep, 1)[0] in OUTPUT_FOLDERS


def _match(entry: str, base: str) -> tuple[list[str], list[str]]:
    """Videos that one entry of `videos:` stands for, and the folders that may hold their `videos.csv`."""
    path = os.path.normpath(os.path.join(base, os.path.expanduser(entry)))
    if os.path.isdir(path):
        return list(_videos_below(path, base)), [path]
    if os.path.lexists(path):
        return [path], []
    found: list[str] = []
    folders: list[str] = []
    for match in glob.glob(path, recursive=True):
        if _is_output(match, base) and not _is_output(path, base):  # the wildcard stands for one of our folders
            continue
        if os.path.isdir(match):
            found.extend(_videos_below(match, base))
            folders.append(match)
        elif _is_video(os.path.basename(match)):
            found.append(match)
    return found, folders


def find(videos: Sequence[str], base: Path = Path()) -> tuple[list[str], list[str]]:
    """Resolve `videos:`.

    Args:
        videos: Folders (searched to any depth), globs and files; relative to `base`.
        base: Working directory.

    Returns:
        Names of the video files and of the `videos.csv` files beside them, sorted, as the catalog calls them.

    Raises:
        ConfigError: An entry matches nothing.
    """
    root = os.path.abspath(base)
    files: set[str] = set()
    folders: set[str] = set()
    faults = []
    for entry in videos:
        found, holding = _match(entry, root)
        if not found:
            where = os.path.normpath(os.path.join(root, os.path.expanduser(entry)))
            what = "no video in this folder" if os.path.isdir(where) else "no such file, folder or glob match"
            faults.append(f"{entry!r}: {what}; looked at {where}")
        files.update(found)
        folders.update(holding)
    if not videos:
        faults.append("is empty; name a folder, a glob or a file")
    if faults:
        known = " ".join(sorted(VIDEO_SUFFIXES))
        listed = "\n".join(f"  videos: {fault}" for fault in faults)
        raise ConfigError(f"config.yaml:\n{listed}\n  put videos there or correct the entry (known endings: {known})")
    folders.update(map(os.path.dirname, files))
    tables = [os.path.join(folder, TABLE) for folder in folders]
    return (
        sorted(name_of(file, root) for file in files),
        sorted(name_of(table, root) for table in tables if os.path.exists(table)),
    )


def changed(names: Iterable[str], seen: Mapping[str, Seen], base: Path) -> list[str]:
    """Names whose size or modification time is not as recorded, or which were never recorded."""
    root = os.path.abspath(base)
    found = []
    for name in names:
        known = seen.get(name)
        try:
            stat: Optional[os.stat_result] = os.stat(os.path.join(root, name))
        except OSError:
            stat = None
        if stat is None or known is None or (stat.st_size, stat.st_mtime_ns) != (known.size, known.mtime_ns):
            found.append(name)
    return found
