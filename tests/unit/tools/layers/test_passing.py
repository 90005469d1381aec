import dataclasses

import cv2
import numpy as np
import pytest

from tests import examples
from tools.layers.geometry import load
from tools.layers.passing import find
from workflow.stages.crop import Crop
from workflow.stages.layers import GeometryParams
from workflow.stages.surface import Surface

SIDE = 256
SUBJECT = (100, 50, 156, 210)  # left, top, right, bottom, px
FRAMES = 30


def clip(still=True, in_front=True, comes=True, taken=True):
    """A ball of the clothes' colour rolls past somebody who stands; the matte takes it for them where they meet.

    Returns:
        crop, surface, and where the ball is seen in every frame, shape (T, SIDE, SIDE), bool.
    """
    example = examples.clip(FRAMES, SIDE, SIDE, seed=0)
    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(0, 256, (32, 64, 3), np.uint8), (2 * SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    shirt = cv2.resize(rng.integers(90, 255, (20, 7, 1), np.uint8), (56, 160), interpolation=cv2.INTER_CUBIC)
    rgb, matte, depth, inside = Crop.spool("rgb"), Crop.spool("matte"), Surface.spool("depth"), Crop.spool("inside")
    seen = []
    left, top, right, bottom = SUBJECT
    for t in range(FRAMES):
        picture = wall[:, (0 if still else 8 * t) :][:, :SIDE].copy()
        body, ball = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
        body[top:bottom, left:right] = 1
        if comes:
            cv2.circle(ball, (8 * t + 12, 130), 24, 1, -1)
        clothes = picture.copy()
        clothes[top:bottom, left:right] = np.dstack([shirt, shirt // 3, shirt // 3])
        thing = np.zeros_like(picture)
        cv2.circle(thing, (8 * t + 12, 130), 24, (60, 120, 60), -1)
        cv2.circle(thing, (8 * t + 12, 130), 14, (200, 66, 66), -1)  # a panel of the colour of the shirt
        for mask, of in ((ball, thing), (body, clothes)) if not in_front else ((body, clothes), (ball, thing)):
            picture[mask > 0] = of[mask > 0]
        visible = ball > 0 if in_front else (ball > 0) & (body == 0)
        seen.append(visible)
        rgb.append(picture)
        matte.append(np.where((body > 0) & (taken | ~visible), 255, 0).astype(np.uint8))
        depth.append(np.where(body > 0, 3.0, 0.0).astype(np.float16))
        inside.append(np.ones((SIDE, SIDE), bool))
    crop = dataclasses.replace(
        example["crop"], rgb=rgb.finish(), matte=matte.finish(), inside=inside.finish(),
        crop_from_source=np.tile(np.eye(3), (FRAMES, 1, 1)),
        confidence=np.zeros_like(example["crop"].confidence), valid=np.ones(FRAMES, bool),
    )  # fmt: skip
    surface = dataclasses.replace(example["surface"], depth=depth.finish(), valid=np.ones(FRAMES, bool))
    return crop, surface, np.stack(seen)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_a_ball_is_followed_in_front_of_the_subject():
    crop, surface, seen = clip()
    passing = find(crop, surface)
    for t in range(4, 26):
        assert overlap(passing.in_frame(t, (SIDE, SIDE)), seen[t]) > 0.75, t


def test_what_passes_behind_is_not_in_front():
    crop, surface, _ = clip(in_front=False, taken=False)
    passing = find(crop, surface)
    left, top, right, bottom = SUBJECT
    inner = (slice(top + 6, bottom - 6), slice(left + 6, right - 6))
    assert max(passing.in_frame(t, (SIDE, SIDE))[inner].mean() for t in range(FRAMES)) < 0.02


@pytest.mark.parametrize("how", [{"still": False}, {"comes": False}])
def test_nothing_is_found_with_a_moving_camera_or_where_nothing_comes(how):
    crop, surface, _ = clip(**how)
    assert find(crop, surface) is None


def test_layers_take_it_from_the_human():
    crop, surface, seen = clip()
    layers = load(GeometryParams(), {})(crop, surface)
    t = 14  # the ball is in the middle of the subject
    body = crop.matte[t] > 0
    assert overlap(layers.occluder[t], seen[t] & body) > 0.75
    assert not (layers.human[t] & layers.occluder[t]).any() and not layers.matte[t][layers.occluder[t]].any()
    assert not layers.occluder[0].any()
