"""Puts a finished folder in the place of an old one, in one step where the file system can."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders atomically by renameat2(2); false where the kernel or the file system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    return bool(call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yield a new empty folder beside `target`, and put it in its place when the block ends without an error.

    Whoever looks at `target` sees the old folder or the new one, never a mixture; where the file system cannot swap
    (network file systems), for a moment none. Leftovers of runs that were killed are removed. Files must be synced
    by whoever writes them.

    Args:
        target: Folder to replace or make. One process at a time may replace it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in target.parent.glob(f".{target.name}.*.partial"):
        shutil.rmtree(leftover)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.mkdir()
    try:
        yield partial
        for folder, _, _ in os.walk(partial):
            _sync_folder(Path(folder))
        if not target.exists():
            partial.rename(target)
        elif not _exchange(partial, target):
            aside = target.with_name(f".{target.name}.{os.getpid()}.old.partial")
            target.rename(aside)
            partial.rename(target)
            shutil.rmtree(aside)
        _sync_folder(target.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
