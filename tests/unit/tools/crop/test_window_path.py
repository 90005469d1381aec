import numpy as np
import pytest

from tools.crop.path import centres, envelope, fill_gaps, limits, window_sides, within_source, without_outliers

rng = np.random.default_rng(0)


@pytest.mark.parametrize("radius", [0, 1, 5, 40])
def test_envelope_is_never_below_the_values_and_symmetric(radius):
    values = rng.normal(size=60).cumsum()
    curve = envelope(values, radius)
    assert curve.shape == values.shape
    assert (curve >= values - 1e-12).all()
    np.testing.assert_allclose(envelope(values[::-1], radius), curve[::-1], atol=1e-12)


def test_envelope_of_a_constant_is_the_constant():
    np.testing.assert_allclose(envelope(np.full(10, 3.0), 4), 3.0)


def test_gaps_are_bridged_by_straight_lines():
    boxes = np.zeros((5, 4))
    boxes[1], boxes[3] = 10.0, 20.0
    filled = fill_gaps(boxes, np.array([False, True, False, True, False]))
    np.testing.assert_allclose(filled[:, 0], [10, 10, 15, 20, 20])


def test_a_jump_of_one_frame_is_ignored():
    boxes = np.tile([10.0, 20.0, 50.0, 90.0], (9, 1))
    boxes[4, 2] = 900.0
    np.testing.assert_allclose(without_outliers(boxes, 1), np.tile([10.0, 20.0, 50.0, 90.0], (9, 1)))


def test_smooth_limits_hold_every_box():
    low = rng.uniform(0, 300, (40, 2))
    boxes = np.concatenate([low, low + rng.uniform(10, 100, (40, 2))], axis=1)
    wide = limits(boxes, 6)
    assert (wide[:, :2] <= boxes[:, :2] + 1e-9).all()
    assert (wide[:, 2:] >= boxes[:, 2:] - 1e-9).all()


def test_fixed_window_fits_the_largest_box_with_its_margin():
    boxes = np.array([[0, 0, 10, 40], [0, 0, 30, 20.0]])
    np.testing.assert_allclose(window_sides(boxes, 0.5, 0.25, 0, True), [45.0, 45.0])
    np.testing.assert_allclose(window_sides(boxes, 0.5, 0.25, 0, False), [30.0, 45.0])


def test_window_stays_inside_a_larger_source_and_holds_a_smaller_one():
    boxes = np.array([[0.0, 0.0, 20.0, 20.0], [80.0, 30.0, 99.0, 49.0]])
    inside = centres(boxes, np.array([40.0, 40.0]), 1.0, (50, 100))
    np.testing.assert_allclose(inside, [[19.5, 19.5], [79.5, 29.5]])
    around = centres(boxes, np.array([120.0, 120.0]), 1.0, (50, 100))
    half = 60.0
    assert (around - half <= -0.5 + 1e-9).all() and (around + half >= [99.5, 49.5]).all()


def test_a_window_gives_up_margin_before_it_shows_black():
    source = (100, 400)
    wanted = np.array([90.0, 120.0, 150.0])
    needed = np.array([80.0, 95.0, 130.0])
    np.testing.assert_allclose(within_source(wanted, needed, 1.0, source), [90.0, 100.0, 130.0])
