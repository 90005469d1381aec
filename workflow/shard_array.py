"""Direct reads of one array of a shard: index cached, one read per window, chunks decoded into place.

Not part of the numpy-only core: needs numcodecs and google-crc32c, which zarr brings along. It reads what
`tools/shards/array_writer.py` writes: Zarr v3, one level of `sharding_indexed`, chunks that split the first axis only.
Safe to use from several threads; no file stays open.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd

from workflow.errors import ContractError

MISSING = np.uint64(2**64 - 1)  # offset and length of a chunk that holds only the fill value
CRC_BYTES = 4
INDEX_ENTRY_BYTES = 16  # offset and length, uint64 little-endian

_MISSING = int(MISSING)

_scratch = threading.local()


def crc32c(data: np.ndarray) -> int:
    """CRC-32C (Castagnoli) of a byte array."""
    data.flags.writeable = False  # the library takes read-only buffers only; `data` is a view of the caller's
    return int(google_crc32c.value(data))


def _buffer(kind: str, size: int) -> np.ndarray:
    """Bytes that are reused by later calls in this thread."""
    held = getattr(_scratch, kind, None)
    if held is None or held.size < size:
        held = np.empty(max(size, 1), np.uint8)
        setattr(_scratch, kind, held)
    return held[:size]


class ShardArray:
    """One array of a shard.

    Attributes:
        path: Folder of the array.
        shape: Of the whole array.
        dtype: Of the values.
        chunk_length: Items of the first axis in a chunk.
        chunk_bytes: Size of a decoded chunk.
        attributes: Attributes of the array.
    """

    def __init__(self, path: Path) -> None:
        """Read the array's metadata.

        Raises:
            ContractError: The array is laid out in another way than shards are.
        """
        self.path = path
        try:
            meta = json.loads((path / "zarr.json").read_bytes())
            (sharding,) = meta["codecs"]
            inner = sharding["configuration"]
            names = [codec["name"] for codec in inner["codecs"]]
            self.shape = tuple(meta["shape"])
            self.dtype = np.dtype(meta["data_type"]).newbyteorder("<")
            self.chunk_length = int(inner["chunk_shape"][0])
            self._file_length = int(meta["chunk_grid"]["configuration"]["chunk_shape"][0])
            fits = (
                sharding["name"] == "sharding_indexed"
                and names[0] == "bytes"
                and names[-1] == "crc32c"
                and names[1:-1] in ([], ["zstd"])
                and [codec["name"] for codec in inner["index_codecs"]] == ["bytes", "crc32c"]
                and inner.get("index_location", "end") == "end"
                and all(size <= chunk for size, chunk in zip(self.shape[1:], inner["chunk_shape"][1:]))
                and not meta["fill_value"]
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ContractError(
                f"{path}: is not a readable array of a shard ({error!r}); rerun the shards stage"
            ) from None
        if not fits:
            raise ContractError(f"{path}: codecs {names} or chunks are not a shard's; read it with a Zarr library")
        self.attributes: dict[str, Any] = meta.get("attributes", {})
        self._zstd = Zstd() if len(names) == 3 else None
        self._chunk_shape = (self.chunk_length, *self.shape[1:])
        self.chunk_bytes = int(np.prod(self._chunk_shape)) * self.dtype.itemsize
        self._indices: dict[int, np.ndarray] = {}
        self._paths: dict[int, str] = {}

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def num_chunks(self) -> int:
        """Chunks along the first axis."""
        return -(-len(self) // self.chunk_length)

    @property
    def compressed(self) -> bool:
        """Whether chunks are packed by Zstandard."""
        return self._zstd is not None

    def _file(self, number: int) -> Path:
        return self.path.joinpath("c", str(number), *("0" for _ in self.shape[1:]))

    def _index(self, number: int) -> np.ndarray:
        """(chunks, 2) uint64: offset and length of every chunk of a file; checked, read once."""
        found = self._indices.get(number)
        if found is None:
            file = self._file(number)
            chunks = self._file_length // self.chunk_length
            size = chunks * INDEX_ENTRY_BYTES
            with file.open("rb") as handle:
                end = os.fstat(handle.fileno()).st_size
                data = np.frombuffer(
                    os.pread(handle.fileno(), size + CRC_BYTES, max(end - size - CRC_BYTES, 0)), np.uint8
                )
            if data.size != size + CRC_BYTES or crc32c(data[:size]) != int.from_bytes(data[size:].tobytes(), "little"):
                raise ContractError(f"{file}: the index is damaged; rerun the shards stage")
            found = data[:size].view("<u8").reshape(chunks, 2)
            present = found[found[:, 0] != MISSING]
            if present.size and int(present.sum(1).max()) > end:
                raise ContractError(f"{file}: is cut short; rerun the shards stage")
            self._paths[number] = str(file)
            self._indices[number] = found
        return found

    def _unpack(self, payload: np.ndarray, number: int, into: np.ndarray) -> None:
        """Decode one encoded chunk, checksum at its end, into a contiguous array of a chunk's size."""
        body, tail = payload[:-CRC_BYTES], payload[-CRC_BYTES:]
        if crc32c(body) != int.from_bytes(tail.tobytes(), "little"):
            raise ContractError(f"{self.path}: chunk {number} is damaged (checksum differs); rerun the shards stage")
        target = into.reshape(-1).view(np.uint8)
        if self._zstd is None:
            target[:] = body
        else:
            self._zstd.decode(body, target)

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, np.ndarray | None]]:
        """Number and encoded bytes of the chunks that cover [start, stop), with one read per file; None is empty.

        The bytes lie in a buffer of this thread, and are good until the next piece of another file is asked for.
        """
        per_file = self._file_length // self.chunk_length
        first, last = start // self.chunk_length, (stop - 1) // self.chunk_length
        while first <= last:
            number = first // per_file
            local = slice(first % per_file, min(last - number * per_file, per_file - 1) + 1)
            index: list[list[int]] = self._index(number)[local].tolist()
            present = [entry for entry in index if entry[0] != _MISSING]
            if present:
                begin = min(offset for offset, _ in present)
                data = _buffer("encoded", max(offset + size for offset, size in present) - begin)
                handle = os.open(self._paths[number], os.O_RDONLY | os.O_CLOEXEC)
                try:
                    got = os.preadv(handle, [data.data], begin)
                finally:
                    os.close(handle)
                if got != data.size:
                    raise ContractError(f"{self._file(number)}: is cut short; rerun the shards stage")
            for offset, size in index:
                yield first, None if offset == _MISSING else data[offset - begin : offset - begin + size]
                first += 1

    @property
    def margin(self) -> int:
        """Items of a chunk that may lie beyond either end of what is read."""
        return self.chunk_length - 1

    def read(self, start: int, stop: int, out: np.ndarray | None = None, room: np.ndarray | None = None) -> np.ndarray:
        """Items [start, stop) of the first axis.

        Args:
            start: First item.
            stop: End, exclusive.
            out: C-contiguous array to fill, (stop - start, ...); None makes a new one.
            room: The array that `out` lies in, with `margin` items before and after it that may be written over.
                Chunks that only partly belong to what is read are then decoded in place; without it they are decoded
                elsewhere and copied.

        Raises:
            ContractError: A chunk's checksum differs, or its file is cut short.
            IndexError: The range is not inside the array.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"{self.path}: items {start} to {stop} of {len(self)}")
        shape = (stop - start, *self.shape[1:])
        if out is None:
            out = np.empty(shape, self.dtype)
        elif out.shape != shape or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"{self.path.name}: out is {out.shape} {out.dtype}, expected contiguous {shape} {self.dtype}"
            )
        if stop == start or out.size == 0:
            return out
        for number, payload in self.pieces(start, stop):
            low = number * self.chunk_length
            begin, end = max(start, low), min(stop, low + self.chunk_length)
            target = out[begin - start : end - start]
            if payload is None:
                target[...] = 0
            elif end - begin == self.chunk_length:
                self._unpack(payload, number, target)
            elif room is not None:
                place = self.margin + low - start
                self._unpack(payload, number, room[place : place + self.chunk_length])
            else:
                chunk = _buffer("decoded", self.chunk_bytes).view(self.dtype).reshape(self._chunk_shape)
                self._unpack(payload, number, chunk)
                target[...] = chunk[begin - low : end - low]
        return out

    def faults(self) -> Iterator[tuple[int, int, str]]:
        """Every damaged stretch: first item, end, and what is wrong. Decodes the whole array chunk by chunk."""
        chunk = np.empty(self._chunk_shape, self.dtype)
        for number in range(self.num_chunks):
            low = number * self.chunk_length
            high = min(low + self.chunk_length, len(self))
            try:
                for _, payload in self.pieces(low, high):
                    if payload is not None:
                        self._unpack(payload, number, chunk)
            except (ContractError, OSError, RuntimeError, ValueError) as error:
                yield low, high, str(error)
