"""Rasters: sequences of encoded frames in a file, written once, read in any order, never held in memory."""

from __future__ import annotations

import importlib
import os
import tempfile
import threading
import weakref
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import numpy as np

from workflow.errors import ContractError

_FRAMES_IN_FLIGHT = 4
_DECODERS = 2  # threads of one loop over a raster


def codec(name: str) -> tuple[Callable[[np.ndarray], bytes], Callable[[bytes], np.ndarray]]:
    """Encoder and decoder of `npy.zst` (any array, lossless) or `jpg` (RGB, lossy)."""
    if name == "npy.zst":  # by name, since the core itself needs numpy only
        packed = importlib.import_module("workflow.packed")
        return packed.encode, packed.decode
    images = importlib.import_module("workflow.images")
    return images.encode_jpg, images.decode_jpg


class Raster:
    """Frames of one field along time, each encoded on its own.

    Reading is thread-safe. A raster comes from `store` (frames of an artifact's file) or from `Spool`.
    """

    def __init__(
        self,
        fd: int,
        spans: Sequence[tuple[int, int, int]],
        *,
        codec_name: str,
        frame_shape: tuple[int, ...],
        dtype: str,
        ragged: bool = False,
        label: str = "raster",
    ) -> None:
        """Wrap encoded frames.

        Args:
            fd: Descriptor of the open file that holds the frames; whoever opened it closes it.
            spans: Byte offset, byte length and CRC-32 of each encoded frame.
            codec_name: Name of the codec, see `codec`.
            frame_shape: Shape of one frame; of the first one where `ragged`.
            dtype: dtype of a decoded frame.
            ragged: Whether shapes may differ from frame to frame.
            label: What error messages call it.
        """
        self._fd = fd
        self._label = label
        self._spans = spans
        self.codec_name = codec_name
        self.frame_shape = frame_shape
        self.dtype = np.dtype(dtype)
        self.ragged = ragged
        self._decode: Callable[[bytes], np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._spans)

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, *frame)."""
        return (len(self), *self.frame_shape)

    def encoded(self, index: int) -> bytes:
        """Encoded bytes of one frame, checked against their CRC-32."""
        offset, size, crc = self._spans[index]
        data = os.pread(self._fd, size, offset)
        if len(data) != size or zlib.crc32(data) != crc:
            raise ContractError(
                f"{self._label}: frame {index} is damaged (checksum differs); "
                "delete the file and rerun the stage that writes it"
            )
        return data

    def frame(self, index: int) -> np.ndarray:
        """One decoded frame; a fresh array."""
        if self._decode is None:
            self._decode = codec(self.codec_name)[1]
        return self._decode(self.encoded(range(len(self))[index]))

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        """One frame for an integer, a stack (n, *frame) for a slice or an integer array."""
        if isinstance(index, (int, np.integer)):
            return self.frame(int(index))
        chosen = range(len(self))[index] if isinstance(index, slice) else [int(i) for i in index]
        return (
            np.stack([self.frame(i) for i in chosen]) if len(chosen) else np.empty((0, *self.frame_shape), self.dtype)
        )

    def __iter__(self) -> Iterator[np.ndarray]:
        """Frames in order, decoded a few ahead in threads of their own."""
        with ThreadPoolExecutor(_DECODERS) as pool:
            waiting: deque[Future[np.ndarray]] = deque()
            for index in range(len(self)):
                waiting.append(pool.submit(self.frame, index))
                if len(waiting) > _FRAMES_IN_FLIGHT:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


class Spool(Raster):
    """A raster under construction in an unnamed temporary file, which vanishes with the process.

    Set `Spool.directory` to keep it beside the outputs instead of the system's temporary folder.
    """

    directory: Path | None = None

    def __init__(
        self,
        *,
        codec_name: str,
        dtype: str,
        frame_shape: tuple[int | None, ...],
        bounds: tuple[float, float] | None = None,
        ragged: bool = False,
        label: str = "raster",
        encode: Callable[[np.ndarray], bytes] | None = None,
    ) -> None:
        """Start an empty raster.

        Args:
            codec_name: Name of the codec, see `codec`.
            dtype: dtype that every frame must have.
            frame_shape: Sizes a frame must have; None where the first frame decides.
            bounds: Smallest and largest legal value.
            ragged: Whether shapes may differ from frame to frame.
            label: What error messages call it.
            encode: Encoder to use in place of the codec's own (other quality, same decoder).
        """
        fd, path = tempfile.mkstemp(dir=self.directory, prefix=".spool-")
        os.unlink(path)  # noqa: PTH108  the descriptor keeps the file; nothing is left behind, however the process ends
        weakref.finalize(self, os.close, fd)
        self._written: list[tuple[int, int, int]] = []
        self._settling = threading.Lock()
        super().__init__(
            fd,
            self._written,
            codec_name=codec_name,
            frame_shape=tuple(size or 0 for size in frame_shape),
            dtype=dtype,
            ragged=ragged,
            label=label,
        )
        self._expected = frame_shape
        self._bounds = bounds
        self._encode = encode
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[Future[bytes]] = deque()
        self._end = 0
        self._count = 0

    def append(self, frame: np.ndarray) -> None:
        """Encode and keep one frame.

        Args:
            frame: Shape and dtype as declared. Copied, so the caller may reuse its buffer.

        Raises:
            ContractError: Shape, dtype, finiteness or bounds are not as declared.
        """
        faults = []
        if frame.dtype != self.dtype:
            faults.append(f"dtype is {frame.dtype}, expected {self.dtype}")
        expected = self._expected if self._count == 0 or self.ragged else self.frame_shape
        fits = len(frame.shape) == len(expected) and all(
            want is None or have == want for have, want in zip(frame.shape, expected)
        )
        if not fits:
            faults.append(f"shape is {frame.shape}, expected {expected}")
        if frame.dtype.kind == "f" and not np.isfinite(frame).all():
            faults.append("holds values that are not finite")
        elif self._bounds is not None and frame.size:
            low, high = frame.min(), frame.max()
            if low < self._bounds[0] or high > self._bounds[1]:
                faults.append(f"values span {low} to {high}, expected {self._bounds[0]} to {self._bounds[1]}")
        if faults:
            raise ContractError(f"{self._label}, frame {self._count}: " + "; ".join(faults))
        if self._count == 0:
            self.frame_shape = frame.shape
        if self._encode is None:
            self._encode = codec(self.codec_name)[0]
        self._count += 1
        self._waiting.append(self._pool.submit(self._encode, frame.copy()))
        with self._settling:
            while len(self._waiting) > _FRAMES_IN_FLIGHT:
                self._take()

    def _take(self) -> None:
        data = self._waiting.popleft().result()
        os.pwrite(self._fd, data, self._end)
        self._written.append((self._end, len(data), zlib.crc32(data)))
        self._end += len(data)

    def _settle(self) -> None:
        with self._settling:  # several threads may read
            while self._waiting:
                self._take()

    def __len__(self) -> int:
        return self._count

    def encoded(self, index: int) -> bytes:
        """Encoded bytes of one frame."""
        self._settle()
        return super().encoded(index)

    def finish(self) -> Spool:
        """Wait for the encoder and return the raster, ready to be read from any thread."""
        self._settle()
        self._pool.shutdown()
        return self
