"""Per-pixel attributes of a rasterised mesh: colours, labels, normals."""

from __future__ import annotations

import numpy as np
from numba import njit

from model_zoo.raster.zbuffer import Raster, checked_faces


def interpolate(raster: Raster, faces: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Blend per-vertex values over the pixels.

    Args:
        raster: What every pixel sees.
        faces: Shape (F, 3), rows of `values`: the mesh's faces, or for values per corner (uv with seams) the
            faces of that table in the same order.
        values: Shape (V, C), any unit.

    Returns:
        Shape (H, W, C), float32; 0 where no face is seen.
    """
    values = np.ascontiguousarray(values, np.float32)
    if values.ndim != 2:
        raise ValueError(f"values of shape {values.shape} must be (V, C)")
    out = np.zeros((*raster.face_index.shape, values.shape[1]), np.float32)
    _interpolate(raster.face_index, raster.barycentrics, checked_faces(faces, len(values)), values, out)
    return out


def nearest_vertices(raster: Raster, faces: np.ndarray) -> np.ndarray:
    """Corner with the largest barycentric weight.

    Args:
        raster: What every pixel sees.
        faces: Shape (F, 3), rows of the vertices.

    Returns:
        Shape (H, W), int32; vertex index, -1 where no face is seen. Of equal weights the first corner.
    """
    faces = np.asarray(faces)
    out = np.full(raster.face_index.shape, -1, np.int32)
    _nearest_vertices(raster.face_index, raster.barycentrics, np.ascontiguousarray(faces, np.int32), out)
    return out


def pick_labels(raster: Raster, faces: np.ndarray, labels: np.ndarray, background: int = 0) -> np.ndarray:
    """Label of the nearest corner: labels are never blended.

    Args:
        raster: What every pixel sees.
        faces: Shape (F, 3), rows of `labels`.
        labels: Shape (V,), integers.
        background: Label of pixels that see no face.

    Returns:
        Shape (H, W), the dtype of `labels`.
    """
    labels = np.asarray(labels)
    vertex = nearest_vertices(raster, checked_faces(faces, len(labels)))
    return np.where(vertex >= 0, labels[vertex], labels.dtype.type(background))


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Mean of the adjacent face normals, weighted by face area.

    Args:
        vertices: Shape (V, 3), any unit and frame.
        faces: Shape (F, 3); corners run counter-clockwise seen from outside, as in SMPL's files.

    Returns:
        Shape (V, 3), float64, unit length, same frame, pointing outwards; 0 for a vertex without a face of
        positive area.
    """
    vertices = np.ascontiguousarray(vertices, np.float64)
    out = np.zeros_like(vertices)
    _vertex_normals(vertices, checked_faces(faces, len(vertices)), out)
    return out


def pixel_normals(raster: Raster, faces: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Smooth surface normals: vertex normals blended over each face.

    Args:
        raster: What every pixel sees.
        faces: Shape (F, 3), rows of `normals`.
        normals: Shape (V, 3), camera frame (x right, y down, z forward).

    Returns:
        Shape (H, W, 3), float32, camera frame, unit length: a surface that faces the camera has negative z. At
        outlines the smooth normal may lean a little past the line of sight. 0 where no face is seen.
    """
    out = interpolate(raster, faces, normals)
    _normalize(raster.face_index, out)
    return out


@njit(cache=True, nogil=True)
def _interpolate(face_index, barycentrics, faces, values, out):
    height, width = face_index.shape
    for i in range(height):
        for j in range(width):
            f = face_index[i, j]
            if f < 0:
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            wa, wb, wc = barycentrics[i, j, 0], barycentrics[i, j, 1], barycentrics[i, j, 2]
            for n in range(values.shape[1]):
                out[i, j, n] = wa * values[a, n] + wb * values[b, n] + wc * values[c, n]


@njit(cache=True, nogil=True)
def _nearest_vertices(face_index, barycentrics, faces, out):
    height, width = face_index.shape
    for i in range(height):
        for j in range(width):
            f = face_index[i, j]
            if f < 0:
                continue
            wa, wb, wc = barycentrics[i, j, 0], barycentrics[i, j, 1], barycentrics[i, j, 2]
            n = 0 if wa >= wb and wa >= wc else (1 if wb >= wc else 2)
            out[i, j] = faces[f, n]


@njit(cache=True, nogil=True)
def _vertex_normals(vertices, faces, out):
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        # The cross product's length is twice the area: adding it up is the weighting.
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            out[v, 0] += nx
            out[v, 1] += ny
            out[v, 2] += nz
    for v in range(out.shape[0]):
        length = np.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        if length > 0.0:
            for n in range(3):
                out[v, n] /= length


@njit(cache=True, nogil=True)
def _normalize(face_index, out):
    height, width = face_index.shape
    for i in range(height):
        for j in range(width):
            if face_index[i, j] < 0:
                continue
            x, y, z = np.float64(out[i, j, 0]), np.float64(out[i, j, 1]), np.float64(out[i, j, 2])
            length = np.sqrt(x * x + y * y + z * z)
            if length > 0.0:
                out[i, j, 0], out[i, j, 1], out[i, j, 2] = x / length, y / length, z / length
            else:  # opposite normals cancel: face the camera
                out[i, j, 0], out[i, j, 1], out[i, j, 2] = 0.0, 0.0, -1.0
