import numpy as np
import pytest
import torch

from model_zoo.diffusion.pictures import ClipArrays, Placement, clip_arrays, collate, reference_picture, to_pictures


def _layers(length, height=40, width=60):
    rng = np.random.default_rng(0)
    human = np.zeros((length, height, width), bool)
    human[:, 10:30, 20:30] = True
    occluder = np.zeros_like(human)
    occluder[:, :, 40:50] = True
    return {
        "rgb": rng.integers(0, 256, (length, height, width, 3), np.uint8),
        "scene": rng.integers(0, 256, (length, height, width, 3), np.uint8),
        "human": human,
        "occluder": occluder,
        "valid": np.ones(length, bool),
        "global_orient": rng.normal(size=(length, 3)).astype(np.float32),
        "body_pose": rng.normal(size=(length, 69)).astype(np.float32),
        "transl": rng.normal(size=(length, 3)).astype(np.float32),
        "intrinsics": np.tile(np.array([[48, 0, 29.5], [0, 48, 19.5], [0, 0, 1]], np.float32), (length, 1, 1)),
    }


def _made(small_config, length, frames=4):
    layers = _layers(length)
    reference = reference_picture(layers["rgb"][0], layers["human"][0], small_config.reference_size)
    return layers, clip_arrays(layers, np.zeros(10), reference, small_config, frames)


def test_shapes_and_ranges(small_config):
    _, made = _made(small_config, 4)
    assert made.video.shape == made.scene.shape == made.occluder.shape == (3, 4, 32, 48)
    assert made.human_mask.shape == made.occluder_mask.shape == (4, 32, 48)
    assert made.pose.shape == (4, 72) and made.transl.shape == (4, 3) and made.intrinsics.shape == (4, 3, 3)
    assert made.reference.shape == (3, 32, 32)
    for pictures in (made.video, made.scene, made.occluder, made.reference):
        assert pictures.dtype == np.float32 and pictures.min() >= -1 and pictures.max() <= 1


def test_a_short_window_is_padded_and_says_so(small_config):
    layers, made = _made(small_config, 2, frames=5)
    assert made.valid.tolist() == [True, True, False, False, False]
    assert (made.video[:, 4] == made.video[:, 1]).all()
    assert (made.pose[4] == np.concatenate([layers["global_orient"][1], layers["body_pose"][1]])).all()


def test_occluder_is_black_elsewhere(small_config):
    _, made = _made(small_config, 1)
    clear = made.occluder_mask == 0
    assert clear.any() and (made.occluder[:, clear] == -1).all()
    assert made.occluder[:, made.occluder_mask == 1].std() > 0.1


@pytest.mark.parametrize(("source", "target"), [((40, 60), (32, 48)), ((40, 60), (20, 20)), ((30, 30), (64, 96))])
def test_points_land_where_the_picture_puts_them(source, target):
    place = Placement.cover(source, target)
    ramp = np.mgrid[: source[0], : source[1]].astype(np.float32)  # every pixel holds its own position
    moved_y, moved_x = place.picture(ramp[0]), place.picture(ramp[1])
    camera = place.intrinsics(np.eye(3)[None])[0]
    row, column = target[0] // 2, target[1] // 2
    x, y = moved_x[row, column], moved_y[row, column]
    assert camera[0, 0] * x + camera[0, 2] == pytest.approx(column, abs=0.6 * max(1, place.scale))
    assert camera[1, 1] * y + camera[1, 2] == pytest.approx(row, abs=0.6 * max(1, place.scale))


def test_occluder_layer_is_the_masked_frame_resampled(small_config):
    layers, made = _made(small_config, 2)
    place = Placement.cover((40, 60), (32, 48))
    plain = place.picture(np.where(layers["occluder"][1][..., None], layers["rgb"][1], 0).astype(np.uint8))
    assert np.array_equal(made.occluder[:, 1], (plain.transpose(2, 0, 1) / np.float32(127.5) - 1).astype(np.float32))


def test_reference_shows_the_subject_on_white():
    rgb = np.zeros((40, 60, 3), np.uint8)
    human = np.zeros((40, 60), bool)
    human[5:35, 50:58] = True
    picture = reference_picture(rgb, human, (32, 32))
    assert (picture[:, 0, 0] == 1).all() and (picture[:, 16, 16] == -1).all()
    rows = np.flatnonzero((picture[0] < 0).any(1))
    assert 27 <= len(rows) <= 30  # 30 of 33 px, on 32


def test_reference_without_a_subject_is_white():
    assert (reference_picture(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool), (16, 16)) == 1).all()


def test_pictures_round_trip(small_config):
    _, made = _made(small_config, 4)
    batch = collate([made, made], torch.device("cpu"))
    assert batch.video.shape == (2, 3, 4, 32, 48)
    back = to_pictures(batch.video[0])
    assert back.shape == (4, 32, 48, 3)
    assert np.abs(back.transpose(3, 0, 1, 2) / 127.5 - 1 - made.video).max() < 1e-5
    assert batch._fields == ClipArrays._fields
