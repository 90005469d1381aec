"""Archives opened with care: nothing lands outside the folder, no links, no devices, no surprise in size."""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Callable

from workflow.errors import ToolError
from workflow.store import replacing

_LARGEST = 64 << 30  # bytes of all members together
_MOST = 100_000  # members
_BLOCK = 1 << 20
_ENCRYPTED = 0x1


def members(archive: Path, kind: str) -> list[str]:
    """Names of the files in an archive, once all of them are known to be harmless.

    Args:
        archive: The file.
        kind: "zip" or "tar" (compressed or not).

    Raises:
        ToolError: It is no such archive, or a member is unsafe.
    """
    with _opened(archive, kind) as (names, _):
        return names


def take(archive: Path, kind: str, wanted: dict[str, Path]) -> None:
    """Take some members out of an archive, each whole or not at all.

    Args:
        archive: The file.
        kind: "zip" or "tar".
        wanted: Where each member goes. A member may be named by the end of its path, if only one ends so.

    Raises:
        ToolError: It is no such archive, any of its members is unsafe, or one that is wanted is not there.
    """
    with _opened(archive, kind) as (names, read):
        for name, target in wanted.items():
            with read(_match(name, names, archive)) as source, replacing(target) as partial, partial.open("wb") as file:
                while block := source.read(_BLOCK):
                    file.write(block)


def _match(name: str, names: list[str], archive: Path) -> str:
    found = [other for other in names if other == name] or [other for other in names if other.endswith(f"/{name}")]
    if len(found) != 1:
        raise ToolError(f"{archive}: holds {len(found)} files named {name}, expected one")
    return found[0]


@contextmanager
def _opened(archive: Path, kind: str) -> Iterator[tuple[list[str], Callable[[str], IO[bytes]]]]:
    try:
        if kind == "zip":
            with zipfile.ZipFile(archive) as opened:
                infos = {info.filename: info for info in _safe_zip(opened, archive)}
                yield list(infos), lambda name: opened.open(infos[name])
        elif kind == "tar":
            with tarfile.open(archive) as tar:
                found = {info.name: info for info in _safe_tar(tar, archive)}
                yield list(found), lambda name: tar.extractfile(found[name])  # type: ignore[return-value]  # plain files
        else:
            raise ToolError(f"{archive}: archives of kind {kind!r} are not known")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError) as error:
        raise ToolError(f"{archive}: is no readable {kind} archive: {error}") from None


def _safe_zip(opened: zipfile.ZipFile, archive: Path) -> list[zipfile.ZipInfo]:
    found = []
    for info in opened.infolist():
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ToolError(f"{archive}: refused: {info.filename!r} is a link or a device")
        if info.flag_bits & _ENCRYPTED:
            raise ToolError(f"{archive}: refused: {info.filename!r} is encrypted")
        _check_name(info.filename, archive)
        if not info.is_dir():
            found.append(info)
    _check_all([info.filename for info in found], sum(info.file_size for info in found), archive)
    return found


def _safe_tar(tar: tarfile.TarFile, archive: Path) -> list[tarfile.TarInfo]:
    found = []
    for info in tar:
        if len(found) > _MOST:
            break
        if not (info.isreg() or info.isdir()):
            raise ToolError(f"{archive}: refused: {info.name!r} is a link or a device")
        _check_name(info.name, archive)
        if info.isreg():
            found.append(info)
    _check_all([info.name for info in found], sum(info.size for info in found), archive)
    return found


def _check_name(name: str, archive: Path) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    windows = len(name) > 1 and name[1] == ":"
    if not name or path.is_absolute() or windows or ".." in path.parts or "\0" in name:
        raise ToolError(f"{archive}: refused: the path {name!r} leads out of the folder")


def _check_all(names: list[str], size: int, archive: Path) -> None:
    if len(names) > _MOST:
        raise ToolError(f"{archive}: refused: more than {_MOST} files")
    if size > _LARGEST:
        raise ToolError(f"{archive}: refused: {size} bytes when unpacked")
    twice = {name for name in names if names.count(name) > 1} if len(names) != len(set(names)) else set()
    if twice:
        raise ToolError(f"{archive}: refused: {os.fspath(sorted(twice)[0])!r} is in it twice")
