"""Exact closest surface point of every voxel of a grid, by blocks that halve and hand down their candidates.

Let u be a surface point near a block's centre c, and e the block's half extents. As in `nearest`, a face whose
every point p has |c - p|^2 - |c - u|^2 > 2 sum(|p - u| e) loses against u in the whole block. Both sides are
bounded by the disc that the face's bounding sphere cuts out of its plane. What is left is measured exactly
(Ericson, Real-Time Collision Detection, 5.1.5).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from model_zoo.canonical.nearest import SLACK_M2, TOP_BLOCK, block_box

FLAT = 1e-12  # |ab x ac|^2 over the longest edge to the fourth, at or below which a face counts as its edges
SLACK_M = 1e-9  # m, as SLACK_M2 but for lengths
# Columns of a face's record: corner a, edges ab and ac, their products ab.ab, ab.ac, ac.ac, flat.
_A, _AB, _AC, _DOTS, _FLAT, _RECORD = 0, 3, 6, 9, 12, 13


@njit(cache=True, nogil=True)
def _on_segment(px, py, pz, ux, uy, uz):
    """Squared distance to the segment from the origin to u, and the place along it from 0 to 1."""
    length2 = ux * ux + uy * uy + uz * uz
    t = 0.0
    if length2 > 0.0:
        t = min(1.0, max(0.0, (px * ux + py * uy + pz * uz) / length2))
    dx, dy, dz = t * ux - px, t * uy - py, t * uz - pz
    return dx * dx + dy * dy + dz * dz, t


@njit(cache=True, nogil=True)
def _on_flat_face(x, y, z, bx, by, bz, cx, cy, cz):
    """Closest point on a face without area; everything relative to corner a."""
    best, t = _on_segment(x, y, z, bx, by, bz)
    v, w = t, 0.0
    d, t = _on_segment(x - bx, y - by, z - bz, cx - bx, cy - by, cz - bz)
    if d < best:
        best, v, w = d, 1.0 - t, t
    d, t = _on_segment(x, y, z, cx, cy, cz)
    if d < best:
        best, v, w = d, 0.0, t
    return best, v, w


@njit(cache=True, nogil=True)
def closest_on_face(px, py, pz, record):
    """Squared distance from a point to a face, and the weights of corners b and c at the closest point."""
    x, y, z = px - record[_A], py - record[_A + 1], pz - record[_A + 2]
    bx, by, bz = record[_AB], record[_AB + 1], record[_AB + 2]
    cx, cy, cz = record[_AC], record[_AC + 1], record[_AC + 2]
    if record[_FLAT] > 0.0:
        return _on_flat_face(x, y, z, bx, by, bz, cx, cy, cz)
    d1 = bx * x + by * y + bz * z
    d2 = cx * x + cy * y + cz * z
    d3, d4 = d1 - record[_DOTS], d2 - record[_DOTS + 1]
    d5, d6 = d1 - record[_DOTS + 1], d2 - record[_DOTS + 2]
    if d1 <= 0.0 and d2 <= 0.0:
        v, w = 0.0, 0.0
    elif d3 >= 0.0 and d4 <= d3:
        v, w = 1.0, 0.0
    elif d6 >= 0.0 and d5 <= d6:
        v, w = 0.0, 1.0
    else:
        vc = d1 * d4 - d3 * d2
        vb = d5 * d2 - d1 * d6
        va = d3 * d6 - d5 * d4
        if vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
            v, w = d1 / (d1 - d3), 0.0
        elif vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
            v, w = 0.0, d2 / (d2 - d6)
        elif va <= 0.0 and d4 >= d3 and d5 >= d6:
            w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
            v = 1.0 - w
        elif va > 0.0 and vb > 0.0 and vc > 0.0:
            total = va + vb + vc
            v, w = vb / total, vc / total
        else:  # a sliver, where rounding hides the region
            return _on_flat_face(x, y, z, bx, by, bz, cx, cy, cz)
    x, y, z = x - v * bx - w * cx, y - v * by - w * cy, z - v * bz - w * cz
    return x * x + y * y + z * z, v, w


@njit(cache=True, nogil=True)
def face_records(vertices, faces):
    """What the search needs to know of every face.

    Args:
        vertices: Shape (V, 3), float64, m.
        faces: Shape (F, 3), int32.

    Returns:
        Discs, shape (7, F), float64: centroid, radius about it (m), unit normal (0 without area).
        Records, shape (F, 13), float64: what the exact measurement reads.
    """
    num = faces.shape[0]
    discs = np.zeros((7, num), np.float64)
    records = np.zeros((num, _RECORD), np.float64)
    for f in range(num):
        a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
        g = (a + b + c) / 3.0
        discs[:3, f] = g
        discs[3, f] = np.sqrt(max(((a - g) ** 2).sum(), ((b - g) ** 2).sum(), ((c - g) ** 2).sum()))
        u, v = b - a, c - a
        uu, uv, vv = (u * u).sum(), (u * v).sum(), (v * v).sum()
        n = np.array([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
        nn = (n * n).sum()
        longest = max(uu, vv, uu + vv - 2.0 * uv)
        if nn <= FLAT * longest * longest:
            records[f, _FLAT] = 1.0  # the normal stays 0: the disc bound becomes the sphere bound
        else:
            discs[4:, f] = n / np.sqrt(nn)
        records[f, _A : _A + 3] = a
        records[f, _AB : _AB + 3] = u
        records[f, _AC : _AC + 3] = v
        records[f, _DOTS], records[f, _DOTS + 1], records[f, _DOTS + 2] = uu, uv, vv
    return discs, records


@njit(cache=True, nogil=True)
def _narrow(ax, ay, az, i, j, k, size, records, discs, index, count, new_discs, new_index, excess):
    """Copy the faces that can be closest to a voxel of the block at (i, j, k); their number."""
    cx, ex = block_box(ax, i, size)
    cy, ey = block_box(ay, j, size)
    cz, ez = block_box(az, k, size)
    half = np.sqrt(ex * ex + ey * ey + ez * ez)
    for n in range(count):
        dx, dy, dz = discs[0, n] - cx, discs[1, n] - cy, discs[2, n] - cz
        excess[n] = dx * dx + dy * dy + dz * dz
    near = np.argmin(excess[:count])
    record = records[index[near]]
    best, v, w = closest_on_face(cx, cy, cz, record)
    ux = record[_A] + v * record[_AB] + w * record[_AC]
    uy = record[_A + 1] + v * record[_AB + 1] + w * record[_AC + 1]
    uz = record[_A + 2] + v * record[_AB + 2] + w * record[_AC + 2]
    for n in range(count):
        gx, gy, gz, radius = discs[0, n], discs[1, n], discs[2, n], discs[3, n]
        spread = abs(gx - ux) * ex + abs(gy - uy) * ey + abs(gz - uz) * ez + radius * half
        limit = best + 2.0 * spread + SLACK_M2
        dx, dy, dz = cx - gx, cy - gy, cz - gz
        d = dx * dx + dy * dy + dz * dz
        height = dx * discs[4, n] + dy * discs[5, n] + dz * discs[6, n]
        within = limit - height * height
        lateral = radius + np.sqrt(max(within, 0.0)) + SLACK_M
        excess[n] = max(d - height * height - lateral * lateral, -within)
    kept = 0
    for n in range(count):
        if excess[n] <= 0.0:
            new_index[kept] = index[n]
            for m in range(7):
                new_discs[m, kept] = discs[m, n]
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def closest_in_slab(ax, ay, az, discs, records, block_from, block_to, face, barycentric, distance):
    """Fill the outputs for the rows of top blocks block_from to block_to - 1 along the first axis.

    Args:
        ax: Shape (X,), float64, m.
        ay: Shape (Y,), float64, m.
        az: Shape (Z,), float64, m.
        discs: Shape (7, F), from `face_records`.
        records: Shape (F, 13), from `face_records`.
        block_from: First row of blocks.
        block_to: One past the last row of blocks.
        face: Shape (X, Y, Z), int32, written; of equally near faces the lowest index.
        barycentric: Shape (X, Y, Z, 3), float64, written.
        distance: Shape (X, Y, Z), float64, m, written.
    """
    num = records.shape[0]
    nx, ny, nz = len(ax), len(ay), len(az)
    everything = np.arange(num).astype(np.int32)
    # Candidate lists of the sizes 16, 8, 4, 2.
    ids = np.empty((4, num), np.int32)
    kept = np.empty((4, 7, num), np.float64)
    excess = np.empty(num, np.float64)
    for bi in range(block_from * TOP_BLOCK, min(block_to * TOP_BLOCK, nx), TOP_BLOCK):
        for bj in range(0, ny, TOP_BLOCK):
            for bk in range(0, nz, TOP_BLOCK):
                n16 = _narrow(ax, ay, az, bi, bj, bk, 16, records, discs, everything, num, kept[0], ids[0], excess)
                for c8 in range(8):
                    i8, j8, k8 = bi + 8 * (c8 >> 2), bj + 8 * ((c8 >> 1) & 1), bk + 8 * (c8 & 1)
                    if i8 >= nx or j8 >= ny or k8 >= nz:
                        continue
                    n8 = _narrow(ax, ay, az, i8, j8, k8, 8, records, kept[0], ids[0], n16, kept[1], ids[1], excess)
                    for c4 in range(8):
                        i4, j4, k4 = i8 + 4 * (c4 >> 2), j8 + 4 * ((c4 >> 1) & 1), k8 + 4 * (c4 & 1)
                        if i4 >= nx or j4 >= ny or k4 >= nz:
                            continue
                        n4 = _narrow(ax, ay, az, i4, j4, k4, 4, records, kept[1], ids[1], n8, kept[2], ids[2], excess)
                        for c2 in range(8):
                            i2, j2, k2 = i4 + 2 * (c2 >> 2), j4 + 2 * ((c2 >> 1) & 1), k4 + 2 * (c2 & 1)
                            if i2 >= nx or j2 >= ny or k2 >= nz:
                                continue
                            n2 = _narrow(
                                ax, ay, az, i2, j2, k2, 2, records, kept[2], ids[2], n4, kept[3], ids[3], excess
                            )
                            last = 0
                            for i in range(i2, min(i2 + 2, nx)):
                                for j in range(j2, min(j2 + 2, ny)):
                                    for k in range(k2, min(k2 + 2, nz)):
                                        last = _closest(
                                            i, j, k, ax[i], ay[j], az[k], records, kept[3], ids[3], n2, last,
                                            face, barycentric, distance,
                                        )  # fmt: skip


@njit(cache=True, nogil=True)
def _closest(i, j, k, x, y, z, records, discs, ids, count, first, face, barycentric, distance):
    """Measure one voxel against its candidates, the neighbour's answer first; the winner's place in the list."""
    best, best_v, best_w = closest_on_face(x, y, z, records[ids[first]])
    best_n = first
    reach = np.sqrt(best) + SLACK_M
    for n in range(count):
        dx, dy, dz = x - discs[0, n], y - discs[1, n], z - discs[2, n]
        d2 = dx * dx + dy * dy + dz * dz
        radius = discs[3, n]
        if d2 > (reach + radius) * (reach + radius):
            continue
        height = dx * discs[4, n] + dy * discs[5, n] + dz * discs[6, n]
        within = reach * reach - height * height
        if within < 0.0:
            continue
        lateral = radius + np.sqrt(within) + SLACK_M
        if d2 - height * height > lateral * lateral:
            continue
        d, v, w = closest_on_face(x, y, z, records[ids[n]])
        if d < best or (d == best and n < best_n):
            best, best_v, best_w, best_n = d, v, w, n
            reach = np.sqrt(best) + SLACK_M
    face[i, j, k] = ids[best_n]
    barycentric[i, j, k, 0] = 1.0 - best_v - best_w
    barycentric[i, j, k, 1] = best_v
    barycentric[i, j, k, 2] = best_w
    distance[i, j, k] = np.sqrt(best)
    return best_n
