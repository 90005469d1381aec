"""What is done to a picture before it is stored."""

import numpy as np
import pytest

from tools.shards.pictures import depth_quantum, psnr_db, rounded_depth, scene_for_jpeg, squared_error, stored_scene
from workflow.errors import ContractError


def test_scene_keeps_only_what_differs():
    rng = np.random.default_rng(0)
    rgb = rng.integers(1, 255, (6, 5, 3), dtype=np.uint8)
    origin = rng.integers(0, 3, (6, 5), dtype=np.uint8)
    scene = np.where(origin[..., None] > 0, 255 - rgb, rgb)
    kept = stored_scene(scene, rgb, origin, "frame")
    assert not kept[origin == 0].any()
    np.testing.assert_array_equal(np.where(origin[..., None] == 0, rgb, kept), scene)


def test_a_scene_that_lies_is_refused():
    rgb = np.zeros((4, 4, 3), np.uint8)
    scene = rgb.copy()
    scene[2, 1, 0] = 1
    with pytest.raises(ContractError, match="clip a, frame 3: scene differs .* at 1 pixels .* row 2, column 1"):
        stored_scene(scene, rgb, np.zeros((4, 4), np.uint8), "clip a, frame 3")


@pytest.mark.parametrize("error", [0.0003, 0.001, 0.005, 0.1])
def test_depth_stays_within_the_bound(error):
    every = np.arange(0, 0x7C00, dtype=np.uint16).view(np.float16)  # all finite halves from 0 up
    rounded = rounded_depth(every, depth_quantum(error))
    present = every > depth_quantum(error)  # smaller than that, what matters is only to stay above 0
    difference = np.abs(rounded.astype(np.float64) - every.astype(np.float64))
    assert rounded.dtype == np.float16
    assert difference[present].max() <= error
    assert rounded[0] == 0
    assert (rounded[1:] > 0).all()


def test_coarser_depth_has_fewer_values():
    depth = np.linspace(0.5, 1, 500).astype(np.float16)
    assert len(np.unique(rounded_depth(depth, depth_quantum(0.01)))) < len(np.unique(depth)) / 5


def test_scene_for_jpeg_keeps_whole_blocks():
    scene = np.full((20, 20, 3), 7, np.uint8)
    origin = np.zeros((20, 20), np.uint8)
    origin[9, 17] = 2
    kept = scene_for_jpeg(scene, origin)
    assert (kept[8:16, 16:20] == 7).all()
    assert kept.sum() == 8 * 4 * 3 * 7


def test_psnr():
    true = np.zeros((2, 2, 3), np.uint8)
    error, count = squared_error(true + np.uint8(5), true)
    assert (error, count) == (12 * 25, 12)
    assert psnr_db(error, count) == pytest.approx(20 * np.log10(255 / 5))
    assert psnr_db(*squared_error(true, true)) == 100
    assert squared_error(true + np.uint8(5), true, np.eye(2, dtype=bool)) == (6 * 25, 6)
