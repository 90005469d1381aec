"""Outliers in time, and the figures."""

import numpy as np
import pytest

from tools.keypoints.clean import drop_short_runs, mend_spikes
from tools.keypoints.quality import measure


@pytest.fixture
def walk():
    """Ten frames at 25 per second of 133 joints moving right, a body of 100 px."""
    xy = np.zeros((10, 133, 2), np.float32)
    xy[..., 0] = np.arange(10)[:, None] * 2.0 + np.arange(133)
    return xy, np.ones((10, 133), np.float32), np.full(10, 100.0), np.ones(10, bool), np.arange(10) / 25


def test_a_spike_is_mended_and_doubted(walk):
    xy, confidence, size, valid, times = walk
    broken = xy.copy()
    broken[5, 9] += (0, 30)
    mended, doubted, where = mend_spikes(broken, confidence, size, valid, times)
    assert np.allclose(mended, xy)
    assert np.argwhere(where).tolist() == [[5, 9]]
    assert doubted[5, 9] == 0.5 and doubted.sum() == confidence.sum() - 0.5
    assert broken[5, 9, 1] == 30  # the input is left alone


def test_a_step_fast_motion_and_low_rates_are_left_alone(walk):
    xy, confidence, size, valid, times = walk
    step = xy.copy()
    step[5:, 9] += (0, 30)
    spike = xy.copy()
    spike[5, 9] += (0, 30)
    assert np.array_equal(mend_spikes(step, confidence, size, valid, times)[0], step)
    assert np.array_equal(mend_spikes(spike, confidence, size, valid, times * 12)[0], spike)
    hidden = confidence.copy()
    hidden[4, 9] = 0
    assert np.array_equal(mend_spikes(spike, hidden, size, valid, times)[0], spike)


def test_short_runs_between_gaps_are_dropped():
    valid = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0, 0, 1], bool)
    assert drop_short_runs(valid, 3).tolist() == [True, *[False] * 4, *[True] * 3, *[False] * 2, True]
    assert drop_short_runs(np.ones(1, bool), 3).all()
    assert not drop_short_runs(np.zeros(4, bool), 3).any()


def test_figures_of_smooth_and_shaken_joints(walk):
    xy, confidence, size, valid, _ = walk
    confidence[:, 91:112] = 0
    figures = measure(xy, confidence, size, valid)
    assert figures["valid_share"] == 1 and figures["left_hand_share"] == 0 and figures["right_hand_share"] == 1
    assert figures["jitter"] == pytest.approx(0, abs=1e-6)
    shaken = xy.copy()
    shaken[::2, :, 1] += 4
    assert measure(shaken, confidence, size, valid)["jitter"] == pytest.approx(0.04, abs=1e-6)
    assert measure(xy, confidence, size, np.zeros(10, bool)) == {"valid_share": 0.0}
