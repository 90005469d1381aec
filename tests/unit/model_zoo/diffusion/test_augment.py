"""Changes of a window keep pictures, body and camera together."""

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from model_zoo.diffusion.augment import MIRRORED_JOINTS, NONE, Amounts, Change, changed, coloured, draw, mirrored
from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.pictures import WHOLE, Framing, Placement, clip_arrays
from model_zoo.diffusion.posing import Poser
from model_zoo.diffusion.rasterize import DifferentiableRasterizer
from tests import bodies

SIDE = 192


@pytest.fixture(scope="module")
def body():
    with np.load(bodies.free_body_file()) as arrays:
        return Poser(dict(arrays))


def _layers(body, frames=2):
    """A posed body of its own silhouette, far from the middle, and pictures that tell left from right."""
    rng = np.random.default_rng(3)
    pose = rng.normal(scale=0.25, size=(frames, 72)).astype(np.float32)
    pose[:, :3] = [2.9, 0.3, -0.2]
    transl = np.tile(np.array([[0.35, 0.2, 3.4]], np.float32), (frames, 1))
    intrinsics = np.tile(np.array([[260, 0, 90], [0, 260, 101], [0, 0, 1]], np.float32), (frames, 1, 1))
    human = _silhouette(body, np.zeros(10, np.float32), pose, transl, intrinsics, (SIDE, SIDE))
    occluder = np.zeros_like(human)
    occluder[:, :, 20:50] = True
    return {
        "rgb": rng.integers(0, 256, (frames, SIDE, SIDE, 3), np.uint8),
        "scene": rng.integers(0, 256, (frames, SIDE, SIDE, 3), np.uint8),
        "human": human,
        "occluder": occluder & ~human,
        "valid": np.ones(frames, bool),
        "global_orient": pose[:, :3],
        "body_pose": pose[:, 3:],
        "transl": transl,
        "intrinsics": intrinsics,
    }


def _silhouette(body, betas, pose, transl, intrinsics, size):
    vertices = body(*(torch.from_numpy(values)[None] for values in (betas, pose, transl)))[0]
    _, mask, _ = DifferentiableRasterizer(size)(vertices, body.faces, vertices[0], torch.from_numpy(intrinsics))
    return mask[:, 0].numpy()


def _iou(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.fixture(scope="module")
def config():
    return MimoConfig(height=SIDE, width=SIDE, vae_channels=(8, 8), unet_channels=(8, 16), motion_scale=2)


@pytest.fixture(scope="module")
def layers(body):
    return _layers(body)


def _sample(layers, config, framing=WHOLE):
    reference = np.ones((3, SIDE, SIDE), np.float32)
    reference[:, 50:150, 20:90] = 0.2
    return clip_arrays(layers, np.zeros(10), reference, config, 2, framing)


def test_the_mirrored_body_lies_on_the_mirrored_mask(body, layers, config):
    sample = mirrored(_sample(layers, config), config.motion_size[1])
    drawn = _silhouette(body, sample.betas, sample.pose, sample.transl, sample.intrinsics, config.motion_size)
    for found, expected, unmirrored in zip(drawn, sample.human_mask > 0.5, layers["human"]):
        assert _iou(found, expected) > 0.99
        assert _iou(found, unmirrored) < 0.5, "the test must tell left from right"


@pytest.mark.parametrize("framing", [WHOLE, Framing(1.3, 0.1, 0.9), Framing(1.15, 1.0, 0.0)])
def test_the_camera_follows_the_framing(body, layers, framing):
    config = MimoConfig(height=96, width=96, vae_channels=(8, 8), unet_channels=(8, 16), motion_scale=2)
    sample = changed(_sample(layers, config, framing), Change(framing, flip=True), config.motion_size[1])
    for shift, low, high in ((0, 0.92, 1), (1, 0, 0.85)):
        moved = sample.intrinsics + np.array([[0, 0, shift], [0, 0, 0], [0, 0, 0]], np.float32)
        drawn = _silhouette(body, sample.betas, sample.pose, sample.transl, moved, config.motion_size)
        for found, mask in zip(drawn, sample.human_mask):
            assert low <= _iou(found, mask > 0.5) <= high, "a pixel beside must be seen"


def test_the_mirrored_mesh_is_the_mesh_mirrored(body):
    """Up to how symmetric the free body's mesh is: a few vertices have no partner. Distances in metres."""
    rng = np.random.default_rng(0)
    layers = _layers(body)
    for betas in (np.zeros(10), rng.normal(size=10)):
        sample = clip_arrays(layers, betas, np.ones((3, 32, 32), np.float32), MimoConfig(), 2)
        other = mirrored(sample, 32)
        one, two = (
            body(*(torch.from_numpy(np.asarray(v))[None] for v in (s.betas, s.pose, s.transl)))[0].double().numpy()
            for s in (sample, other)
        )
        for mesh, reflected in zip(one * [-1, 1, 1], two):
            distance = cKDTree(reflected).query(mesh)[0]
            assert distance.mean() < 1e-4 and distance.max() < 0.012


def test_twice_mirrored_is_the_same(layers, config):
    sample = _sample(layers, config)
    again = mirrored(mirrored(sample, 192), 192)
    for name, one, other in zip(sample._fields, sample, again):
        np.testing.assert_allclose(other, one, atol=1e-5, err_msg=name)
    assert all(MIRRORED_JOINTS[MIRRORED_JOINTS[joint]] == joint for joint in range(24))
    assert sum(MIRRORED_JOINTS[joint] == joint for joint in range(24)) == 6


def test_colours_change_alike_in_all_layers(layers, config):
    sample = _sample(layers, config)
    layers_alike = sample._replace(scene=sample.video)
    change = Change(brightness=1.1, contrast=0.9, saturation=0.8)
    made = coloured(layers_alike, change)
    assert np.array_equal(made.video, made.scene) and not np.allclose(made.video, sample.video, atol=0.02)
    inside = sample.occluder_mask == 1
    np.testing.assert_allclose(made.occluder[:, inside], made.video[:, inside], atol=1e-5)
    assert (made.occluder[:, sample.occluder_mask == 0] == -1).all(), "black where nothing occludes"
    assert (made.reference[:, 0, 0] == 1).all() and not np.allclose(made.reference[:, 100, 50], 0.2)
    grey = coloured(sample, Change(saturation=0.0)).video
    luma = np.tensordot([0.299, 0.587, 0.114], sample.video, 1)
    np.testing.assert_allclose(grey[0], luma, atol=1e-5)
    for pictures in (made.video, made.occluder, made.reference):
        assert pictures.dtype == np.float32 and np.abs(pictures).max() <= 1


def test_no_change_changes_nothing(layers, config):
    sample = _sample(layers, config)
    assert changed(sample, NONE, 192) is sample


def test_draws_keep_their_limits_and_their_order():
    rng = np.random.default_rng(1)
    found = [draw(rng, Amounts(0.5, 1.2, 0.1)) for _ in range(400)]
    assert 0.4 < np.mean([change.flip for change in found]) < 0.6
    zooms = [change.framing.zoom for change in found]
    assert min(zooms) >= 1 and 1.19 < max(zooms) <= 1.2
    factors = np.array([change[2:] for change in found])
    assert factors.min() >= 0.9 and factors.max() <= 1.1 and factors.std(0).min() > 0.04
    one, other = (draw(np.random.default_rng(2), amounts) for amounts in (Amounts(0.5), Amounts(0.5, 1.2, 0.1)))
    assert one.flip == other.flip and one.framing[1:] == other.framing[1:], "amounts do not shift the draws"
    assert draw(rng, Amounts())._replace(framing=WHOLE) == NONE


def test_a_closer_framing_shows_that_part(config):
    picture = np.zeros((SIDE, SIDE), np.float32)
    picture[:96, :96] = 1
    corner = Placement.cover((SIDE, SIDE), (64, 64), Framing(2.0, 0.0, 0.0)).picture(picture)
    assert (corner == 1).all()
    assert (Placement.cover((SIDE, SIDE), (64, 64), Framing(2.0, 1.0, 0.0)).picture(picture) == 0).all()
    assert cv2.countNonZero(Placement.cover((SIDE, SIDE), (64, 64)).picture(picture)) == 32 * 32
