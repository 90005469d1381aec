import numpy as np
import pytest

pytest.importorskip("mediapipe", reason="mediapipe is not in this environment", exc_type=ImportError)

from tools.parsing.segment import Region, Segmenter, SIDE_px, region_of, sample


def person():
    """COCO body and feet of somebody upright, 100 px wide and 300 px high."""
    x = [100, 96, 104, 92, 108, 80, 120, 75, 125, 72, 128, 88, 112, 88, 112, 88, 112, 84, 80, 90, 116, 120, 110]
    y = [30, 26, 26, 28, 28, 60, 60, 110, 110, 150, 150, 160, 160, 220, 220, 290, 290, 300, 298, 296, 300, 298, 296]
    return np.stack([x, y], 1).astype(float), np.ones(23), np.array([72.0, 20, 128, 300])


def test_region_is_round_the_hips_and_holds_the_body():
    points, confidence, box = person()
    region = region_of(points, confidence, box)
    assert (region.x, region.y) == (100.0, 160.0) and region.angle == 0.0
    there = points @ region.input_from_source[:, :2].T + region.input_from_source[:, 2]
    assert (there > 0).all() and (there < SIDE_px).all()
    np.testing.assert_allclose(there[[11, 12]].mean(0), (SIDE_px - 1) / 2)


def test_region_turns_with_the_spine():
    points, confidence, box = person()
    lying = points[:, ::-1] * [-1, 1] + [400, 0]  # head to the right
    region = region_of(lying, confidence, np.concatenate([lying.min(0), lying.max(0)]))
    there = lying @ region.input_from_source[:, :2].T + region.input_from_source[:, 2]
    spine = there[[5, 6]].mean(0) - there[[11, 12]].mean(0)
    assert abs(spine[0]) < 1e-6 and spine[1] < 0  # upright for the network


def test_region_without_joints_is_that_of_the_box():
    points, _, box = person()
    region = region_of(points, np.zeros(23), box)
    assert (region.x, region.y) == (100.0, 160.0) and region.side > 280


@pytest.mark.parametrize("side", [64.0, 256.0, 1500.0])
def test_sampling_puts_pixels_where_the_region_says(side):
    y, x = np.mgrid[:900, :1000]
    picture = np.stack([x / 4, y / 4, 0 * x], -1).astype(np.uint8)
    region = Region(500.0, 450.0, side, 0.3)
    patch = sample(picture, region.input_from_source, SIDE_px).astype(float)
    turn = region.input_from_source
    inverse = np.linalg.inv(turn[:, :2])
    rows, columns = np.array([[40, 128, 200], [60, 128, 190]])
    source = (np.stack([columns, rows], 1) - turn[:, 2]) @ inverse.T
    inside = (source > 10).all(1) & (source < [980, 880]).all(1)
    np.testing.assert_allclose(patch[rows, columns][inside, :2], source[inside] / 4, atol=2.0)


def test_network_finds_nobody_in_noise_and_repeats_itself():
    segmenter = Segmenter()
    patch = np.random.default_rng(0).integers(0, 256, (SIDE_px, SIDE_px, 3), dtype=np.uint8)
    first, again = segmenter(patch), segmenter(patch)
    segmenter.close()
    assert first.shape == (SIDE_px, SIDE_px) and first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 1
    np.testing.assert_array_equal(first, again)
