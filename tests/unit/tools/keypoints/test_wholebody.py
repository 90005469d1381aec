"""The mapping from mediapipe's landmarks to COCO-WholeBody."""

import numpy as np
from mediapipe.python.solutions.hands import HandLandmark
from mediapipe.python.solutions.pose import PoseLandmark

from tools.keypoints import wholebody
from workflow.conventions import COCO_WHOLEBODY, FACE, HAND_POINTS

SMALL_TOES = [COCO_WHOLEBODY.index("left_small_toe"), COCO_WHOLEBODY.index("right_small_toe")]


def test_body_joints_have_mediapipes_names():
    for joint, landmark in enumerate(wholebody.POSE_FROM_BODY):
        assert PoseLandmark(landmark).name.lower() == COCO_WHOLEBODY[joint]


def test_feet_are_toes_and_heels_of_the_right_side():
    named = {"big_toe": "foot_index", "heel": "heel"}
    for offset, landmark in enumerate(wholebody.POSE_FROM_FEET):
        side, part = COCO_WHOLEBODY[17 + offset].split("_", 1)
        if part == "small_toe":
            assert landmark == -1
        else:
            assert PoseLandmark(landmark).name.lower() == f"{side}_{named[part]}"


def test_hands_have_mediapipes_order():
    mediapipe_order = [point.name.lower() for point in sorted(HandLandmark)]
    fingers = ["thumb", "index", "middle", "ring", "pinky"]
    assert mediapipe_order[0] == HAND_POINTS[0] == "wrist"
    for index, name in enumerate(mediapipe_order[1:]):
        assert name.startswith(fingers[index // 4])
        assert HAND_POINTS[1 + index].endswith(str(index % 4 + 1))


def test_face_table_is_68_different_points_in_mirror_pairs():
    table = wholebody.MESH_FROM_FACE
    assert len(table) == len(set(table)) == 68
    assert (table[36], table[39], table[42], table[45]) == (33, 133, 362, 263)  # eye corners, subject's right first
    assert (table[48], table[54]) == (61, 291)  # mouth corners
    assert table[8] == 152  # chin


def test_face_is_picked_in_order():
    mesh = np.stack([np.arange(478.0), np.zeros(478)], 1)
    assert wholebody.face_from_mesh(mesh)[:, 0].tolist() == list(wholebody.MESH_FROM_FACE)


def test_pose_fills_body_and_feet_and_leaves_the_rest_empty():
    random = np.random.RandomState(0)
    xy, world = random.rand(33, 2) * 100 + 1, random.randn(33, 3)
    joints, scores, points = wholebody.from_pose(xy, np.full(33, 0.7), world)
    assert joints.shape == (133, 2) and scores.shape == (133,) and points.shape == (133, 3)
    assert np.array_equal(joints[0], xy[0])
    assert np.array_equal(joints[COCO_WHOLEBODY.index("left_ankle")], xy[PoseLandmark.LEFT_ANKLE])
    assert np.array_equal(points[COCO_WHOLEBODY.index("right_big_toe")], world[PoseLandmark.RIGHT_FOOT_INDEX])
    assert np.array_equal(points[112], world[PoseLandmark.RIGHT_WRIST])
    assert (scores[SMALL_TOES] == 0).all() and (scores[23:] == 0).all()
    assert np.flatnonzero(scores).size == 17 + 4
    assert (points[~wholebody.IN_3D] == 0).all()


def test_mouth_corners_have_a_world_position():
    assert wholebody.POSE_FROM_WHOLEBODY[FACE.start + 54] == PoseLandmark.MOUTH_LEFT
    assert wholebody.POSE_FROM_WHOLEBODY[FACE.start + 48] == PoseLandmark.MOUTH_RIGHT


def test_inside_is_the_area_of_the_pixels():
    points = np.array([[-0.5, 0], [-0.6, 0], [9.5, 4.5], [9.6, 4], [9, 4.6]])
    assert wholebody.inside(points, 10, 5).tolist() == [True, False, True, False, False]
