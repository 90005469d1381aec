import cv2
import numpy as np
import pytest

from tools.parsing.appearance import Gatherer, patches_of
from tools.parsing.subject import fill_holes, foreign, keep_subject, steady, support
from tools.still import lab

SHIRT, SKIN, BALL = (60, 80, 160), (200, 150, 120), (245, 245, 240)


def scene():
    """A body of two patches, shirt above and skin below, on grass; all of it certain."""
    rgb = np.full((128, 128, 3), (70, 140, 60), np.uint8)
    patches = np.full((128, 128), -1)
    patches[20:70, 40:90], patches[70:110, 40:90] = 0, 1
    rgb[patches == 0], rgb[patches == 1] = SHIRT, SKIN
    return rgb, patches, patches >= 0


@pytest.fixture
def appearance():
    rgb, patches, body = scene()
    gatherer = Gatherer(2)
    for t in range(5):
        gatherer.add(lab(np.clip(rgb.astype(int) + t, 0, 255).astype(np.uint8)), patches, body)
    return gatherer.learn(np.array([False, False]))


def test_colours_are_learnt(appearance):
    assert appearance.known.all()
    expected = lab(np.array([[SHIRT, SKIN]], np.uint8))[0]
    assert np.abs(appearance.colour - expected).max() < 4


def test_patches_split_the_body():
    vertices = np.array([[0.01, 0.0, 0.0], [0.02, 0.01, 0.0], [0.5, 0, 0]])
    patches = patches_of(vertices)
    assert patches[0] == patches[1] != patches[2]


def test_distance_tells_own_colours_from_others(appearance):
    rgb, patches, body = scene()
    cv2.circle(rgb, (65, 45), 10, BALL, -1)
    distance = appearance.distance(lab(rgb), patches, 6)
    assert distance[30, 50] < 5 and distance[100, 60] < 5
    assert distance[45, 65] > 25


def test_unknown_patches_decide_nothing():
    rgb, patches, _ = scene()
    blank = Gatherer(2).learn(np.array([False, False]))
    assert not blank.distance(lab(rgb), patches, 6).any()


def test_a_ball_in_front_is_foreign_and_the_body_is_not(appearance):
    rgb, patches, body = scene()
    cv2.circle(rgb, (85, 50), 14, BALL, -1)  # half of it beside the body
    ball = (rgb == BALL).all(-1)
    probability = (body | ball).astype(np.float32)
    spread = np.where(patches >= 0, patches, 0)
    thing = foreign(probability, appearance.distance(lab(rgb), spread, 6), lab(rgb), body, 90.0)
    assert thing[ball].mean() > 0.9
    assert thing[body & ~cv2.dilate(ball.astype(np.uint8), np.ones((7, 7))).astype(bool)].mean() < 0.02


def test_own_holes_are_closed_and_foreign_ones_stay_open(appearance):
    rgb, patches, body = scene()
    cv2.circle(rgb, (65, 90), 8, BALL, -1)
    probability = body.astype(np.float32)
    probability[40:50, 60:70] = 0.1  # the network missed a piece of the shirt
    probability[(rgb == BALL).all(-1)] = 0.0
    filled = fill_holes(probability, appearance.distance(lab(rgb), patches, 4), body, 90.0)
    assert (filled[42:48, 62:68] > 0.5).all()
    assert filled[90, 65] == 0


def test_islands_and_far_parts_are_dropped():
    body = np.zeros((128, 128), bool)
    body[30:100, 50:80] = True
    probability = body.astype(np.float32)
    probability[40:60, 100:120] = 1.0  # somebody else
    probability[60:64, 80:128] = 1.0  # an arm that goes on and on
    kept = keep_subject(probability, body, body, 15.0, 0.02)
    assert kept[50, 60] == 1.0 and kept[50, 110] == 0.0
    assert kept[62, 85] > 0.5 and kept[62, 110] == 0.0


def test_support_holds_body_and_limbs():
    body = np.zeros((64, 64), bool)
    joints, confidence = np.zeros((23, 2)), np.zeros(23)
    joints[7], joints[9], confidence[[7, 9]] = (10, 10), (50, 10), 1.0
    near = support(body, joints, confidence, 40.0)
    assert near[10, 30] and not near[30, 30]
    assert not support(body, joints, np.zeros(23), 40.0).any()


def test_steadying_averages_still_pixels_and_leaves_moving_ones():
    same, other = np.zeros((40, 40, 3), np.float32), np.full((40, 40, 3), 60.0, np.float32)
    now, then = np.full((40, 40), 0.6, np.float32), np.full((40, 40), 0.2, np.float32)
    matrix = np.eye(3)[:2]
    still = steady(now, same, [(then, same, matrix, matrix)])
    np.testing.assert_allclose(still, 0.4, atol=1e-3)
    moving = steady(now, same, [(then, other, matrix, matrix)])
    np.testing.assert_allclose(moving, 0.6, atol=1e-3)
