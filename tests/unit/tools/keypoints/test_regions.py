"""Regions of interest: the geometry between landmarks and the networks' inputs."""

import numpy as np
import pytest

from tools.keypoints import parts, people
from tools.keypoints.graphs import PartResult, Roi


def turned(points, angle, about):
    c, s = np.cos(angle), np.sin(angle)
    return (np.asarray(points) - about) @ np.array([[c, s], [-s, c]]) + about


@pytest.mark.parametrize("angle", [0.0, 0.5, -1.2, 3.0])
def test_body_region_turns_with_the_body(angle):
    hips, top = np.array([50.0, 80.0]), np.array([50.0, 30.0])
    roi = people.body_roi(np.stack([hips, turned(top, angle, hips)]))
    assert roi.rotation == pytest.approx(angle)
    assert roi.width == roi.height == pytest.approx(2.5 * 50)
    assert (roi.x, roi.y) == (50, 80)


def test_a_region_is_far_off_by_place_size_or_turn():
    roi = Roi(100, 100, 200, 200, 3.1)
    assert not people.far_off(roi, Roi(105, 100, 205, 205, -3.1))  # 0.08 rad apart across the turn
    assert people.far_off(roi, Roi(130, 100, 200, 200, 3.1))
    assert people.far_off(roi, Roi(100, 100, 260, 260, 3.1))
    assert people.far_off(roi, Roi(100, 100, 200, 200, 2.7))


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0])
def test_hand_regions_turn_with_the_hand(angle):
    wrist, little, index = np.array([0.0, 0.0]), np.array([3.0, -30.0]), np.array([-3.0, -30.0])
    about = np.zeros(2)
    plain = parts.rough_hand_roi(wrist, little, index)
    roi = parts.rough_hand_roi(wrist, turned(little, angle, about), turned(index, angle, about))
    assert np.cos(roi.rotation - plain.rotation - angle) == pytest.approx(1)
    assert roi.width == pytest.approx(plain.width)
    assert np.allclose([roi.x, roi.y], turned([plain.x, plain.y], angle, about))
    assert plain.y < -30  # moved towards the fingers


def test_forearm_region_continues_the_forearm():
    roi = parts.forearm_hand_roi(np.array([0.0, 0.0]), np.array([100.0, 0.0]))
    assert (roi.x, roi.y) == (125, 0) and roi.rotation == pytest.approx(np.pi / 2) and roi.width == pytest.approx(90)


def test_hand_region_of_the_last_frame_holds_the_hand():
    random = np.random.RandomState(3)
    hand = random.rand(21, 2) * 20 + 100
    hand[0] = (110, 130)
    for angle in (0.0, 1.0, -2.5):
        rotated = turned(hand, angle, np.array([110.0, 110.0]))
        roi = parts.hand_roi(rotated)
        local = turned(rotated, -roi.rotation, np.array([roi.x, roi.y])) - (roi.x, roi.y)
        palm = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
        assert (np.abs(local[palm]) <= roi.width / 2).all()


def test_face_regions_agree_between_detector_and_pose():
    eyes_nose_mouth_ears = np.array([[40.0, 50], [60, 50], [50, 60], [50, 70], [30, 55], [70, 55]])
    pose = np.zeros((33, 2))
    pose[[parts.RIGHT_EYE, parts.LEFT_EYE, 0, 8, 7]] = eyes_nose_mouth_ears[[0, 1, 2, 4, 5]]
    pose[[9, 10]] = (53, 70), (47, 70)
    assert np.allclose(parts.points_of_face(pose), eyes_nose_mouth_ears)
    roi = parts.face_roi(parts.points_of_face(pose))
    assert roi.width == 80 and roi.rotation == 0 and roi.x == 50


def hand_at(x):
    return PartResult(0.9, np.stack([np.linspace(x, x + 20, 21), np.linspace(0, 20, 21)], 1))


def test_one_hand_is_not_taken_for_both():
    left, right = hand_at(100.0), hand_at(102.0)
    assert parts.one_hand_each(left, right, np.array([100.0, 0]), np.array([200.0, 0])) == (left, None)
    assert parts.one_hand_each(left, right, np.array([0.0, 0]), np.array([102.0, 0])) == (None, right)
    far = hand_at(160.0)
    assert parts.one_hand_each(left, far, np.zeros(2), np.zeros(2)) == (left, far)
    assert parts.one_hand_each(None, far, np.zeros(2), np.zeros(2)) == (None, far)


def test_overlap_measures():
    a, b = np.array([0.0, 0, 10, 10]), np.array([5.0, 0, 15, 10])
    assert people.iou(a, b) == pytest.approx(1 / 3)
    assert people.overlap(a, np.array([2.0, 2, 4, 4])) == 1
    assert people.iou(a, np.array([20.0, 20, 30, 30])) == 0 == people.iou(a[[0, 1, 0, 1]], b)


@pytest.mark.parametrize("width, height", [(1280, 720), (64, 48), (720, 1280), (100, 100), (4000, 300)])
def test_tiles_cover_the_picture_and_stay_inside(width, height):
    tiles = people.tiles(width, height)
    assert tiles[0] == (0, 0, width, height)
    covered = np.zeros((height, width), bool)
    for left, top, right, bottom in tiles[1:] or tiles:
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        covered[top:bottom, left:right] = True
    assert covered.all()
