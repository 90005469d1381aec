"""Per-pixel attributes against what they must be on simple shapes."""

from __future__ import annotations

import numpy as np
import pytest

from model_zoo.raster.attributes import interpolate, nearest_vertices, pick_labels, pixel_normals, vertex_normals
from model_zoo.raster.zbuffer import Rasterizer

K = np.array([[90.0, 0.0, 31.2], [0.0, 90.0, 24.7], [0.0, 0.0, 1.0]])
HEIGHT, WIDTH = 50, 64


def bumpy_patch(n: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Height field in front of the camera, outside towards the camera."""
    x, y = np.meshgrid(np.linspace(-0.6, 0.6, n), np.linspace(-0.5, 0.5, n))
    vertices = np.stack([x, y, 2 + 0.2 * np.sin(4 * x) * np.cos(3 * y)], -1).reshape(-1, 3)
    quads = [
        (i * n + j, i * n + j + 1, (i + 1) * n + j, (i + 1) * n + j + 1) for i in range(n - 1) for j in range(n - 1)
    ]
    return vertices, np.array([face for a, b, c, d in quads for face in ((a, c, b), (b, c, d))])


def test_blended_vertices_are_the_points_on_the_rays() -> None:
    vertices, faces = bumpy_patch()
    raster = Rasterizer(HEIGHT, WIDTH)(vertices, faces, K)
    points = interpolate(raster, faces, vertices)
    rows, columns = np.nonzero(raster.face_index >= 0)
    assert len(rows) > 1000
    seen = points[rows, columns]
    np.testing.assert_allclose(seen[:, 2], raster.depth[rows, columns], rtol=1e-6)
    pixels = seen / seen[:, 2:] @ K.T
    np.testing.assert_allclose(pixels[:, 0], columns, atol=1e-3)
    np.testing.assert_allclose(pixels[:, 1], rows, atol=1e-3)
    assert (points[raster.face_index < 0] == 0).all() and points.dtype == np.float32


def test_per_corner_values_follow_their_own_faces() -> None:
    vertices, faces = bumpy_patch()
    raster = Rasterizer(HEIGHT, WIDTH)(vertices, faces, K)
    table = np.repeat(np.arange(len(faces), dtype=float), 3)[:, None]
    own = np.arange(3 * len(faces)).reshape(-1, 3)
    covered = raster.face_index >= 0
    values = interpolate(raster, own, table)[..., 0]
    np.testing.assert_allclose(values[covered], raster.face_index[covered], rtol=1e-5)


def test_labels_are_those_of_the_heaviest_corner() -> None:
    vertices, faces = bumpy_patch()
    raster = Rasterizer(HEIGHT, WIDTH)(vertices, faces, K)
    covered = raster.face_index >= 0
    vertex = nearest_vertices(raster, faces)
    expected = faces[raster.face_index[covered], raster.barycentrics[covered].argmax(-1)]
    np.testing.assert_array_equal(vertex[covered], expected)
    assert (vertex[~covered] == -1).all() and vertex.dtype == np.int32
    labels = (np.arange(len(vertices)) % 7 + 1).astype(np.uint8)
    picked = pick_labels(raster, faces, labels, background=9)
    np.testing.assert_array_equal(picked[covered], labels[expected])
    assert (picked[~covered] == 9).all() and picked.dtype == np.uint8


def test_vertex_normals_are_area_weighted_means() -> None:
    vertices, faces = bumpy_patch(6)
    expected = np.zeros_like(vertices)
    for a, b, c in faces:
        for corner in (a, b, c):
            expected[corner] += np.cross(vertices[b] - vertices[a], vertices[c] - vertices[a]) / 2
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    ours = vertex_normals(vertices, faces)
    np.testing.assert_allclose(ours, expected, atol=1e-14)
    assert (ours[:, 2] < 0).all()  # towards the camera
    alone = vertex_normals(np.vstack([vertices, [[5.0, 5, 5]]]), faces)
    np.testing.assert_array_equal(alone[-1], 0)


def test_pixel_normals_of_a_height_field() -> None:
    vertices, faces = bumpy_patch(60)
    raster = Rasterizer(HEIGHT, WIDTH)(vertices, faces, K)
    covered = raster.face_index >= 0
    normals = pixel_normals(raster, faces, vertex_normals(vertices, faces))
    x, y, _ = np.moveaxis(interpolate(raster, faces, vertices)[covered], -1, 0)
    # Gradient of z - 2 - 0.2 sin(4x) cos(3y), turned to the camera.
    expected = np.stack(
        [0.8 * np.cos(4 * x) * np.cos(3 * y), -0.6 * np.sin(4 * x) * np.sin(3 * y), -np.ones_like(x)], -1
    )
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    angle = np.degrees(np.arccos(np.clip((normals[covered] * expected).sum(-1), -1, 1)))
    assert angle.max() < 3 and np.median(angle) < 0.3
    np.testing.assert_allclose(np.linalg.norm(normals[covered], axis=-1), 1, atol=1e-6)
    assert (normals[covered][:, 2] < 0).all() and (normals[~covered] == 0).all()


def test_tables_that_do_not_fit_are_refused() -> None:
    vertices, faces = bumpy_patch(5)
    raster = Rasterizer(HEIGHT, WIDTH)(vertices, faces, K)
    with pytest.raises(ValueError, match="there are 10"):
        interpolate(raster, faces, vertices[:10])
    with pytest.raises(ValueError, match="must be"):
        interpolate(raster, faces, vertices[:, 0])
