"""Grids about a body: blend weights and distance, texture coordinates (instant-nvr, tools/prepare_zjumocap.py).

Legend: V = vertices, F = faces, J = joints; X, Y, Z = voxels along the body frame's axes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Callable, NamedTuple

import numpy as np
from numba import njit

from model_zoo.canonical.nearest import TOP_BLOCK, nearest_in_slab
from model_zoo.canonical.surface import closest_in_slab, face_records

PADDING_M = 0.05
VOXEL_M = 0.025

Axes = tuple[np.ndarray, np.ndarray, np.ndarray]


class NearestVertices(NamedTuple):
    """Nearest vertex of every voxel.

    Attributes:
        vertex: Shape (X, Y, Z), int32; of equally near vertices the lowest index.
        distance: Shape (X, Y, Z), float64, m.
    """

    vertex: np.ndarray
    distance: np.ndarray


class ClosestSurface(NamedTuple):
    """Closest surface point of every voxel.

    Attributes:
        face: Shape (X, Y, Z), int32; of equally near faces the lowest index.
        barycentric: Shape (X, Y, Z, 3), float64, weights of the face's corners at the closest point.
        distance: Shape (X, Y, Z), float64, m, unsigned.
    """

    face: np.ndarray
    barycentric: np.ndarray
    distance: np.ndarray


def grid_axes(points: np.ndarray, voxel_m: float = VOXEL_M, padding_m: float = PADDING_M) -> Axes:
    """Voxel positions per axis: `arange(lo, hi + voxel, voxel)` with padding around the points.

    Args:
        points: Shape (V, 3), m, body frame.
        voxel_m: Distance of neighbouring voxels.
        padding_m: Room on every side.

    Returns:
        Three float64 arrays, shapes (X,), (Y,), (Z,), m. As with the original, the grid ends up to one voxel
        beyond the bounds.
    """
    points = _checked(points)
    low, high = points.min(axis=0) - padding_m, points.max(axis=0) + padding_m
    x, y, z = (np.arange(low[n], high[n] + voxel_m, voxel_m) for n in range(3))
    return x, y, z


def axes_from_origin(origin: np.ndarray, shape: tuple[int, ...], voxel_m: float = VOXEL_M) -> Axes:
    """Voxel positions of a stored grid, to the bit those of `grid_axes`.

    Args:
        origin: Shape (3,), float64, m, body frame, the first voxel.
        shape: Number of voxels along each axis, (X, Y, Z).
        voxel_m: Distance of neighbouring voxels.
    """
    # np.arange steps by (start + step) - start, not by step.
    x, y, z = (float(o) + np.arange(n) * ((float(o) + voxel_m) - float(o)) for o, n in zip(origin, shape))
    return x, y, z


def grid_points(axes: Axes) -> np.ndarray:
    """Positions of all voxels.

    Returns:
        Shape (X, Y, Z, 3), float64, m: `meshgrid` with indexing ij.
    """
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def nearest_vertices(axes: Axes, vertices: np.ndarray, num_threads: int = 1) -> NearestVertices:
    """Exact nearest vertex of every voxel.

    Args:
        axes: Voxel positions per axis, m.
        vertices: Shape (V, 3), m, same frame.
        num_threads: Threads to share the grid among.
    """
    points = np.ascontiguousarray(_checked(vertices).T)
    shape = tuple(map(len, axes))
    out = NearestVertices(np.empty(shape, np.int32), np.empty(shape, np.float64))
    _in_slabs(shape[0], num_threads, lambda lo, hi: nearest_in_slab(*axes, points, lo, hi, *out))
    return out


def closest_surface(axes: Axes, vertices: np.ndarray, faces: np.ndarray, num_threads: int = 1) -> ClosestSurface:
    """Exact closest surface point of every voxel.

    Args:
        axes: Voxel positions per axis, m.
        vertices: Shape (V, 3), m, same frame.
        faces: Shape (F, 3), rows of `vertices`.
        num_threads: Threads to share the grid among.
    """
    vertices = _checked(vertices)
    faces = _checked_faces(faces, len(vertices))
    discs, records = face_records(vertices, faces)
    shape = tuple(map(len, axes))
    out = ClosestSurface(np.empty(shape, np.int32), np.empty((*shape, 3), np.float64), np.empty(shape, np.float64))
    _in_slabs(shape[0], num_threads, lambda lo, hi: closest_in_slab(*axes, discs, records, lo, hi, *out))
    return out


def surface_values(closest: ClosestSurface, faces: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Per-vertex values blended at the closest surface points.

    Args:
        closest: Closest surface point of every voxel.
        faces: Shape (F, 3), rows of `values`.
        values: Shape (V, C).

    Returns:
        Shape (X, Y, Z, C), float32.
    """
    values = np.ascontiguousarray(values, np.float64)
    out = np.empty((*closest.face.shape, values.shape[1]), np.float32)
    _blend(closest.face, closest.barycentric, _checked_faces(faces, len(values)), values, out)
    return out


def bigpose_bw(closest: ClosestSurface, faces: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Blend weights and distance over the big-pose grid.

    Args:
        closest: Closest surface points of the grid of the big-pose vertices.
        faces: Shape (F, 3).
        weights: Shape (V, J), skinning weights.

    Returns:
        Shape (X, Y, Z, J + 1), float32: J weights, then the unsigned distance in m.
    """
    weights = np.ascontiguousarray(weights, np.float64)
    out = np.empty((*closest.face.shape, weights.shape[1] + 1), np.float32)
    _blend(closest.face, closest.barycentric, _checked_faces(faces, len(weights)), weights, out)
    out[..., -1] = closest.distance
    return out


def bigpose_uv(closest: ClosestSurface, faces: np.ndarray, vertex_uv: np.ndarray) -> np.ndarray:
    """Texture coordinates over the big-pose grid.

    Args:
        closest: Closest surface points of the grid of the big-pose vertices.
        faces: Shape (F, 3).
        vertex_uv: Shape (V, 2), in [0, 1], from `uv_of_vertices`.

    Returns:
        Shape (X, Y, Z, 2), float32.
    """
    return surface_values(closest, faces, vertex_uv)


def uv_of_vertices(uv: np.ndarray, faces: np.ndarray, uv_faces: np.ndarray, num_vertices: int) -> np.ndarray:
    """One texture coordinate per vertex: on a seam the last face written wins.

    Args:
        uv: Shape (U, 2), in [0, 1], not flipped (`vt`).
        faces: Shape (F, 3), vertices of the corners.
        uv_faces: Shape (F, 3), rows of `uv` of the same corners (`ft`).
        num_vertices: V.

    Returns:
        Shape (V, 2), float32; 0 for a vertex without a face.
    """
    corners = np.asarray(faces).astype(np.int64).reshape(-1)
    # The last place of every vertex in the list of corners, said outright instead of by repeated assignment.
    vertex, place = np.unique(corners[::-1], return_index=True)
    out = np.zeros((num_vertices, 2), np.float32)
    out[vertex] = np.asarray(uv)[np.asarray(uv_faces).reshape(-1)[::-1][place]]
    return out


def vertex_bw(nearest: NearestVertices, weights: np.ndarray) -> np.ndarray:
    """Blend weights and distance over a frame's grid: those of the nearest vertex (not of the surface).

    Args:
        nearest: Nearest vertices of the grid of the frame's `pxyz`.
        weights: Shape (V, J), skinning weights.

    Returns:
        Shape (X, Y, Z, J + 1), float32: J weights, then the distance to that vertex in m.
    """
    weights = np.ascontiguousarray(weights, np.float32)
    out = np.empty((*nearest.vertex.shape, weights.shape[1] + 1), np.float32)
    _gather(nearest.vertex, nearest.distance, weights, out)
    return out


def _in_slabs(num_x: int, num_threads: int, work: Callable[[int, int], None]) -> None:
    """Run `work(from, to)` over the rows of top blocks, in threads (the kernels release the GIL)."""
    rows = -(-num_x // TOP_BLOCK)
    if num_threads <= 1:
        work(0, rows)
        return
    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(work, range(rows), range(1, rows + 1)))


def _checked(vertices: np.ndarray) -> np.ndarray:
    vertices = np.ascontiguousarray(vertices, np.float64)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not len(vertices) or not np.isfinite(vertices).all():
        raise ValueError(f"vertices of shape {vertices.shape} must be (V, 3), at least one, and finite")
    return vertices


def _checked_faces(faces: np.ndarray, num_vertices: int) -> np.ndarray:
    faces = np.asarray(faces)
    if faces.ndim != 2 or faces.shape[1] != 3 or not len(faces):
        raise ValueError(f"faces of shape {faces.shape} must be (F, 3), at least one")
    if faces.min() < 0 or faces.max() >= num_vertices:
        raise ValueError(f"faces name vertices {faces.min()} to {faces.max()}, there are {num_vertices}")
    return np.ascontiguousarray(faces, np.int32)


@njit(cache=True, nogil=True)
def _blend(face, barycentric, faces, values, out):
    nx, ny, nz = face.shape
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                f = face[i, j, k]
                a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
                wa, wb, wc = barycentric[i, j, k, 0], barycentric[i, j, k, 1], barycentric[i, j, k, 2]
                for n in range(values.shape[1]):
                    out[i, j, k, n] = values[a, n] * wa + values[b, n] * wb + values[c, n] * wc


@njit(cache=True, nogil=True)
def _gather(vertex, distance, weights, out):
    nx, ny, nz = vertex.shape
    num = weights.shape[1]
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                v = vertex[i, j, k]
                for n in range(num):
                    out[i, j, k, n] = weights[v, n]
                out[i, j, k, num] = distance[i, j, k]
