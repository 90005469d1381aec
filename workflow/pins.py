"""What a weight file must be: its sha256, as published or as recorded when it was first seen.

`weights.lock.json` in the weights folder is the user's: it pins every file that the manifest publishes no digest
for. Digests are remembered by size and time of change, so that a file of gigabytes is read once and not per job.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

from workflow import layout, zoo
from workflow.errors import ToolError
from workflow.stage import Backend, Params
from workflow.store import replacing
from workflow.zoo import Weight

logger = logging.getLogger(__name__)

_KNOWN = ".digests.json"
_BLOCK = 1 << 22


def digest(path: Path, folder: Optional[Path] = None) -> str:
    """SHA-256 of a file, remembered while its size and time of change stay the same.

    Args:
        path: The file.
        folder: Where digests are remembered; where that cannot be written, nothing is.
    """
    memory = (folder or layout.WEIGHTS) / _KNOWN
    state = path.stat()
    key, stamp = str(path.resolve()), [state.st_size, state.st_mtime_ns]
    known = _load(memory).get(key)
    if isinstance(known, dict) and known.get("stamp") == stamp:
        return str(known["sha256"])
    if state.st_size > 1 << 28:
        logger.info("%s: reading %.1f GB for its checksum, once", path.name, state.st_size / 1e9)
    made = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            made.update(block)
    value = made.hexdigest()
    with contextlib.suppress(OSError):  # a read-only folder: the next job reads the file again
        _change(memory, {key: {"stamp": stamp, "sha256": value}})
    return value


def expected(entry: Weight, folder: Optional[Path] = None) -> str:
    """Digest that a weight must have: pinned by the user, or published; empty where neither is known."""
    return str(zoo.pinned(entry, folder).get("sha256", entry.sha256))


def pin(entry: Weight, path: Path, folder: Optional[Path] = None) -> None:
    """Record what a weight is, so that another file is refused from now on."""
    state = {"sha256": digest(path, folder), "bytes": path.stat().st_size, "file": entry.file}
    _change(zoo.lock_file(folder), {entry.name: state})


def verified(entry: Weight, path: Path, folder: Optional[Path] = None) -> str:
    """Digest of a weight file that is what it must be; pins it when nothing is known yet.

    The file that the entry's variable names is the user's own: neither compared nor pinned.

    Raises:
        ToolError: It is another file.
    """
    fault = mismatch(entry, path, folder)
    if fault:
        raise ToolError(fault)
    found = digest(path, folder)
    if not expected(entry, folder) and not zoo.own(entry, path):
        try:
            pin(entry, path, folder)
            logger.info("%s: sha256 %s recorded in %s", entry.name, found, zoo.lock_file(folder))
        except OSError as error:
            logger.warning("%s: sha256 %s could not be recorded: %s", entry.name, found, error)
    return found


def mismatch(entry: Weight, path: Path, folder: Optional[Path] = None) -> str:
    """Message about a file that is not the one expected; empty where it is, or where nothing is known yet."""
    found, wanted = digest(path, folder), expected(entry, folder)
    if not wanted or found == wanted or zoo.own(entry, path):
        return ""
    return _MISMATCH.format(name=entry.name, path=path, found=found, wanted=wanted, lock=zoo.lock_file(folder))


def sums(weights: Mapping[str, Path]) -> dict[str, str]:
    """Digests of the files a job opens, by name; those of the manifest are what they must be.

    Raises:
        ToolError: One is another file.
    """
    known = zoo.manifest().weights
    return {name: verified(known[name], path) if name in known else digest(path) for name, path in weights.items()}


def mismatches(choices: Iterable[tuple[str, str, Backend, Params]]) -> list[str]:
    """Messages about weights of chosen backends that are there and are not the ones expected."""
    told: dict[str, str] = {}
    for _, _, backend, params in choices:
        for need in zoo.needs(backend, params):
            if need.path is not None and need.entry is not None and not need.elsewhere:
                told[need.name] = mismatch(need.entry, need.path)
    return [message for message in told.values() if message]


_MISMATCH = (
    "{name}: {path} has sha256\n    {found}, expected\n    {wanted}\n"
    "  The file is damaged or another version. Fetch it again (python -m tools zoo fetch {name} --again); if this "
    "file is meant, pin it in {lock}: python -m tools zoo add {path} --as {name} --mine"
)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        if path.name == _KNOWN:
            return {}  # a memory only: made anew
        raise ToolError(f"{path}: is not JSON; mend or remove it") from None
    return content if isinstance(content, dict) else {}


def _change(path: Path, entries: dict[str, Any]) -> None:
    with _locked(path):
        content = {**_load(path), **entries}
        with replacing(path) as partial:
            partial.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a kernel lock beside a file, so that two jobs do not lose each other's entries."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(
        path.with_name(f".{path.name}.lock".replace("..", ".")), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644
    )
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
