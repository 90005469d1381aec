"""Exact nearest vertex of every voxel of a grid, by blocks that halve and hand down their candidates.

Let u be the vertex nearest to a block's centre c, and e the block's half extents. |x - p|^2 - |x - u|^2 is linear
in x, so a vertex p with |c - p|^2 - |c - u|^2 > 2 sum(|p - u| e) loses against u in the whole block and leaves the
block's list. Lists keep the order of the vertices, so that of equally near vertices the lowest index wins, as in a
plain argmin.
"""

from __future__ import annotations

import numpy as np
from numba import njit

TOP_BLOCK = 16  # voxels per side of the first blocks; they halve down to 2
SLACK_M2 = 1e-12  # m^2, added to every bound: far above rounding, far below what costs time


@njit(cache=True, nogil=True)
def block_box(axis, start, size):
    """Centre and half extent, along one axis, of the block of voxels that begins at `start`, clipped to the grid."""
    low, high = axis[start], axis[min(start + size, len(axis)) - 1]
    return 0.5 * (low + high), 0.5 * (high - low)


@njit(cache=True, nogil=True)
def _narrow(ax, ay, az, i, j, k, size, points, index, count, new_points, new_index, distance2):
    """Copy the candidates that can be nearest to a voxel of the block at (i, j, k); their number."""
    cx, ex = block_box(ax, i, size)
    cy, ey = block_box(ay, j, size)
    cz, ez = block_box(az, k, size)
    best, u = np.inf, 0
    for n in range(count):
        dx, dy, dz = points[0, n] - cx, points[1, n] - cy, points[2, n] - cz
        distance2[n] = dx * dx + dy * dy + dz * dz
    for n in range(count):
        if distance2[n] < best:
            best, u = distance2[n], n
    ux, uy, uz = points[0, u], points[1, u], points[2, u]
    for n in range(count):
        spread = abs(points[0, n] - ux) * ex + abs(points[1, n] - uy) * ey + abs(points[2, n] - uz) * ez
        distance2[n] -= best + 2.0 * spread + SLACK_M2
    kept = 0
    for n in range(count):
        if distance2[n] <= 0.0:
            new_index[kept] = index[n]
            new_points[0, kept] = points[0, n]
            new_points[1, kept] = points[1, n]
            new_points[2, kept] = points[2, n]
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def nearest_in_slab(ax, ay, az, points, block_from, block_to, index, distance):
    """Fill `index` and `distance` for the rows of top blocks block_from to block_to - 1 along the first axis.

    Args:
        ax: Shape (X,), float64, m.
        ay: Shape (Y,), float64, m.
        az: Shape (Z,), float64, m.
        points: Shape (3, V), float64, m, contiguous.
        block_from: First row of blocks.
        block_to: One past the last row of blocks.
        index: Shape (X, Y, Z), int32, written.
        distance: Shape (X, Y, Z), float64, m, written.
    """
    num = points.shape[1]
    nx, ny, nz = len(ax), len(ay), len(az)
    everything = np.arange(num).astype(np.int32)
    # Candidate lists of the sizes 16, 8, 4, 2.
    ids = np.empty((4, num), np.int32)
    xyz = np.empty((4, 3, num), np.float64)
    distance2 = np.empty(num, np.float64)
    for bi in range(block_from * TOP_BLOCK, min(block_to * TOP_BLOCK, nx), TOP_BLOCK):
        for bj in range(0, ny, TOP_BLOCK):
            for bk in range(0, nz, TOP_BLOCK):
                n16 = _narrow(ax, ay, az, bi, bj, bk, 16, points, everything, num, xyz[0], ids[0], distance2)
                for c8 in range(8):
                    i8, j8, k8 = bi + 8 * (c8 >> 2), bj + 8 * ((c8 >> 1) & 1), bk + 8 * (c8 & 1)
                    if i8 >= nx or j8 >= ny or k8 >= nz:
                        continue
                    n8 = _narrow(ax, ay, az, i8, j8, k8, 8, xyz[0], ids[0], n16, xyz[1], ids[1], distance2)
                    for c4 in range(8):
                        i4, j4, k4 = i8 + 4 * (c4 >> 2), j8 + 4 * ((c4 >> 1) & 1), k8 + 4 * (c4 & 1)
                        if i4 >= nx or j4 >= ny or k4 >= nz:
                            continue
                        n4 = _narrow(ax, ay, az, i4, j4, k4, 4, xyz[1], ids[1], n8, xyz[2], ids[2], distance2)
                        for c2 in range(8):
                            i2, j2, k2 = i4 + 2 * (c2 >> 2), j4 + 2 * ((c2 >> 1) & 1), k4 + 2 * (c2 & 1)
                            if i2 >= nx or j2 >= ny or k2 >= nz:
                                continue
                            n2 = _narrow(ax, ay, az, i2, j2, k2, 2, xyz[2], ids[2], n4, xyz[3], ids[3], distance2)
                            for i in range(i2, min(i2 + 2, nx)):
                                for j in range(j2, min(j2 + 2, ny)):
                                    for k in range(k2, min(k2 + 2, nz)):
                                        best, best_n = np.inf, 0
                                        for n in range(n2):
                                            dx = ax[i] - xyz[3, 0, n]
                                            dy = ay[j] - xyz[3, 1, n]
                                            dz = az[k] - xyz[3, 2, n]
                                            d = dx * dx + dy * dy + dz * dz
                                            if d < best:
                                                best, best_n = d, n
                                        index[i, j, k] = ids[3, best_n]
                                        distance[i, j, k] = np.sqrt(best)
