"""Getting weights: by name from their addresses, out of their archives, or from a file the user has."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from tools.zoo import unpack
from tools.zoo.download import Wanted, download
from workflow import pins, zoo
from workflow.errors import ToolError
from workflow.store import replacing
from workflow.zoo import Archive, Manifest, Weight

logger = logging.getLogger(__name__)

_ARCHIVES = ".archives"
_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Tells how far a download is: in place on a terminal, a line now and then in a log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = self._told = time.monotonic()
        self._first: Optional[int] = None
        self._live = sys.stderr.isatty()

    def __call__(self, done: int, total: Optional[int]) -> None:
        """Bytes so far, and in all where the server says so."""
        self._first = done if self._first is None else self._first
        now = time.monotonic()
        if now - self._told < (0.2 if self._live else _SECONDS_BETWEEN_LINES) and done != total:
            return
        self._told = now
        rate = (done - self._first) / max(now - self._start, 1e-3)
        text = f"{self._name}: {done / 1e6:.0f}" + (f" of {total / 1e6:.0f} MB" if total else " MB")
        if rate > 0:
            left = f", {(total - done) / rate:.0f} s left" if total else ""
            text += f", {rate / 1e6:.1f} MB/s{left}"
        if self._live:
            sys.stderr.write(f"\r{text}\033[K" + ("\n" if done == total else ""))
            sys.stderr.flush()
        else:
            logger.info("%s", text)


def select(manifest: Manifest, names: Iterable[str]) -> list[Weight]:
    """Entries by name, by group, or by the backend that needs them ("stage/backend").

    Raises:
        ToolError: A name is none of these.
    """
    found: dict[str, Weight] = {}
    for name in names:
        chosen = [entry for entry in manifest.weights.values() if name in (entry.name, entry.group, *entry.backends)]
        if not chosen:
            raise ToolError(f"no weight, group or backend is called {name!r}; see `python -m tools zoo list`")
        found.update((entry.name, entry) for entry in chosen)
    return list(found.values())


def fetch(manifest: Manifest, entry: Weight, folder: Path, again: bool = False) -> Path:
    """Bring a weight into the folder, or find it there; returns its path.

    Raises:
        ToolError: It needs a form, cannot be fetched, or is not what it must be.
    """
    target = folder / entry.file
    if target.is_file() and not again:
        pins.verified(entry, target, folder)
        return target
    if entry.form:
        raise ToolError(by_hand(entry, folder))
    wanted = Wanted(zoo.size(entry, folder), pins.expected(entry, folder))
    if entry.archive:
        _from_archive(manifest, entry, folder)
    elif entry.urls:
        download(entry.urls, target, wanted, Progress(entry.name))
    else:
        raise ToolError(by_hand(entry, folder))
    pins.verified(entry, target, folder)
    return target


def by_hand(entry: Weight, folder: Path) -> str:
    """How to get a file that cannot be fetched."""
    return (
        f"{entry.name} ({entry.title}) cannot be fetched for you; licence: {entry.licence}.\n"
        f"  {entry.form or 'It has no public address.'}\n  page: {entry.page}\n"
        f"  then: python -m tools zoo add FILE --as {entry.name}   (it goes to {folder / entry.file})"
    )


def _from_archive(manifest: Manifest, entry: Weight, folder: Path) -> None:
    """Take an entry, and the others of the same archive that are not there yet, out of the archive."""
    source = manifest.archives[entry.archive]
    packed = folder / _ARCHIVES / f"{source.name}.{source.kind}"
    _bring(source, packed)
    others = [other for other in manifest.weights.values() if other.archive == source.name]
    wanted = {
        other.member: folder / other.file
        for other in others
        if other.name == entry.name or not (folder / other.file).exists()
    }
    unpack.take(packed, source.kind, wanted)
    if all((folder / other.file).exists() for other in others):
        packed.unlink()


def _bring(source: Archive, packed: Path) -> None:
    """Fetch an archive, unless a readable one is there. An address that gives no such archive is passed over.

    Raises:
        ToolError: No address gives it; says what each one gave.
    """
    faults = []
    for url in ("", *source.urls):
        try:
            if url:
                download([url], packed, Wanted(source.bytes, source.sha256), Progress(source.name))
            elif not packed.is_file():
                continue
            unpack.members(packed, source.kind)
            return
        except ToolError as error:
            logger.warning("%s", error)
            packed.unlink(missing_ok=True)
            faults.append(str(error))
    raise ToolError("\n".join(faults))


def add(entry: Weight, file: Path, folder: Path, mine: bool = False) -> Path:
    """Copy a file of the user's to where it belongs, once it is known to be the right one.

    Args:
        entry: What it is.
        file: The file.
        folder: Weights folder.
        mine: Take it whatever is published or pinned, and pin it.

    Raises:
        ToolError: It is another file than the one expected.
    """
    if not file.is_file():
        raise ToolError(f"{file}: is no file")
    size, wanted = file.stat().st_size, zoo.size(entry, folder)
    target = folder / entry.file
    if mine:
        pins.pin(entry, file, folder)
    elif wanted is not None and size != wanted:
        raise ToolError(f"{file}: has {size} bytes, {entry.name} has {wanted}; --mine takes it all the same")
    fault = pins.mismatch(entry, file, folder)
    if fault:
        raise ToolError(fault)
    if not (target.exists() and target.samefile(file)):
        with replacing(target) as partial:
            shutil.copyfile(file, partial)
    pins.verified(entry, target, folder)
    return target


def entry_for(manifest: Manifest, file: Path) -> Weight:
    """Entry a file is named like.

    Raises:
        ToolError: None, or several.
    """
    found = [entry for entry in manifest.weights.values() if file.name in zoo.published(entry)]
    if len(found) != 1:
        raise ToolError(f"{file.name}: {len(found)} weights are called so; say which with --as NAME")
    return found[0]
