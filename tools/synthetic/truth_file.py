"""Writes the truth of a clip as one `.npz`, frame by frame, so that memory does not grow with the clip."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from workflow.store import replacing

_LEVEL = 1  # of deflate: a quarter of the usual time for a tenth more bytes


class TruthFile:
    """Pictures as they come, the rest at the end; `numpy.load` reads it, and `tools/truth` frame by frame."""

    def __init__(self, path: Path) -> None:
        """Take the path; pictures wait beside it in unnamed files."""
        self._path = path
        self._waiting: dict[str, IO[bytes]] = {}
        self._kinds: dict[str, tuple[np.dtype, tuple[int, ...]]] = {}
        self._count = 0
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, pictures: Mapping[str, np.ndarray]) -> None:
        """Take the pictures of the next frame by name, the same names and shapes every time."""
        kinds = {name: (picture.dtype, picture.shape) for name, picture in pictures.items()}
        if self._count and kinds != self._kinds:
            raise ValueError(f"frame {self._count}: holds {kinds}, the ones before {self._kinds}")
        if not self._count:
            self._kinds = kinds
            self._waiting = {name: tempfile.TemporaryFile(dir=self._path.parent) for name in kinds}  # noqa: SIM115  see `close`
        for name, picture in pictures.items():
            self._waiting[name].write(np.ascontiguousarray(picture).data)
        self._count += 1

    def finish(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the file, whole or not at all."""
        with replacing(self._path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                data = io.BytesIO()
                np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
                with _member(archive, name) as member:
                    member.write(data.getvalue())
            for name, (kind, shape) in self._kinds.items():
                header = {"descr": kind.str, "fortran_order": False, "shape": (self._count, *shape)}
                self._waiting[name].seek(0)
                with _member(archive, name) as member:
                    np.lib.format.write_array_header_1_0(member, header)
                    shutil.copyfileobj(self._waiting[name], member, 1 << 20)

    def close(self) -> None:
        """Let go of what waits."""
        for file in self._waiting.values():
            file.close()


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type, info._compresslevel = zipfile.ZIP_DEFLATED, _LEVEL  # type: ignore[attr-defined]
    return archive.open(info, "w", force_zip64=True)
