"""Simplification: what is kept is of the input, closed stays closed, seams and boundaries stay."""

import numpy as np
import pytest

from model_zoo.body.decimate import decimate


def sphere(num_rings: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """A closed, slightly irregular unit sphere of radius 0.1 m."""
    theta = np.linspace(0, np.pi, num_rings + 1)[1:-1]
    phi = np.linspace(0, 2 * np.pi, 2 * num_rings, endpoint=False)
    flat, height = np.sin(theta)[:, None], np.cos(theta)[:, None] + 0 * phi
    grid = np.stack([flat * np.cos(phi), flat * np.sin(phi), height], axis=-1)
    vertices = 0.1 * np.concatenate([grid.reshape(-1, 3), [[0, 0, 1.0], [0, 0, -1.0]]])
    rings, columns = len(theta), len(phi)
    faces = []
    for j in range(columns):
        k = (j + 1) % columns
        faces += [
            (rings * columns, j, k),
            (rings * columns + 1, (rings - 1) * columns + k, (rings - 1) * columns + j),
        ]
        for i in range(rings - 1):
            a, b, c, d = i * columns + j, i * columns + k, (i + 1) * columns + k, (i + 1) * columns + j
            faces += [(a, d, c), (a, c, b)]
    return vertices, np.array(faces)


def edge_counts(faces: np.ndarray) -> np.ndarray:
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(np.einsum("ni,ni->n", a, np.cross(b, c)).sum() / 6)


def test_closed_stays_closed_and_keeps_its_volume():
    vertices, faces = sphere()
    kept, left, texture = decimate(vertices, faces, faces, 300, 1.0)
    assert len(kept) == 300
    assert len(left) == 2 * 300 - 4  # Euler, genus 0
    assert (edge_counts(left) == 2).all()
    assert set(np.unique(left)) == set(kept)
    np.testing.assert_array_equal(texture, left)
    assert volume(vertices, left) == pytest.approx(volume(vertices, faces), rel=0.03)


def test_no_edge_becomes_too_long():
    vertices, faces = sphere()
    _, left, _ = decimate(vertices, faces, faces, 10, 0.04)
    edges = left[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    assert np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1).max() <= 0.04
    assert len(np.unique(left)) > 10


def test_boundary_stays():
    vertices, faces = sphere()
    half = faces[(vertices[faces][:, :, 2] > -1e-9).all(1)]
    rim = np.flatnonzero(np.abs(vertices[:, 2]) < 1e-9)
    kept, left, _ = decimate(vertices, half, half, 150, 1.0)
    assert set(rim) <= set(kept)
    assert (edge_counts(left) == 1).sum() == len(rim)


def test_seam_stays_and_texture_follows():
    vertices, faces = sphere()
    # The back half is another chart: its corners have their own texture indices.
    back = vertices[faces].mean(1)[:, 1] > 0
    texture = faces + len(vertices) * back[:, None]
    seam = np.intersect1d(faces[back], faces[~back])
    kept, left, left_texture = decimate(vertices, faces, texture, 400, 1.0)
    assert set(seam) <= set(kept)
    np.testing.assert_array_equal(left_texture % len(vertices), left)
    chart = left_texture // len(vertices)
    assert (chart == chart[:, :1]).all()


def test_nothing_to_do():
    vertices, faces = sphere(6)
    kept, left, _ = decimate(vertices, faces, faces, len(vertices), 1.0)
    np.testing.assert_array_equal(left, faces)
    np.testing.assert_array_equal(kept, np.arange(len(vertices)))
