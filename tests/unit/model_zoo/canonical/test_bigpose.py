"""Big pose: the formulas written out joint by joint and vertex by vertex."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from model_zoo.canonical import bigpose

PARENTS = np.array(
    [4294967295, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21], np.uint32
)


@pytest.fixture
def body() -> dict[str, np.ndarray]:
    """A body in SMPL's format, of random numbers."""
    rng = np.random.default_rng(0)
    num = 300
    weights = rng.dirichlet(np.full(24, 0.1), num)
    regressor = rng.dirichlet(np.full(num, 0.05), 24)
    return {
        "v_template": rng.normal(0, 0.4, (num, 3)),
        "shapedirs": rng.normal(0, 0.01, (num, 3, 10)),
        "J_regressor": regressor,
        "weights": weights,
    }


def chain_written_out(pose: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """G_k = G_parent [R_k, J_k - J_parent], then G_k less G_k [J_k; 0] in its last column."""
    world = []
    for k in range(24):
        r = pose[3 * k : 3 * k + 3]
        angle = np.linalg.norm(r + 1e-8)
        x, y, z = r / angle
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        local = np.eye(4)
        local[:3, :3] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        local[:3, 3] = joints[k] - (joints[PARENTS[k]] if k else 0)
        world.append(world[PARENTS[k]] @ local if k else local)
    out = []
    for k in range(24):
        reduced = world[k].copy()
        reduced[:, 3] -= world[k] @ np.append(joints[k], 0)
        out.append(reduced)
    return np.array(out)


def skinned(points: np.ndarray, chain: np.ndarray, weights: np.ndarray) -> np.ndarray:
    out = []
    for point, weight in zip(points, weights):
        transform = sum(w * a for w, a in zip(weight, chain))
        out.append((transform @ np.append(point, 1))[:3])
    return np.array(out)


def test_chain_as_written_out(body) -> None:
    rng = np.random.default_rng(1)
    joints = bigpose.shaped_joints(body["v_template"], body["shapedirs"], body["J_regressor"], rng.normal(size=10))
    pose = rng.normal(0, 0.5, 72)
    ours = bigpose.pose_chain(pose, joints, PARENTS)
    np.testing.assert_allclose(ours, chain_written_out(pose, joints), atol=1e-14)
    assert ours.shape == (24, 4, 4) and ours.dtype == np.float64


def test_joints_use_as_many_betas_as_there_are(body) -> None:
    rng = np.random.default_rng(2)
    for num in (4, 10, 16):
        betas = rng.normal(size=num)
        shaped = body["v_template"].copy()
        for n in range(min(num, 10)):
            shaped += betas[n] * body["shapedirs"][..., n]
        ours = bigpose.shaped_joints(body["v_template"], body["shapedirs"], body["J_regressor"], betas[None])
        np.testing.assert_allclose(ours, body["J_regressor"] @ shaped, atol=1e-14)


def test_rotations() -> None:
    vectors = np.random.default_rng(3).normal(0, 1, (50, 3))
    np.testing.assert_allclose(bigpose.rodrigues(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=5e-8)
    np.testing.assert_array_equal(bigpose.rodrigues(np.zeros((1, 3)))[0], np.eye(3))
    for vector in [*vectors, np.zeros(3), np.full(3, 1e-12), np.array([0, np.pi, 0])]:
        np.testing.assert_allclose(bigpose.global_rotation(vector[None]), cv2.Rodrigues(vector)[0], atol=1e-15)


def test_big_pose_opens_the_legs() -> None:
    pose = bigpose.big_pose().reshape(24, 3)
    np.testing.assert_allclose(np.degrees(pose[1]), [0, 0, 30])
    np.testing.assert_allclose(np.degrees(pose[2]), [0, 0, -30])
    assert np.count_nonzero(pose) == 2


def test_posed_vertices_come_back_to_the_big_pose(body) -> None:
    rng = np.random.default_rng(4)
    joints = bigpose.shaped_joints(body["v_template"], body["shapedirs"], body["J_regressor"], np.zeros(10))
    pose = np.append(np.zeros(3), rng.normal(0, 0.3, 69))
    chain = bigpose.pose_chain(pose, joints, PARENTS)
    big_chain = bigpose.pose_chain(bigpose.big_pose(), joints, PARENTS)
    posed = skinned(body["v_template"], chain, body["weights"])
    ours = bigpose.bigpose_vertices(posed, chain, big_chain, body["weights"])
    np.testing.assert_allclose(ours, skinned(body["v_template"], big_chain, body["weights"]), atol=1e-11)
    assert ours.dtype == np.float64
    still = bigpose.bigpose_vertices(posed, chain, chain, body["weights"])
    np.testing.assert_allclose(still, posed, atol=1e-11)


def test_body_frame_undoes_rh_and_th() -> None:
    rng = np.random.default_rng(5)
    points, rh, th = rng.normal(size=(20, 3)), rng.normal(size=(1, 3)), rng.normal(size=(1, 3))
    world = np.array([cv2.Rodrigues(rh[0])[0] @ point + th[0] for point in points]).astype(np.float32)
    ours = bigpose.body_frame(world, rh, th)
    np.testing.assert_allclose(ours, points, atol=1e-6)
    assert ours.dtype == np.float64


def test_parents_after_children_are_refused() -> None:
    with pytest.raises(ValueError, match="before their children"):
        bigpose.rigid_chain(np.tile(np.eye(3), (3, 1, 1)), np.zeros((3, 3)), np.array([0, 2, 0]))
