"""Grids: the fast searches against plain argmin, libigl and the definitions written out."""

from __future__ import annotations

import igl
import numpy as np
import pytest
from scipy.spatial import cKDTree

from model_zoo.canonical import grids


def blob(seed: int = 0, rows: int = 16, columns: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Closed bumpy surface of about the size of a torso, with faces of very different sizes."""
    rng = np.random.default_rng(seed)
    theta = np.linspace(0, np.pi, rows + 1)[1:-1, None] ** 1.3 / np.pi**0.3
    phi = np.arange(columns)[None] * 2 * np.pi / columns
    ring = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta) + 0 * phi], axis=-1)
    vertices = np.concatenate([ring.reshape(-1, 3), [[0, 0, 1]], [[0, 0, -1]]])
    vertices = vertices * [0.25, 0.15, 0.35] * rng.uniform(0.8, 1.2, (len(vertices), 1)) + [0.1, -0.2, 0.05]
    top, bottom = len(vertices) - 2, len(vertices) - 1
    faces = []
    for j in range(columns):
        k = (j + 1) % columns
        faces.append((top, j, k))
        for i in range(rows - 2):
            a, b, c, d = i * columns + j, i * columns + k, (i + 1) * columns + j, (i + 1) * columns + k
            faces += [(a, c, b), (b, c, d)]
        faces.append((bottom, (rows - 2) * columns + k, (rows - 2) * columns + j))
    return vertices, np.array(faces, np.uint32)


def closest_written_out(point, vertices, faces):
    """Closest point over all faces: the foot on the plane where it is inside, else the best of the three edges."""
    best, best_weights, best_face = np.inf, None, -1
    for f, corners in enumerate(faces):
        triangle = vertices[corners.astype(int)]
        a, b, c = triangle
        basis = np.stack([b - a, c - a], 1)
        v, w = np.linalg.lstsq(basis, point - a, rcond=None)[0]
        options = [np.array([1 - v - w, v, w])]
        if options[0].min() < 0:
            options = []
            for p, q in ((0, 1), (1, 2), (2, 0)):
                edge = triangle[q] - triangle[p]
                t = np.clip((point - triangle[p]) @ edge / (edge @ edge), 0, 1)
                weights = np.zeros(3)
                weights[p], weights[q] = 1 - t, t
                options.append(weights)
        for weights in options:
            distance = np.linalg.norm(weights @ triangle - point)
            if distance < best - 1e-12:
                best, best_weights, best_face = distance, weights, f
    return best, best_weights, best_face


def test_axes_are_arange_with_padding() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    axes = grids.grid_axes(points)
    for n in range(3):
        low, high = points[:, n].min() - 0.05, points[:, n].max() + 0.05
        np.testing.assert_array_equal(axes[n], np.arange(low, high + 0.025, 0.025))
        assert axes[n][0] == low and high <= axes[n][-1] < high + 0.05
    everything = grids.grid_points(axes)
    assert everything.shape == (*map(len, axes), 3) and everything.dtype == np.float64
    np.testing.assert_array_equal(everything[3, 2, 1], [axes[0][3], axes[1][2], axes[2][1]])


@pytest.mark.parametrize("voxel_m", [0.025, 0.0131])
def test_axes_come_back_from_their_origin(voxel_m: float) -> None:
    for seed in range(20):
        axes = grids.grid_axes(np.random.default_rng(seed).normal(size=(9, 3)), voxel_m)
        again = grids.axes_from_origin(np.array([axis[0] for axis in axes]), tuple(map(len, axes)), voxel_m)
        for ours, theirs in zip(again, axes):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_nearest_vertices_are_those_of_a_plain_argmin(num_threads: int) -> None:
    vertices, _ = blob()
    axes = grids.grid_axes(vertices)
    ours = grids.nearest_vertices(axes, vertices, num_threads)
    offset = grids.grid_points(axes)[:, :, :, None] - vertices
    distance2 = offset[..., 0] ** 2 + offset[..., 1] ** 2 + offset[..., 2] ** 2
    np.testing.assert_array_equal(ours.vertex, distance2.argmin(-1))
    np.testing.assert_array_equal(ours.distance, np.sqrt(distance2.min(-1)))
    tree, _ = cKDTree(vertices).query(grids.grid_points(axes))
    np.testing.assert_allclose(ours.distance, tree, atol=1e-15)


def test_equally_near_vertices_give_the_lowest_index() -> None:
    axes = (np.arange(-20, 21) / 32.0,) * 3  # exact binary fractions: the ties are exact
    corners = np.array([[x, y, z] for x in (0.5, -0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    vertices = np.concatenate([corners, corners])
    ours = grids.nearest_vertices(axes, vertices)
    distance2 = ((grids.grid_points(axes)[:, :, :, None] - vertices) ** 2).sum(-1)
    np.testing.assert_array_equal(ours.vertex, distance2.argmin(-1))
    assert ours.vertex[20, 20, 20] == 0 and ours.vertex.max() < 8


@pytest.mark.parametrize("num_threads", [1, 2])
def test_closest_surface_against_libigl(num_threads: int) -> None:
    vertices, faces = blob(1)
    axes = grids.grid_axes(vertices)
    ours = grids.closest_surface(axes, vertices, faces, num_threads)
    points = grids.grid_points(axes).reshape(-1, 3)
    squared, face, closest = igl.point_mesh_squared_distance(points, vertices, faces.astype(np.int64))
    np.testing.assert_allclose(ours.distance.reshape(-1), np.sqrt(squared), atol=1e-13)
    weights = ours.barycentric.reshape(-1, 3)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-14)
    assert weights.min() > -1e-12
    feet = (vertices[faces[ours.face.reshape(-1)]] * weights[..., None]).sum(1)
    np.testing.assert_allclose(np.linalg.norm(feet - points, axis=-1), np.sqrt(squared), atol=1e-13)
    away = np.linalg.norm(feet - closest, axis=-1) > 1e-9
    assert away.mean() < 1e-3  # voxels that lie between two equally near places
    same = face == ours.face.reshape(-1)
    assert same.mean() > 0.4  # elsewhere the foot is on a shared edge or corner


def test_closest_surface_as_written_out() -> None:
    vertices, faces = blob(2, 6, 8)
    axes = grids.grid_axes(vertices)
    ours = grids.closest_surface(axes, vertices, faces)
    rng = np.random.default_rng(0)
    for _ in range(40):
        i, j, k = (rng.integers(len(axis)) for axis in axes)
        distance, weights, face = closest_written_out(grids.grid_points(axes)[i, j, k], vertices, faces)
        assert ours.distance[i, j, k] == pytest.approx(distance, abs=1e-12)
        if ours.face[i, j, k] == face:
            np.testing.assert_allclose(ours.barycentric[i, j, k], weights, atol=1e-9)


def test_faces_without_area_count_as_segments() -> None:
    vertices = np.array([[0.0, 0, 0], [0.3, 0, 0], [0.1, 0, 0], [0.2, 0.2, 0.2]])
    axes = grids.grid_axes(vertices)
    points = grids.grid_points(axes)
    line = np.stack([np.clip(points[..., 0], 0, 0.3), 0 * points[..., 0], 0 * points[..., 0]], -1)
    for faces in ([[0, 1, 2]], [[2, 0, 1]], [[0, 1, 1]], [[1, 1, 0]]):
        ours = grids.closest_surface(axes, vertices, np.array(faces))
        np.testing.assert_allclose(ours.distance, np.linalg.norm(points - line, axis=-1), atol=1e-14)
        feet = ours.barycentric @ vertices[np.array(faces[0])]
        np.testing.assert_allclose(feet, line, atol=1e-14)
    point = grids.closest_surface(axes, vertices, np.array([[3, 3, 3]]))
    np.testing.assert_allclose(point.distance, np.linalg.norm(points - vertices[3], axis=-1), atol=1e-14)


def test_big_pose_grids_have_the_form_of_the_original() -> None:
    vertices, faces = blob(3)
    rng = np.random.default_rng(0)
    weights, uv = rng.dirichlet(np.ones(24), len(vertices)), rng.random((len(vertices), 2)).astype(np.float32)
    axes = grids.grid_axes(vertices)
    closest = grids.closest_surface(axes, vertices, faces)
    bw, texture = grids.bigpose_bw(closest, faces, weights), grids.bigpose_uv(closest, faces, uv)
    shape = tuple(map(len, axes))
    assert bw.shape == (*shape, 25) and bw.dtype == np.float32
    assert texture.shape == (*shape, 2) and texture.dtype == np.float32
    corners = faces[closest.face]
    expected = (weights[corners] * closest.barycentric[..., None]).sum(-2)
    np.testing.assert_allclose(bw[..., :24], expected, atol=1e-7)
    np.testing.assert_array_equal(bw[..., 24], closest.distance.astype(np.float32))
    np.testing.assert_allclose(texture, (uv[corners] * closest.barycentric[..., None]).sum(-2), atol=1e-7)


def test_on_a_seam_the_last_face_wins() -> None:
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 40, (200, 3)).astype(np.uint32)
    uv_faces, uv = rng.integers(0, 90, (200, 3)), rng.random((90, 2))
    expected = np.zeros((50, 2), np.float32)
    for face, texture in zip(faces, uv_faces):
        for n in range(3):
            expected[face[n]] = uv[texture[n]]
    ours = grids.uv_of_vertices(uv, faces, uv_faces, 50)
    np.testing.assert_array_equal(ours, expected)
    assert ours.dtype == np.float32


def test_frame_grid_has_the_weights_of_the_nearest_vertex() -> None:
    vertices, _ = blob(4)
    weights = np.random.default_rng(0).dirichlet(np.ones(24), len(vertices))
    axes = grids.grid_axes(vertices)
    ours = grids.vertex_bw(grids.nearest_vertices(axes, vertices), weights)
    distance, index = cKDTree(vertices).query(grids.grid_points(axes))
    assert ours.shape == (*map(len, axes), 25) and ours.dtype == np.float32
    np.testing.assert_array_equal(ours[..., :24], weights[index].astype(np.float32))
    np.testing.assert_allclose(ours[..., 24], distance, rtol=1e-7)


def test_unusable_input_is_refused() -> None:
    vertices, faces = blob()
    axes = grids.grid_axes(vertices)
    with pytest.raises(ValueError, match="there are 10"):
        grids.closest_surface(axes, vertices[:10], faces)
    with pytest.raises(ValueError, match="finite"):
        grids.nearest_vertices(axes, vertices * np.nan)
    with pytest.raises(ValueError, match="at least one"):
        grids.grid_axes(np.zeros((0, 3)))


@pytest.mark.parametrize("thickness_m", [1e-3, 1e-5, 1e-7, 1e-9, 1e-12])
def test_slivers_are_as_far_as_their_long_edge(thickness_m: float) -> None:
    vertices = np.array([[0.0, 0, 0], [0.3, 0.1, 0.05], [0.11, 0.04, 0.02]])
    vertices[2] = 0.4 * vertices[1] + [0, 0, thickness_m]
    axes = grids.grid_axes(vertices)
    ours = grids.closest_surface(axes, vertices, np.array([[0, 1, 2]]))
    points = grids.grid_points(axes)
    along = np.clip(points @ vertices[1] / (vertices[1] @ vertices[1]), 0, 1)[..., None] * vertices[1]
    np.testing.assert_allclose(ours.distance, np.linalg.norm(points - along, axis=-1), atol=2 * thickness_m + 1e-9)
    feet = ours.barycentric @ vertices
    np.testing.assert_allclose(np.linalg.norm(points - feet, axis=-1), ours.distance, atol=1e-12)
