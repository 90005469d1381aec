"""Boxes linked into persons, and joints between skeletons."""

import numpy as np
import pytest

from tools.keypoints.body25 import body25_from_coco, coco_from_body25, wholebody
from tools.keypoints.boxes import persons
from workflow.conventions import BODY25, COCO_BODY

TIMES = np.arange(20) / 10


def box(x, y, height, score=0.9):
    return np.array([x - height / 4, y - height / 2, x + height / 4, y + height / 2, score])


def test_two_people_who_pass_each_other_stay_two():
    left = [box(30 + 12 * t, 100, 120) for t in range(20)]
    right = [box(270 - 12 * t, 110, 80) for t in range(20)]
    frames = [np.stack([a, b] if t % 2 else [b, a]) for t, (a, b) in enumerate(zip(left, right))]
    found = persons(frames, TIMES, 300, 200)
    assert [len(person.frames) for person in found] == [20, 20]
    np.testing.assert_array_equal(np.stack(found[0].boxes), np.stack(left))  # larger, so more prominent
    np.testing.assert_array_equal(np.stack(found[1].boxes), np.stack(right))


def test_a_gap_is_bridged_and_a_stranger_is_not_taken():
    frames = [box(100 + 2 * t, 100, 120)[None] for t in range(20)]
    for t in range(8, 13):
        frames[t] = box(250, 30, 40)[None]  # somebody small, elsewhere
    found = persons(frames, TIMES, 300, 200)
    assert found[0].frames == [*range(8), *range(13, 20)]
    assert found[1].frames == list(range(8, 13))


def test_a_long_absence_and_a_false_alarm():
    frames = [np.zeros((0, 5))] * 20
    frames[0] = frames[1] = box(100, 100, 120)[None]
    frames[18] = frames[19] = box(100, 100, 120)[None]
    frames[10] = box(200, 50, 60)[None]
    found = persons(frames, TIMES, 300, 200)
    assert [person.frames for person in found] == [[0, 1], [18, 19]]
    assert persons([np.zeros((0, 5))] * 3, TIMES[:3], 300, 200) == []
    assert len(persons([box(100, 100, 120)[None]], TIMES[:1], 300, 200)) == 1


def test_body25_follows_the_contract():
    rng = np.random.default_rng(0)
    joints = rng.uniform(0, 100, (4, 17, 3))
    found = body25_from_coco(joints)
    table = [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]
    for j in range(17):
        np.testing.assert_array_equal(found[:, table[j]], joints[:, j])
        side = COCO_BODY[j]
        assert BODY25[table[j]] == side  # the names agree
    np.testing.assert_allclose(found[:, 8, :2], (found[:, 9, :2] + found[:, 12, :2]) / 2)
    np.testing.assert_allclose(found[:, 8, 2], np.minimum(found[:, 9, 2], found[:, 12, 2]))
    np.testing.assert_allclose(found[:, 1, :2], (found[:, 2, :2] + found[:, 5, :2]) / 2)
    np.testing.assert_allclose(found[:, 1, 2], np.minimum(found[:, 2, 2], found[:, 5, 2]))
    assert not found[:, 19:].any()
    back = coco_from_body25(found)
    np.testing.assert_array_equal(back[:, :17], joints)
    assert not back[:, 17:].any()
    assert body25_from_coco(np.zeros((0, 17, 3))).shape == (0, 25, 3)


def test_the_133_hold_the_body_and_nothing_outside_the_picture():
    joints = np.zeros((17, 3))
    joints[0] = (10, 20, 1.3)  # surer than sure
    joints[1] = (-5, 20, 0.8)  # outside
    joints[2] = (10, 20, -0.2)
    xy, confidence = wholebody(joints, 64, 48)
    assert confidence[0] == 1
    assert tuple(xy[0]) == (10, 20)
    assert confidence[1:].max() == 0
    assert xy[1:].max() == 0
    assert (xy.shape, confidence.shape) == ((133, 2), (133,))
    with pytest.raises(AssertionError):
        wholebody(joints[:5], 64, 48)
