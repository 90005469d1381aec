"""The truth files of rendered clips, read frame by frame."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from workflow import catalog, layout, rendered
from workflow.errors import ToolError


@dataclass(frozen=True)
class Record:
    """The span of a rendered video that is one clip.

    Attributes:
        path: `.npz` of the video, see `model_zoo/synthetic/truth.py`.
        start: First frame.
        end: One past the last.
    """

    path: Path
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, px."""
        height, width = self.array("size")
        return int(height), int(width)

    def array(self, name: str) -> np.ndarray:
        """An array that is about the whole video.

        Raises:
            ToolError: The file does not hold it.
        """
        with np.load(self.path, allow_pickle=False) as arrays:
            if name not in arrays.files:
                raise self._lacks(name)
            found: np.ndarray = arrays[name]
            return found

    def of_frames(self, name: str) -> np.ndarray:
        """An array with an entry for each frame, (T, ...): those of the clip."""
        return self.array(name)[self.start : self.end]

    def pictures(self, name: str) -> Iterator[np.ndarray]:
        """Pictures of the clip's frames one after the other.

        Raises:
            ToolError: The file does not hold them.
        """
        with zipfile.ZipFile(self.path) as archive:
            if f"{name}.npy" not in archive.namelist():
                raise self._lacks(name)
            with archive.open(f"{name}.npy") as member:
                shape, kind = _header(member)
                size = int(np.prod(shape[1:])) * kind.itemsize
                for _ in range(self.start):
                    member.read(size)
                for _ in range(len(self)):
                    yield np.frombuffer(member.read(size), kind).reshape(shape[1:])

    def masks(self, name: str) -> Iterator[np.ndarray]:
        """Masks of the clip's frames one after the other, (H, W) bool."""
        width = self.size[1]
        for bits in self.pictures(name):
            yield np.unpackbits(bits, axis=1, count=width).astype(bool)

    def _lacks(self, name: str) -> ToolError:
        return ToolError(
            f"{self.path} has no {name!r}; remove {layout.SYNTHETIC / layout.SYNTHETIC_SETTINGS} and the video of that "
            "name, so that both are rendered again at the next start"
        )


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    np.lib.format.read_magic(member)
    shape, fortran, kind = np.lib.format.read_array_header_1_0(member)
    assert not fortran
    return shape, kind


def of(clips: Collection[str]) -> dict[str, Record]:
    """Truth of those clips of the working directory's catalog that are rendered.

    Raises:
        ToolError: A clip is rendered, but its truth is gone.
    """
    known = catalog.read(layout.CATALOG)
    found = {}
    for name in clips:
        path = rendered.truth_of(known, name, Path()) if name in known.rows else None
        if path is not None:
            clip = known.rows[name].clip
            found[name] = Record(path, clip.start, clip.end)
    return found
