"""Keypoints lie where an annotator clicks, and the clothes are where clothes are; also on a body of another
mesh."""

import numpy as np
import pytest
import torch

from model_zoo.body.landmarks import KEYPOINTS, keypoint_regressor
from model_zoo.body.parts import SCHP_CLASSES, schp_labels
from model_zoo.body.skeleton import INDEX
from model_zoo.body.smpl import SmplModel
from model_zoo.body.torch_smpl import PosedPoints, pose_matrices


@pytest.fixture(scope="module")
def rows(free_body):
    return keypoint_regressor(free_body)


@pytest.fixture(scope="module")
def points(free_body, rows):
    return dict(zip(KEYPOINTS, rows @ free_body.v_template, strict=True))


@pytest.fixture(scope="module")
def shuffled_body(free_arrays):
    """The same body with its vertices in another order: nothing may depend on indices."""
    order = np.random.RandomState(0).permutation(len(free_arrays["v_template"]))
    where = np.argsort(order)
    arrays = {key: free_arrays[key][order] for key in ("v_template", "shapedirs", "posedirs", "weights")}
    arrays |= {"J_regressor": free_arrays["J_regressor"][:, order], "f": where[free_arrays["f"].astype(int)]}
    return SmplModel.from_arrays(arrays | {"kintree_table": free_arrays["kintree_table"]}), order


def test_rows(rows, free_body):
    assert rows.shape == (23, len(free_body.v_template))
    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(1), 1.0, atol=1e-9)
    for name, row in zip(KEYPOINTS, rows, strict=True):
        held_by = free_body.v_template[row > 0]
        assert np.linalg.norm(held_by - row @ free_body.v_template, axis=1).max() < 0.16, name


def test_left_and_right_mirror(points):
    for name in KEYPOINTS:
        if name.startswith("left"):
            other = points[name.replace("left", "right")] * [-1, 1, 1]
            np.testing.assert_allclose(points[name], other, atol=5e-3, err_msg=name)
            assert points[name][0] > 0.02, name


def test_face(points):
    nose, eye, ear = points["nose"], points["left_eye"], points["left_ear"]
    assert 0.025 < eye[1] - nose[1] < 0.055
    assert 0.05 < 2 * eye[0] < 0.075  # distance of the pupils
    assert nose[2] > eye[2] + 0.01 > ear[2] + 0.05
    assert 0.06 < ear[0] < 0.10
    assert nose[1] - 0.02 < ear[1] < eye[1] + 0.02


def test_limbs(points, free_body):
    joints = free_body.joints_template
    for name in ("elbow", "wrist", "ankle"):
        np.testing.assert_allclose(points[f"left_{name}"], joints[INDEX[f"l_{name}"]], atol=2e-3)
    assert np.linalg.norm(points["left_knee"] - joints[INDEX["l_knee"]]) < 0.03
    assert np.linalg.norm(points["left_shoulder"] - joints[INDEX["l_shoulder"]]) < 0.05
    assert 0.16 < 2 * points["left_hip"][0] < 0.25


def test_feet(points, free_body):
    lowest = free_body.v_template[:, 1].min()
    big, small, heel = (points[f"left_{n}"] for n in ("big_toe", "small_toe", "heel"))
    assert 0.2 < big[2] - heel[2] < 0.3  # length of the foot
    assert 0.04 < small[0] - big[0] < 0.11
    assert heel[2] < small[2] < big[2]
    assert max(big[1], small[1], heel[1]) < lowest + 0.06


def test_points_follow_a_nod(free_body, rows):
    """The nose turns with the head joint, rigidly; the feet stay."""
    pose = torch.zeros(1, 72)
    pose[0, 3 * INDEX["head"]] = 0.5
    posed = PosedPoints(free_body, rows)
    matrices = pose_matrices(pose[:, :3], pose[:, 3:])
    moved = posed(matrices, torch.zeros(1, 3), torch.zeros(10))[0][0].numpy()
    still = rows @ free_body.v_template
    neck = free_body.joints_template[INDEX["head"]]
    nose, heel = KEYPOINTS.index("nose"), KEYPOINTS.index("left_heel")
    assert moved[nose, 1] < still[nose, 1] - 0.03
    assert np.linalg.norm(moved[nose] - neck) == pytest.approx(np.linalg.norm(still[nose] - neck), abs=2e-3)
    np.testing.assert_allclose(moved[heel], still[heel], atol=1e-5)


def test_points_follow_the_shape(free_body, rows):
    tall = rows @ free_body.vertices_rest(2 * np.eye(10)[0])
    still = rows @ free_body.v_template
    assert (
        tall[0, 1] - tall[KEYPOINTS.index("left_heel"), 1] > still[0, 1] - still[KEYPOINTS.index("left_heel"), 1] + 0.08
    )


def test_clothes(free_body):
    labels = schp_labels(free_body)
    assert labels.dtype == np.uint8
    worn = {
        "hair",
        "upper-clothes",
        "pants",
        "torso-skin",
        "face",
        "left-arm",
        "right-arm",
        "left-shoe",
        "right-shoe",
    }
    assert {SCHP_CLASSES[i] for i in np.unique(labels)} == worn
    centre = {name: free_body.v_template[labels == SCHP_CLASSES.index(name)].mean(0) for name in worn}
    order = ["hair", "face", "torso-skin", "upper-clothes", "pants", "left-shoe"]
    heights = [centre[name][1] for name in order]
    assert heights == sorted(heights, reverse=True)
    assert centre["face"][2] > centre["hair"][2] + 0.04
    for name in ("arm", "shoe"):
        assert centre[f"left-{name}"][0] > 0.08
        assert centre[f"right-{name}"][0] < -0.08
    part = free_body.weights.argmax(1)
    assert (labels[part == INDEX["l_hand"]] == SCHP_CLASSES.index("left-arm")).all()
    assert (labels[part == INDEX["r_foot"]] == SCHP_CLASSES.index("right-shoe")).all()


def test_the_face_has_eyes_nose_and_ears(free_body, rows):
    labels = schp_labels(free_body)
    for i, name in enumerate(KEYPOINTS[:5]):
        assert (labels[rows[i] > 0] == SCHP_CLASSES.index("face")).all(), name


def test_nothing_depends_on_indices(free_body, rows, shuffled_body):
    body, order = shuffled_body
    np.testing.assert_array_equal(schp_labels(body), schp_labels(free_body)[order])
    np.testing.assert_allclose(keypoint_regressor(body) @ body.v_template, rows @ free_body.v_template, atol=1e-4)
