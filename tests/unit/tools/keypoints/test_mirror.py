"""The second opinion from the mirrored picture."""

import numpy as np
from mediapipe.python.solutions.pose import PoseLandmark

from tools.keypoints import mirror
from tools.keypoints.graphs import PoseResult


def pose_with(xy, score=1.0):
    return PoseResult(
        score=score,
        xy=np.asarray(xy, float),
        visibility=np.ones(33),
        presence=np.ones(33),
        world=np.c_[np.asarray(xy, float) / 100, np.zeros(33)],
        alignment=np.array([[50.0, 50], [50, 0]]),
    )


def random_xy(seed=0):
    return np.random.RandomState(seed).rand(33, 2) * 100


def test_swap_table_exchanges_left_and_right_names():
    for index, swapped in enumerate(mirror.SWAPPED):
        name, other = PoseLandmark(index).name, PoseLandmark(swapped).name
        exchanged = name.replace("LEFT", "*").replace("RIGHT", "LEFT").replace("*", "RIGHT")
        assert other == exchanged


def test_unmirror_undoes_itself_and_maps_the_edges():
    pose = pose_with(random_xy())
    twice = mirror.unmirror(mirror.unmirror(pose, 200), 200)
    assert np.allclose(twice.xy, pose.xy) and np.allclose(twice.world, pose.world)
    assert np.allclose(mirror.unmirror(pose_with(np.zeros((33, 2))), 200).xy[:, 0], 199)


def test_agreeing_opinions_are_averaged_and_believed():
    xy = random_xy()
    merged = mirror.merge(pose_with(xy), pose_with(xy + (2, 0)), size=200.0, expected=None)
    assert np.allclose(merged.xy, xy + (1, 0))
    assert (merged.belief == 1).all()


def test_a_leg_in_two_places_is_taken_where_it_was_expected_and_doubted():
    xy = random_xy()
    other = xy.copy()
    leg = [25, 27, 29, 31]
    other[leg] += (60, 0)
    merged = mirror.merge(pose_with(xy), pose_with(other), size=200.0, expected=other)
    assert np.allclose(merged.xy[leg], other[leg])
    assert (merged.belief[leg] == mirror.BELIEF_IN_TIME).all()
    assert (np.delete(merged.belief, leg) == 1).all()
    unexpected = mirror.merge(pose_with(xy), pose_with(other), size=200.0, expected=None)
    assert np.allclose(unexpected.xy[leg], xy[leg])
    assert (unexpected.belief[leg] == mirror.LEAST_BELIEF).all()


def test_front_taken_for_back_is_decided_for_the_whole_body():
    xy = random_xy()
    turned = xy[list(mirror.SWAPPED)]
    merged = mirror.merge(pose_with(xy), pose_with(turned), size=100.0, expected=turned)
    far = np.linalg.norm(xy - turned, axis=1) > mirror.AVERAGED * 100
    assert far.sum() > 20
    assert np.allclose(merged.xy[far], turned[far])
