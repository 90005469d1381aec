import cv2
import numpy as np
import pytest

from tools.scene.temporal import _around, _box_of, _closeness, load
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import TemporalParams

SOURCE, SIDE, FRAMES = (200, 320), 128, 16


def world(seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (40, 80, 3), dtype=np.uint8)
    return cv2.GaussianBlur(cv2.resize(coarse, (640, 320), interpolation=cv2.INTER_CUBIC), (0, 0), 1.5)


def clip(pan=0.0, step=9.0, ball=False):
    """A block walks before a texture; the crop follows it. Also what is behind it, in the crop."""
    picture, behind = world(), []
    rgb, matte, labels = Frames.spool("rgb"), Parsing.spool("matte"), Parsing.spool("labels")
    spools = {name: Crop.spool(name) for name in ("rgb", "matte", "labels", "inside")}
    masks = {name: Layers.spool(name) for name in ("human", "occluder", "scene", "matte")}
    transforms = np.tile(np.eye(3), (FRAMES, 1, 1))
    for t in range(FRAMES):
        shift = np.array([[1, 0, -20.0 - pan * t], [0, 1, -30.0]])
        clean = cv2.warpAffine(picture, shift, SOURCE[::-1], flags=cv2.INTER_LINEAR)
        frame, soft = clean.copy(), np.zeros(SOURCE, np.uint8)
        x = int(40 + step * t - pan * t)
        soft[60:150, x : x + 40] = 255
        frame[soft > 0] = (250, 30, 30)
        hidden = np.zeros(SOURCE, np.uint8)
        if ball:
            cv2.circle(hidden, (x + 20, 100), 9, 1, -1)
            frame[hidden > 0] = (255, 255, 255)
            soft[hidden > 0] = 0
        matrix = np.array([[1, 0, SIDE / 2 - x - 20], [0, 1, SIDE / 2 - 105], [0, 0, 1.0]])
        transforms[t] = matrix

        def cut(image, matrix=matrix):
            return cv2.warpAffine(image, matrix[:2], (SIDE, SIDE), flags=cv2.INTER_NEAREST)

        rgb.append(frame)
        matte.append(soft)
        labels.append((soft > 0).astype(np.uint8))
        inside = cut(np.ones(SOURCE, np.uint8)) > 0
        human, occluder = cut(soft) > 127, cut(hidden) > 0
        decoded = rgb[t]
        for name, value in {"rgb": cut(decoded), "matte": cut(soft), "labels": cut((soft > 0).astype(np.uint8)),
                            "inside": inside}.items():  # fmt: skip
            spools[name].append(value)
        for name, value in {"human": human, "occluder": occluder, "scene": ~(human | occluder),
                            "matte": cut(soft)}.items():  # fmt: skip
            masks[name].append(value)
        behind.append(cut(clean))
    valid = np.ones(FRAMES, bool)
    intrinsics = np.tile(np.eye(3, dtype=np.float32), (FRAMES, 1, 1))
    return (
        Frames(rgb=rgb.finish(), timestamps=np.arange(FRAMES) / 25, fps=25.0),
        Parsing(matte=matte.finish(), labels=labels.finish(), valid=valid),
        Crop(**{k: v.finish() for k, v in spools.items()}, crop_from_source=transforms, intrinsics=intrinsics,
             keypoints=np.zeros((FRAMES, 133, 2), np.float32), confidence=np.zeros((FRAMES, 133), np.float32),
             valid=valid, source_height=SOURCE[0], source_width=SOURCE[1], fps=25.0),
        Layers(**{k: v.finish() for k, v in masks.items()}, valid=valid),
    ), behind  # fmt: skip


def fill(inputs, **params):
    return load(TemporalParams(**params), {})(*inputs)


def psnr(first, second):
    return 10 * np.log10(255**2 / max(np.square(first.astype(float) - second).mean(), 1e-9))


@pytest.mark.parametrize(("pan", "least"), [(0.0, 34.0), (4.0, 28.0)])
def test_the_background_comes_back(pan, least):
    inputs, behind = clip(pan)
    scene = fill(inputs)
    _, _, crop, layers = inputs
    assert scene.quality["static_camera"] == (pan == 0)
    for t in range(1, FRAMES, 4):
        human, origin = layers.human[t], scene.origin[t]
        removed = human & crop.inside[t]
        assert (origin[removed] == 1).mean() > 0.95
        assert psnr(scene.rgb[t][removed], behind[t][removed]) > least


def test_observed_pixels_are_equal_bit_for_bit():
    inputs, _ = clip()
    scene = fill(inputs)
    for t in range(FRAMES):
        kept = scene.origin[t] == 0
        np.testing.assert_array_equal(scene.rgb[t][kept], inputs[2].rgb[t][kept])
        assert not kept[inputs[3].human[t]].any()


def test_what_is_never_seen_is_inpainted():
    inputs, behind = clip(step=0.0)
    scene = fill(inputs)
    human = inputs[3].human[5]
    assert (scene.origin[5][human] == 2).all()
    assert scene.quality["inpainted_share"] > 0 and scene.quality["removed_seen_share"] < 0.5
    assert (scene.rgb[5][human] != (250, 30, 30)).any(-1).mean() > 0.98
    np.testing.assert_array_equal(scene.rgb[5][human], scene.rgb[9][human])  # invented once for all frames


def test_a_ball_before_the_subject_goes_too():
    inputs, behind = clip(ball=True)
    scene = fill(inputs)
    ball = inputs[3].occluder[6]
    assert psnr(scene.rgb[6][ball], behind[6][ball]) > 28


def test_same_inputs_same_scene():
    inputs, _ = clip(pan=4.0)
    first, again = fill(inputs), fill(inputs)
    assert all((first.rgb[t] == again.rgb[t]).all() for t in range(0, FRAMES, 5))
    assert first.quality == again.quality


def test_one_sample_is_enough_to_run():
    inputs, _ = clip()
    scene = fill(inputs, samples=1)
    assert len(scene.rgb) == FRAMES


def test_neighbours_in_time():
    assert _around(5, [0, 4, 8]) == [4, 8] and _around(4, [0, 4, 8]) == [4]
    assert _around(9, [0, 4, 8]) == [8] and _around(0, []) == []
    assert _closeness(5, 4, [0, 4, 8]) == 0.75 and _closeness(5, 8, [0, 4, 8]) == 0.25
    assert _closeness(9, 8, [0, 4, 8]) == 1.0


def test_boxes():
    mask = np.zeros((20, 30), bool)
    assert _box_of(mask, 3) is None
    mask[5, 28] = True
    assert _box_of(mask, 3) == (25, 2, 30, 9)
