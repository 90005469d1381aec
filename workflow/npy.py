"""Read .npy bytes from several threads at once.

numpy reads the header with `ast.literal_eval`, which on Python 3.11 fails now and then when two threads parse at the
same time (`SystemError: AST constructor recursion depth mismatch`, python/cpython issue 106905). Headers repeat, so
each is parsed once, under a lock.
"""

from __future__ import annotations

import functools
import io
import threading

import numpy as np

from workflow.errors import ContractError

_MAGIC_BYTES = 8  # "\x93NUMPY", then the version
_LOCK = threading.Lock()


@functools.lru_cache(maxsize=1024)
def _parsed(head: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    with _LOCK:
        file = io.BytesIO(head)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return read(file)


def loads(data: bytes) -> np.ndarray:
    """Array of a whole .npy file; a fresh array.

    Raises:
        ContractError: It holds Python objects, or fewer bytes than its header says.
    """
    wide = data[6:7] != b"\x01"  # from version 2 on, the header's length has four bytes
    begin = _MAGIC_BYTES + (4 if wide else 2)
    end = begin + int.from_bytes(data[_MAGIC_BYTES:begin], "little")
    shape, fortran, dtype = _parsed(data[:end])
    if dtype.hasobject:
        raise ContractError("an array holds Python objects, which no artifact does")
    size = int(np.prod(shape, dtype=np.int64))
    if len(data) < end + size * dtype.itemsize:
        raise ContractError(f"an array of shape {shape} {dtype} has {len(data) - end} bytes")
    flat = np.frombuffer(data, dtype, size, end)
    return flat.reshape(shape, order="F" if fortran else "C").copy(order="K")
