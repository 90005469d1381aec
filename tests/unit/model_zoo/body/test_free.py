"""The free body has SMPL's format and a person's form."""

import numpy as np
import pytest

from model_zoo.body.skeleton import INDEX, JOINTS, PARENTS

UP, FORWARD, LEFT = 1, 2, 0


def test_format(free_arrays):
    num_vertices, num_faces = len(free_arrays["v_template"]), len(free_arrays["f"])
    assert 5_000 <= num_vertices <= 15_000
    expected = {
        "v_template": ((num_vertices, 3), np.float64),
        "shapedirs": ((num_vertices, 3, 10), np.float64),
        "posedirs": ((num_vertices, 3, 207), np.float64),
        "J_regressor": ((24, num_vertices), np.float64),
        "weights": ((num_vertices, 24), np.float64),
        "kintree_table": ((2, 24), np.uint32),
        "f": ((num_faces, 3), np.uint32),
        "ft": ((num_faces, 3), np.uint32),
        "vt": ((len(free_arrays["vt"]), 2), np.float64),
    }
    assert {key: (array.shape, array.dtype) for key, array in free_arrays.items()} == expected
    assert free_arrays["kintree_table"][0, 0] == 4294967295
    assert tuple(free_arrays["kintree_table"][0, 1:]) == PARENTS[1:]
    assert all(np.isfinite(array).all() for array in free_arrays.values())


def test_same_bytes_each_time(free_arrays):
    free = pytest.importorskip("model_zoo.body.free", exc_type=ImportError)
    again = free.derive()
    assert all(again[key].tobytes() == array.tobytes() for key, array in free_arrays.items())


def test_weights_and_regressor(free_arrays):
    for key in ("weights", "J_regressor"):
        assert free_arrays[key].min() >= 0
        np.testing.assert_allclose(free_arrays[key].sum(1), 1.0, atol=1e-9)
    joints = free_arrays["J_regressor"] @ free_arrays["v_template"]
    for joint, row in enumerate(free_arrays["J_regressor"]):
        reach = np.linalg.norm(free_arrays["v_template"][row > 0] - joints[joint], axis=1).max()
        assert reach < 0.2, JOINTS[joint]
    # Every joint moves some skin, and the skin it moves most is near it.
    part = free_arrays["weights"].argmax(1)
    assert set(part) == set(range(24))


def test_t_pose(free_body):
    joints = free_body.joints_template
    np.testing.assert_allclose(joints[INDEX["pelvis"]], 0.0, atol=1e-4)
    assert joints[INDEX["l_wrist"], LEFT] > joints[INDEX["l_elbow"], LEFT] > joints[INDEX["l_shoulder"], LEFT] > 0.1
    arm = joints[[INDEX[name] for name in ("l_shoulder", "l_elbow", "l_wrist", "l_hand")]]
    np.testing.assert_allclose(arm[:, [UP, FORWARD]], np.broadcast_to(arm[:1, [UP, FORWARD]], (4, 2)), atol=2e-3)
    assert (joints[INDEX["l_foot"]] - joints[INDEX["l_ankle"]])[FORWARD] > 0.08
    spine = joints[[INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")], UP]
    assert (np.diff(spine) > 0.05).all()
    swap = {"l_": "r_", "r_": "l_"}
    mirrored = [INDEX[swap.get(name[:2], name[:2]) + name[2:]] for name in JOINTS]
    np.testing.assert_allclose(joints[mirrored] * [-1, 1, 1], joints, atol=2e-3)


def test_size_of_an_adult(free_body):
    extent = np.ptp(free_body.v_template, axis=0)
    assert 1.6 < extent[UP] < 1.8
    assert 0.9 < extent[LEFT] / extent[UP] < 1.1  # arm span
    taller = np.ptp(free_body.vertices_rest(2 * np.eye(10)[0])[:, UP])
    smaller = np.ptp(free_body.vertices_rest(-2 * np.eye(10)[0])[:, UP])
    assert 1.4 < smaller < extent[UP] - 0.08 < extent[UP] + 0.08 < taller < 2.0


def test_surface_faces_outwards_and_is_nearly_closed(free_body):
    a, b, c = (free_body.v_template[free_body.faces[:, k]] for k in range(3))
    litres = 1000 * np.einsum("ni,ni->n", a, np.cross(b, c)).sum() / 6
    assert 50 < litres < 90
    edges = np.sort(free_body.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    counts = np.unique(edges, axis=0, return_counts=True)[1]
    assert counts.max() == 2
    assert (counts == 1).mean() < 0.02  # lids and lips only
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    assert area.min() > 0


def test_texture_coordinates(free_body):
    assert free_body.vt.min() >= 0
    assert free_body.vt.max() <= 1
    a, b, c = (free_body.vt[free_body.ft[:, k]] for k in range(3))
    doubled = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert np.median(np.abs(doubled)) > 0
    # A texture triangle does not stretch over charts.
    assert np.abs(np.stack([b - a, c - a])).max() < 0.2
    # One vertex has one texture coordinate except on seams.
    pairs = np.unique(np.stack([free_body.faces.ravel(), free_body.ft.ravel()], 1), axis=0)
    assert len(pairs) < 1.25 * len(free_body.v_template)


def test_arms_down_looks_like_arms_down(free_body):
    """Lowering the arms keeps the surface whole: no edge is torn and nothing collapses."""
    pose = np.zeros((1, 72))
    pose[0, 3 * INDEX["l_shoulder"] + 2], pose[0, 3 * INDEX["r_shoulder"] + 2] = -np.pi / 4, np.pi / 4
    pose[0, 3 * INDEX["l_elbow"] + 1], pose[0, 3 * INDEX["r_elbow"] + 1] = -np.pi / 4, np.pi / 4
    posed = free_body.poser(np.zeros(10)).vertices(pose[:, :3], pose[:, 3:], np.zeros((1, 3)))[0]
    edges = np.unique(np.sort(free_body.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    length = [np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in (free_body.v_template, posed)]
    assert length[1].max() < 0.07  # the longest of the mesh as it is: 0.060
    assert np.percentile(length[1] / length[0], 99.5) < 1.6
    assert np.percentile(length[1] / length[0], 0.5) > 0.5
