"""Artifact files: one zip per shard and artifact, whole or absent, readable with numpy, zstd and an image viewer.

Members are stored, not compressed a second time: `header.json`, `<clip>/<field>.npy` for arrays and
`<clip>/<field>/<frame:06d>.<npy.zst|jpg>` for rasters. The bytes are a pure function of the contents.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from workflow import npy
from workflow.artifact import Artifact
from workflow.errors import ContractError
from workflow.raster import Raster, Spool

A = TypeVar("A", bound=Artifact)

_HEADER = "header.json"
_LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of name and extra field in a zip's local file header
_SHAPE_KEY = "rasters"


@dataclass(frozen=True)
class Rejection:
    """Why a clip is not in an artifact, and which stage said so."""

    stage: str
    reason: str


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it into place when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):  # by processes that were killed
        left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class Writer(Generic[A]):
    """Collects the clips of one artifact file; made by `writing`."""

    def __init__(self, archive: zipfile.ZipFile, kind: type[A], provenance: dict[str, Any]) -> None:
        self._archive = archive
        self._kind = kind
        self._header: dict[str, Any] = {
            "artifact": kind.name,
            "version": kind.version,
            "provenance": provenance,
            "clips": {},
        }

    def _put(self, name: str, data: bytes) -> None:
        self._archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_STORED)

    def add(self, clip: str, artifact: A) -> None:
        """Write one clip.

        Args:
            clip: Clip id.
            artifact: Its artifact, of the file's kind.
        """
        if type(artifact) is not self._kind:
            raise ContractError(f"{clip}: got {type(artifact).__name__}, expected {self._kind.__name__}")
        rasters = {}
        for name, spec in self._kind.specs().items():
            value = getattr(artifact, name)
            if spec.kind == "array":
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, np.ascontiguousarray(value), allow_pickle=False)
                self._put(f"{clip}/{name}.npy", buffer.getvalue())
                continue
            if isinstance(value, Spool):
                value.finish()
            for index in range(len(value)):
                self._put(f"{clip}/{name}/{index:06d}.{value.codec_name}", value.encoded(index))
            rasters[name] = {"length": len(value), "frame": list(value.frame_shape), "codec": value.codec_name}
        self._header["clips"][clip] = {
            "attributes": {name: getattr(artifact, name) for name in self._kind.attributes()},
            "quality": {key: float(number) for key, number in artifact.quality.items()},
            _SHAPE_KEY: rasters,
        }

    def reject(self, clip: str, rejection: Rejection) -> None:
        """Record that a clip has no artifact, and why."""
        self._header["clips"][clip] = {"rejected": {"stage": rejection.stage, "reason": rejection.reason}}

    def close(self) -> None:
        """Write the header."""
        self._put(_HEADER, json.dumps(self._header, indent=1, sort_keys=False).encode())


@contextlib.contextmanager
def writing(path: Path, kind: type[A], provenance: dict[str, Any]) -> Iterator[Writer[A]]:
    """Open an artifact file for writing; it appears under `path` only when the block ends without an error."""
    with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        writer = Writer(archive, kind, provenance)
        yield writer
        writer.close()


class Reader(Generic[A]):
    """Clips of one artifact file. Rasters stay on disk; the reader must outlive them."""

    def __init__(self, path: Path, kind: type[A]) -> None:
        """Open a file.

        Args:
            path: File written by `writing`.
            kind: Artifact type expected in it.

        Raises:
            ContractError: The file is damaged, or holds another artifact or version.
        """
        self.path = path
        self._kind = kind
        try:
            self._archive = zipfile.ZipFile(path)
            self._header = json.loads(self._archive.read(_HEADER))
        except (zipfile.BadZipFile, KeyError, zlib.error) as error:
            raise ContractError(
                f"{path} is not a whole artifact file ({error}); delete it and rerun the stage that writes it"
            ) from error
        found = f"{self._header['artifact']} v{self._header['version']}"
        expected = f"{kind.name} v{kind.version}"
        if found != expected:
            raise ContractError(f"{path} holds {found}, expected {expected}; rerun the stage that writes it")
        self._file = path.open("rb")

    def __enter__(self) -> Reader[A]:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()
        self._file.close()

    @property
    def provenance(self) -> dict[str, Any]:
        """How the file was made."""
        return self._header["provenance"]

    @property
    def clips(self) -> tuple[str, ...]:
        """Ids of all clips of the shard, rejected ones too, in the shard's order."""
        return tuple(self._header["clips"])

    def digest(self) -> str:
        """SHA-256 over names, sizes and CRCs of all members: identifies the contents without reading them."""
        rows = [f"{info.filename} {info.file_size} {info.CRC:08x}" for info in self._archive.infolist()]
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def rejection(self, clip: str) -> Rejection | None:
        """Why the clip is absent; None when it is there."""
        entry = self._header["clips"][clip].get("rejected")
        return None if entry is None else Rejection(entry["stage"], entry["reason"])

    def quality(self, clip: str) -> dict[str, float]:
        """The stage's figures for a clip; empty for a rejected one."""
        return dict(self._header["clips"][clip].get("quality", {}))

    def _span(self, name: str) -> tuple[int, int, int]:
        info = self._archive.getinfo(name)
        name_length, extra_length = _LOCAL_HEADER.unpack(
            os.pread(self._file.fileno(), _LOCAL_HEADER.size, info.header_offset)
        )
        start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        return start, info.file_size, info.CRC

    def read(self, clip: str) -> A:
        """Artifact of one clip.

        Raises:
            ContractError: The clip is rejected or the file does not hold what the contract says.
        """
        rejection = self.rejection(clip)
        if rejection is not None:
            raise ContractError(f"{self.path}: clip {clip} was rejected by {rejection.stage}: {rejection.reason}")
        entry = self._header["clips"][clip]
        values: dict[str, Any] = dict(entry["attributes"])
        for name, spec in self._kind.specs().items():
            if spec.kind == "array":
                values[name] = npy.loads(self._archive.read(f"{clip}/{name}.npy"))
            else:
                meta = entry[_SHAPE_KEY][name]
                members = [f"{clip}/{name}/{index:06d}.{meta['codec']}" for index in range(meta["length"])]
                values[name] = Raster(
                    self._file.fileno(),
                    [self._span(member) for member in members],
                    codec_name=meta["codec"],
                    frame_shape=tuple(meta["frame"]),
                    dtype=spec.dtype,
                    ragged=spec.ragged,
                    label=f"{self.path}: {clip}/{name}",
                )
        return self._kind(**values, quality=entry["quality"])


def header(path: Path) -> dict[str, Any]:
    """Header of an artifact file of any kind, without opening its arrays."""
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(_HEADER))
