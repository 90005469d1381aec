"""Colours that mean something."""

import numpy as np

from tools.page import colours


def test_a_normal_towards_the_camera_is_blue_and_one_upwards_green():
    facing, upward, right = (
        colours.normals(np.array(axis, np.int8)) for axis in ((0, 0, -127), (0, -127, 0), (127, 0, 0))
    )
    assert facing.tolist() == [128, 128, 255]
    assert upward.tolist() == [128, 255, 128]
    assert right.tolist() == [255, 128, 128]


def test_near_is_yellow_and_far_is_violet():
    near, far = colours.depth(np.array([2.0, 3.0], np.float16), 2.0, 3.0)
    assert near[0] > 200 and near[1] > 200 and near[2] < 80
    assert far[1] < 30 and far[2] > far[1]


def test_tint_changes_the_masked_pixels_only():
    picture = np.full((2, 2, 3), 100, np.uint8)
    colours.tint(picture, np.array([[True, False], [False, False]]), (200, 0, 100), 0.5)
    assert picture[0, 0].tolist() == [150, 50, 100]
    assert (picture.reshape(-1, 3)[1:] == 100).all()
