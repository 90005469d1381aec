"""Noise for textures, the same on every machine: integer hashes, no tables, no trigonometry."""

from __future__ import annotations

import numpy as np
from numba import njit

_MASK = np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True, inline="always")
def hash01(x, y, z):
    """Number in [0, 1) from three integers (multiply and xor-shift mixing on 32 bits)."""
    h = (np.uint64(x & 0xFFFFFFFF) * np.uint64(0x9E3779B1)) & np.uint64(0xFFFFFFFF)
    h = ((h ^ np.uint64(y & 0xFFFFFFFF)) * np.uint64(0x85EBCA77)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(15)
    h = ((h ^ np.uint64(z & 0xFFFFFFFF)) * np.uint64(0xC2B2AE3D)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(13)
    h = (h * np.uint64(0x27D4EB2F)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(16)
    return np.float64(h) * (1.0 / 4294967296.0)


@njit(cache=True, nogil=True)
def smooth2(u, v, seed):
    """Value noise over the plane, one cell per unit, in [-1, 1]."""
    iu, iv = np.int64(np.floor(u)), np.int64(np.floor(v))
    fu, fv = u - iu, v - iv
    fu, fv = fu * fu * (3.0 - 2.0 * fu), fv * fv * (3.0 - 2.0 * fv)
    a, b = hash01(iu, iv, seed), hash01(iu + 1, iv, seed)
    c, d = hash01(iu, iv + 1, seed), hash01(iu + 1, iv + 1, seed)
    low, high = a + fu * (b - a), c + fu * (d - c)
    return 2.0 * (low + fv * (high - low)) - 1.0


@njit(cache=True, nogil=True)
def rough2(u, v, seed, footprint):
    """Three octaves of `smooth2`, in about [-1, 1]; octaves finer than the footprint (cells per pixel) fade out."""
    total, gain, scale = 0.0, 0.57, 1.0
    for octave in range(3):
        fade = min(max(1.6 - 1.6 * footprint * scale, 0.0), 1.0)
        if fade <= 0.0:
            break
        total += gain * fade * smooth2(u * scale, v * scale, seed + 101 * octave)
        gain *= 0.5
        scale *= 2.1
    return total


@njit(cache=True, nogil=True)
def smooth3(x, y, z, seed):
    """Value noise in space, one cell per unit, in [-1, 1]."""
    iz = np.int64(np.floor(z))
    fz = z - iz
    fz = fz * fz * (3.0 - 2.0 * fz)
    low, high = smooth2(x, y, seed + 7919 * iz), smooth2(x, y, seed + 7919 * (iz + 1))
    return low + fz * (high - low)
