import numpy as np
import pytest

from tools.crop.warp import inside, nearest, warp


def similarity(zoom, x, y):
    return np.array([[zoom, 0, x], [0, zoom, y], [0, 0, 1.0]])


def smooth_picture(height=90, width=120):
    y, x = np.mgrid[:height, :width]
    return np.stack([120 + 80 * np.sin(x / 9), 120 + 80 * np.sin(y / 11), 100 + x * 0.5], -1).astype(np.uint8)


@pytest.mark.parametrize("zoom", [0.23, 0.5, 0.7, 1.0, 1.9])
def test_a_pixel_lands_where_the_matrix_says(zoom):
    picture = smooth_picture()
    matrix = similarity(zoom, 3.3, -2.7)
    result = warp(picture, matrix, (40, 30), zoom)
    y, x = np.mgrid[:30, :40]
    source_x, source_y = (x - 3.3) / zoom, (y + 2.7) / zoom
    safe = (source_x > 4) & (source_x < 115) & (source_y > 4) & (source_y < 85)
    expected = np.stack([120 + 80 * np.sin(source_x / 9), 120 + 80 * np.sin(source_y / 11), 100 + source_x * 0.5], -1)
    assert np.abs(result[safe].astype(float) - expected[safe]).max() < (9 if zoom < 0.4 else 4)


def test_whole_shifts_do_not_touch_the_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    result = warp(picture, similarity(1.0, -7, -5), (20, 30), 1.0)
    np.testing.assert_array_equal(result, picture[5:35, 7:27])


def test_strong_reduction_does_not_alias():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    result = warp(stripes, similarity(0.2, 0.0, 0.0), (50, 50), 0.2)
    assert np.abs(result[4:-4, 4:-4].astype(int) - 127).max() < 40


def test_window_far_outside_is_black():
    assert not warp(smooth_picture(), similarity(1.0, 5000, 0), (10, 10), 1.0).any()


def test_inside_says_which_pixels_the_source_has():
    within = inside(similarity(1.0, 2.0, -1.0), (8, 6), (4, 5))
    assert within[0, 2] and within[2, 6] and not within[0, 1] and not within[0, 7] and not within[3, 4]
    assert within.sum() == 5 * 3


def test_labels_are_never_mixed():
    labels = np.zeros((20, 20), np.uint8)
    labels[:, 10:] = 19
    assert set(np.unique(nearest(labels, similarity(1.7, 0.2, 0.1), (30, 30)))) == {0, 19}
