"""Canonical assets of a body of 6890 vertices and 13776 faces against plain numpy, formula by formula."""

from __future__ import annotations

import numpy as np
import pytest

from model_zoo.body.smpl import SmplModel
from model_zoo.canonical.packing import PackedGrid, unpack_grid
from tests import nvr_example
from tools.canonical import grids
from workflow.raster import codec
from workflow.stages.body import Body
from workflow.stages.canonical import GridsParams

FRAMES, SAMPLES = 2, 60


@pytest.fixture(scope="module")
def arrays():
    arrays = nvr_example.body()
    assert arrays["v_template"].shape == (6890, 3) and arrays["f"].shape == (13776, 3)
    edges = np.sort(arrays["f"][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all(), "a closed surface"
    return arrays


@pytest.fixture(scope="module")
def body():
    rng = np.random.RandomState(8)
    return Body(
        betas=(0.5 * rng.randn(10)).astype(np.float32), global_orient=rng.randn(FRAMES, 3).astype(np.float32),
        body_pose=(0.2 * rng.randn(FRAMES, 69)).astype(np.float32), transl=rng.randn(FRAMES, 3).astype(np.float32),
        joints=np.zeros((FRAMES, 24, 3), np.float32), intrinsics=np.eye(3, dtype=np.float32),
        world_from_camera=np.tile(np.eye(4, dtype=np.float32), (FRAMES, 1, 1)),
        reprojection_error=np.zeros(FRAMES, np.float32), valid=np.ones(FRAMES, bool),
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(arrays, body):
    return grids.assets(SmplModel.from_arrays(arrays), body, GridsParams())


def posed(arrays, body, t):
    """pxyz: posed without turn and translation of the body."""
    return nvr_example.lbs(arrays, np.append(np.zeros(3), body.body_pose[t]), body.betas)


def closest_on_triangles(point, a, b, c):
    """Distance from a point to every triangle, and barycentric weights of the closest points; by cases."""
    best, share = np.full(len(a), np.inf), np.zeros((len(a), 3))

    def take(distance, weights, fine):
        better = fine & (distance < best)
        best[better], share[better] = distance[better], weights[better]

    normal = np.cross(b - a, c - a)
    area = (normal**2).sum(1)
    weights = np.stack([(np.cross(c - b, point - b) * normal).sum(1), (np.cross(a - c, point - c) * normal).sum(1),
                        (np.cross(b - a, point - a) * normal).sum(1)], 1) / area[:, None]  # fmt: skip
    take(np.abs(((point - a) * normal).sum(1)) / np.sqrt(area), weights, (weights >= 0).all(1))
    for first, second, (i, j) in ((a, b, (0, 1)), (b, c, (1, 2)), (c, a, (2, 0))):
        along = np.clip(((point - first) * (second - first)).sum(1) / ((second - first) ** 2).sum(1), 0, 1)
        weights = np.zeros((len(a), 3))
        weights[:, i], weights[:, j] = 1 - along, along
        take(np.linalg.norm(first + along[:, None] * (second - first) - point, axis=1), weights, along >= 0)
    return best, share


def test_big_pose_by_inverse_and_forward_skinning(arrays, body, made):
    pxyz, joints = posed(arrays, body, 0)
    A = nvr_example.chain(np.append(np.zeros(3), body.body_pose[0]), joints)
    big = np.zeros(72)
    big[5], big[8] = np.deg2rad(30), -np.deg2rad(30)
    A_big = nvr_example.chain(big, joints)
    wanted = np.empty_like(pxyz)
    for v in range(0, len(pxyz), 7):
        blend = sum(w * a for w, a in zip(arrays["weights"][v], A))
        rest = np.linalg.inv(blend[:3, :3]) @ (pxyz[v] - blend[:3, 3])
        blend = sum(w * a for w, a in zip(arrays["weights"][v], A_big))
        wanted[v] = blend[:3, :3] @ rest + blend[:3, 3]
    np.testing.assert_allclose(made.vertices[::7], wanted[::7], atol=2e-6)
    np.testing.assert_allclose(made.joints, joints, atol=1e-9)
    assert made.parents[0] == 4294967295 and made.parents.dtype == np.uint32
    np.testing.assert_array_equal(made.faces, arrays["f"])


def test_big_pose_grids_are_of_the_closest_surface_point(arrays, made):
    points = nvr_example.grid(made.vertices)
    assert made.bigpose_weights.shape == (*points.shape[:3], 25) and made.bigpose_weights.dtype == np.float32
    assert made.bigpose_uv.shape == (*points.shape[:3], 2) and made.bigpose_uv.dtype == np.float32
    uv = np.zeros((6890, 2))
    for face, texture in zip(arrays["f"], arrays["ft"]):  # the last face written wins
        uv[face] = arrays["vt"][texture]
    a, b, c = (made.vertices[arrays["f"][:, n]] for n in range(3))
    for place in np.random.RandomState(0).choice(points[..., 0].size, SAMPLES, replace=False):
        index = np.unravel_index(place, points.shape[:3])
        distance, share = closest_on_triangles(points[index], a, b, c)
        face = distance.argmin()
        corners = arrays["f"][face]
        found = made.bigpose_weights[index]
        np.testing.assert_allclose(found[24], distance[face], atol=1e-6)
        np.testing.assert_allclose(found[:24], share[face] @ arrays["weights"][corners], atol=2e-6)
        np.testing.assert_allclose(made.bigpose_uv[index], share[face] @ uv[corners], atol=2e-6)


@pytest.mark.parametrize("t", range(FRAMES))
def test_frame_grids_are_of_the_nearest_vertex_and_unpack_to_the_original_file(arrays, body, made, t):
    pxyz, _ = posed(arrays, body, t)
    points = nvr_example.grid(pxyz.astype(np.float32).astype(np.float64))
    grid = unpack_grid(PackedGrid(made.origin[t], made.nearest[t]), pxyz, arrays["weights"])
    assert grid.shape == (*points.shape[:3], 25) and grid.dtype == np.float32
    for place in np.random.RandomState(t).choice(points[..., 0].size, SAMPLES, replace=False):
        index = np.unravel_index(place, points.shape[:3])
        distance = np.linalg.norm(pxyz - points[index], axis=1)
        np.testing.assert_allclose(grid[index][24], distance.min(), atol=1e-6)
        np.testing.assert_array_equal(grid[index][:24], arrays["weights"][made.nearest[t][index]].astype(np.float32))
    assert len(codec("npy.zst")[0](made.nearest[t])) < 400_000, "bytes on disk"
