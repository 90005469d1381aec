"""Arrays as .npy files under zstd (RFC 8878)."""

from __future__ import annotations

import io

import numpy as np
import zstandard

from workflow import npy

_LEVEL = 1  # the quickest that looks for repeats; higher ones save little


def encode(frame: np.ndarray) -> bytes:
    """Encode any array of numbers, without loss."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(np.ascontiguousarray(frame)))
    return zstandard.ZstdCompressor(_LEVEL).compress(head.getvalue() + frame.tobytes())


def decode(data: bytes) -> np.ndarray:
    """Decode to a fresh array."""
    return npy.loads(zstandard.ZstdDecompressor().decompress(data))
