import dataclasses

import cv2
import numpy as np
import pytest

from tests import examples
from tools.layers.geometry import load
from tools.layers.standing import find
from workflow.stages.crop import Crop
from workflow.stages.layers import GeometryParams
from workflow.stages.surface import Surface

SIDE = 256
POLE = (slice(None), slice(118, 132))


def clip(frames=20, still=True, pole=True, taken=True):
    """Somebody walks behind a pole; the matte takes the pole for them where they meet."""
    example = examples.clip(frames, SIDE, SIDE, seed=0)
    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(0, 256, (16, 32, 3), np.uint8), (2 * SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    rgb, matte, depth, inside = Crop.spool("rgb"), Crop.spool("matte"), Surface.spool("depth"), Crop.spool("inside")
    for t in range(frames):
        body = np.zeros((SIDE, SIDE), np.uint8)
        cv2.rectangle(body, (8 * t + 20, 60), (8 * t + 68, 200), 1, -1)
        picture = wall[:, (0 if still else 12 * t) :][:, :SIDE].copy()
        picture[body > 0] = (200, 60, 60)
        seen = body * 255
        if pole:
            picture[POLE] = (20, 60, 30)
            if not taken:
                seen[POLE] = 0
        rgb.append(picture)
        matte.append(seen)
        depth.append(np.where(body > 0, 3.0, 0.0).astype(np.float16))
        inside.append(np.ones((SIDE, SIDE), bool))
    still_there = np.tile(np.eye(3), (frames, 1, 1))
    crop = dataclasses.replace(
        example["crop"], rgb=rgb.finish(), matte=matte.finish(), inside=inside.finish(), crop_from_source=still_there,
        confidence=np.zeros_like(example["crop"].confidence), valid=np.ones(frames, bool),
    )  # fmt: skip
    surface = dataclasses.replace(example["surface"], depth=depth.finish(), valid=np.ones(frames, bool))
    return crop, surface


@pytest.mark.parametrize("taken", [True, False])
def test_a_pole_is_found_that_the_subject_passes_behind(taken):
    crop, surface = clip(taken=taken)
    thing = find(crop, surface).in_frame(crop.rgb[3], np.eye(3))
    assert thing[70:190, 120:130].mean() > 0.9 and thing[:, :112].mean() < 0.01 and thing[:, 138:].mean() < 0.01


def test_it_follows_the_window():
    crop, surface = clip()
    shifted = np.eye(3)
    shifted[0, 2] = 10.0
    thing = find(crop, surface).in_frame(np.roll(crop.rgb[3], 10, axis=1), shifted)
    assert thing[70:190, 130:140].mean() > 0.9 and thing[:, :122].mean() < 0.01


@pytest.mark.parametrize("how", [{"still": False}, {"pole": False}, {"frames": 3}])
def test_nothing_is_found_with_a_moving_camera_without_a_pole_or_in_too_few_frames(how):
    assert find(*clip(**how)) is None


def test_layers_take_it_from_the_human():
    crop, surface = clip()
    layers = load(GeometryParams(), {})(crop, surface)
    t = 10  # the subject is behind it
    assert layers.occluder[t][70:190, 120:130].mean() > 0.9 and not layers.human[t][70:190, 120:130].any()
    assert not layers.matte[t][layers.occluder[t]].any()
    assert layers.human[t][70:190, 136:147].all()
    assert not layers.occluder[0].any()  # and here not yet
