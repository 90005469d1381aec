"""Which side of the head the camera sees."""

import numpy as np
import pytest

from tools.keypoints import head

NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR = 0, 2, 5, 7, 8


def world(yaw):
    """A head seen from the front at yaw 0 (left ear at the image's right), turned to the image's right by `yaw`."""
    points = np.zeros((33, 3))
    points[NOSE] = (0, 0.04, -0.11)
    points[LEFT_EAR], points[RIGHT_EAR] = (0.075, 0, 0), (-0.075, 0, 0)
    c, s = np.cos(yaw), np.sin(yaw)
    return points @ np.array([[c, 0, -s], [0, 1, 0], [-s, 0, -c]]).T * (1, 1, -1)


def test_the_head_turns_as_described():
    assert head.gaze(world(0.0))[2] < -0.9
    assert abs(head.gaze(world(np.pi / 2))[0]) > 0.9


def test_a_face_to_the_camera_is_all_visible():
    assert (head.visible_share(world(0.0)) == 1).all()
    assert (head.visible_share_of_face(world(0.0)) == 1).all()


def test_the_back_of_a_head_shows_ears_only():
    share = head.visible_share(world(np.pi))
    assert share[[NOSE, LEFT_EYE, RIGHT_EYE, 9, 10]].max() == 0
    assert share[[LEFT_EAR, RIGHT_EAR]].min() == 1
    assert share[11:].min() == 1  # the body is not judged
    assert head.gaze(world(np.pi))[2] > head.AVERTED


@pytest.mark.parametrize("yaw", [np.pi / 2, -np.pi / 2])
def test_a_profile_hides_its_far_side(yaw):
    points = world(yaw)
    share, face = head.visible_share(points), head.visible_share_of_face(points)
    left_is_far = points[LEFT_EAR, 2] > points[RIGHT_EAR, 2]
    far_ear, near_ear = (LEFT_EAR, RIGHT_EAR) if left_is_far else (RIGHT_EAR, LEFT_EAR)
    assert share[far_ear] < 0.1 and share[near_ear] == 1
    far_eye, near_eye = (LEFT_EYE, RIGHT_EYE) if left_is_far else (RIGHT_EYE, LEFT_EYE)
    assert share[far_eye] < share[near_eye] == 1
    right_jaw, left_jaw = face[:6].max(), face[11:17].max()
    assert (left_jaw if left_is_far else right_jaw) < 0.1
    assert (right_jaw if left_is_far else left_jaw) == 1
