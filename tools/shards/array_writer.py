"""Writes one Zarr v3 array item by item: chunks are encoded in threads and appended, nothing else stays in memory.

zarr-python writes a file of the sharding codec (Zarr enhancement proposal 2) from memory as a whole; here a file grows
chunk by chunk and gets its index at the end, so that its length costs nothing. The metadata are zarr-python's own.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import zarr
from numcodecs.zstd import Zstd
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from workflow.errors import ContractError
from workflow.shard_array import MISSING, crc32c

ZSTD_LEVEL = 3
CHUNKS_PER_FILE = 512  # a longer array goes on in a second file
_IN_FLIGHT = 4  # encoded chunks that may wait to be written


def _checksum(data: bytes) -> bytes:
    return crc32c(np.frombuffer(data, np.uint8)).to_bytes(4, "little")


def _encode(chunk: np.ndarray, compress: bool) -> bytes | None:
    """Encoded chunk with its CRC-32C behind; None where all bytes are zero, which needs no storage."""
    raw = np.ascontiguousarray(chunk)
    if not raw.view(np.uint8).any():
        return None
    data = bytes(Zstd(level=ZSTD_LEVEL).encode(raw)) if compress else raw.tobytes()
    return data + _checksum(data)


class ArrayWriter:
    """Writes one array, item by item along its first axis."""

    def __init__(
        self,
        root: Path,
        name: str,
        *,
        item_shape: tuple[int, ...],
        dtype: str,
        chunk_length: int,
        dimensions: tuple[str, ...],
        attributes: Mapping[str, Any],
        pool: Executor,
        compress: bool = True,
    ) -> None:
        """Start an array.

        Args:
            root: Folder of the store.
            name: Path of the array in it.
            item_shape: Shape of one item.
            dtype: Of the values.
            chunk_length: Items in a chunk.
            dimensions: Axis names, the first axis included.
            attributes: Attributes of the array.
            pool: Threads that encode.
            compress: False keeps the bytes as they are (still with checksums).
        """
        self.name = name
        self.length = 0
        self.files: dict[str, tuple[int, str]] = {}  # of every file written: size and SHA-256, by its path in the store
        self.attributes = dict(attributes)
        self._root = root
        self._item_shape = item_shape
        self._dtype = np.dtype(dtype)
        self._chunk_length = chunk_length
        self._dimensions = dimensions
        self._pool = pool
        self._compress = compress
        self._chunk = self._new_chunk()
        self._waiting: deque[Future[bytes | None]] = deque()
        self._file: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self._index: list[tuple[int, int]] = []
        self._end = 0
        self._full_files = 0

    def _new_chunk(self) -> np.ndarray:
        return np.zeros((self._chunk_length, *(max(size, 1) for size in self._item_shape)), self._dtype)

    def append(self, item: np.ndarray) -> None:
        """Add one item, of shape `item_shape`."""
        self.extend(np.asarray(item)[None])

    def extend(self, items: np.ndarray) -> None:
        """Add items.

        Args:
            items: Shape (n, *item_shape). Copied, so the caller may reuse its buffer.

        Raises:
            ContractError: Shape or dtype are not as declared.
        """
        if items.shape[1:] != self._item_shape or items.dtype != self._dtype:
            raise ContractError(
                f"{self.name}: items are {items.shape[1:]} {items.dtype}, expected {self._item_shape} {self._dtype}"
            )
        done = 0
        while done < len(items):
            place = self.length % self._chunk_length
            count = min(self._chunk_length - place, len(items) - done)
            self._chunk[place : place + count] = items[done : done + count]
            done += count
            self.length += count
            if place + count == self._chunk_length:
                self._flush()

    def _flush(self) -> None:
        """Send the current chunk to be encoded, and write what is ready."""
        self._waiting.append(self._pool.submit(_encode, self._chunk, self._compress))
        self._chunk = self._new_chunk()
        while len(self._waiting) > _IN_FLIGHT:
            self._take()

    def _take(self) -> None:
        data = self._waiting.popleft().result()
        if self._file is None:
            path = self._path(self._full_files)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
        if data is None:
            self._index.append((int(MISSING), int(MISSING)))
        else:
            self._index.append((self._end, len(data)))
            self._put(data)
        if len(self._index) == CHUNKS_PER_FILE:
            self._finish_file(CHUNKS_PER_FILE)
            self._full_files += 1

    def _path(self, number: int) -> Path:
        return self._root.joinpath(self.name, "c", str(number), *("0" for _ in self._item_shape))

    def _put(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)
        self._hash.update(data)
        self._end += len(data)

    def _finish_file(self, entries: int) -> None:
        """Write the index behind the chunks, and make the file durable."""
        assert self._file is not None
        index = np.full((entries, 2), MISSING, "<u8")
        index[: len(self._index)] = np.array(self._index, np.uint64).reshape(-1, 2)
        self._put(index.tobytes() + _checksum(index.tobytes()))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        path = Path(self._file.name).relative_to(self._root).as_posix()
        self.files[path] = (self._end, self._hash.hexdigest())
        self._file, self._index, self._end, self._hash = None, [], 0, hashlib.sha256()

    def close(self) -> None:
        """Write what is left, and the metadata."""
        if self.length % self._chunk_length:
            self._flush()
        while self._waiting:
            self._take()
        entries = CHUNKS_PER_FILE if self._full_files else max(len(self._index), 1)
        if self._file is not None:
            self._finish_file(entries)
        zarr.create_array(
            store=zarr.storage.LocalStore(self._root),
            name=self.name,
            shape=(self.length, *self._item_shape),
            dtype=self._dtype,
            chunks=self._chunk.shape,
            shards=(entries * self._chunk_length, *self._chunk.shape[1:]),
            serializer=BytesCodec(),
            compressors=[*([ZstdCodec(level=ZSTD_LEVEL)] if self._compress else []), Crc32cCodec()],
            fill_value=self._dtype.type(0),
            dimension_names=self._dimensions,
            attributes=self.attributes,
        )
        path = self._root / self.name / "zarr.json"
        data = path.read_bytes()
        with path.open("rb") as file:
            os.fsync(file.fileno())
        self.files[path.relative_to(self._root).as_posix()] = (len(data), hashlib.sha256(data).hexdigest())

    def abort(self) -> None:
        """Close the file without finishing it."""
        for future in self._waiting:
            future.cancel()
        if self._file is not None:
            self._file.close()
            self._file = None
