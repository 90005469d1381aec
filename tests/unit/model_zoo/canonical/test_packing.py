"""Stored per-frame grids: small, and nothing lost."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from model_zoo.canonical.grids import grid_axes, nearest_vertices, vertex_bw
from model_zoo.canonical.packing import PackedGrid, pack_grid, unpack_grid, unpack_nearest


@pytest.fixture
def frame() -> tuple[np.ndarray, np.ndarray]:
    """Vertices all over a tube of the size of a body, and their weights."""
    rng = np.random.default_rng(0)
    angle, height = rng.uniform(0, 2 * np.pi, 3000), rng.uniform(-0.9, 0.8, 3000)
    vertices = np.stack([0.3 * np.cos(angle), height, 0.15 * np.sin(angle)], -1)
    return vertices, rng.dirichlet(np.ones(24), 3000)


@pytest.mark.parametrize("voxel_m", [0.025, 0.04])
def test_a_stored_grid_comes_back_to_the_bit(frame, voxel_m: float) -> None:
    vertices, weights = frame
    axes = grid_axes(vertices, voxel_m)
    nearest = nearest_vertices(axes, vertices)
    packed = pack_grid(axes, nearest.vertex)
    assert packed.nearest.dtype == np.uint16 and packed.origin.dtype == np.float64
    again = unpack_nearest(packed, vertices, voxel_m)
    np.testing.assert_array_equal(again.vertex, nearest.vertex)
    np.testing.assert_array_equal(again.distance, nearest.distance)
    np.testing.assert_array_equal(unpack_grid(packed, vertices, weights, voxel_m), vertex_bw(nearest, weights))


def test_a_stored_grid_is_small(frame) -> None:
    vertices, _ = frame
    axes = grid_axes(vertices)
    packed = pack_grid(axes, nearest_vertices(axes, vertices).vertex)
    stored = len(zlib.compress(packed.nearest.tobytes(), 1))
    assert packed.nearest.size > 20_000
    assert stored < 0.02 * packed.nearest.size * 25 * 4


def test_rounded_vertices_move_the_distance_no_further_than_themselves(frame) -> None:
    vertices, weights = frame
    axes = grid_axes(vertices)
    nearest = nearest_vertices(axes, vertices)
    rounded = vertices.astype(np.float32)
    again = unpack_grid(pack_grid(axes, nearest.vertex), rounded, weights)
    moved = np.linalg.norm(rounded - vertices, axis=1).max()
    assert np.abs(again[..., 24] - nearest.distance).max() <= moved + 1e-7


def test_what_does_not_fit_is_refused(frame) -> None:
    vertices, _ = frame
    axes = grid_axes(vertices)
    index = np.zeros(tuple(map(len, axes)), np.int32)
    with pytest.raises(ValueError, match="16 bits"):
        pack_grid(axes, index + 70_000)
    with pytest.raises(ValueError, match="names vertex 5"):
        unpack_nearest(PackedGrid(np.zeros(3), index.astype(np.uint16) + 5), vertices[:5])
