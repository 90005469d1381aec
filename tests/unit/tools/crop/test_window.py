import dataclasses

import numpy as np
import pytest

from tests import examples
from tools.crop.window import cut, load
from workflow.errors import Rejected
from workflow.stages.crop import WindowParams
from workflow.stages.frames import Frames
from workflow.stages.parsing import Parsing


@pytest.fixture(scope="module")
def clip():
    return examples.clip(8, 120, 100, seed=1)


@pytest.fixture(scope="module")
def inputs(clip):
    return clip["frames"], clip["keypoints"], clip["body"], clip["parsing"]


@pytest.fixture(scope="module")
def crop(inputs):
    return cut(WindowParams(height=96, width=64), *inputs)


def test_size_and_transforms(crop, inputs):
    assert crop.rgb.shape == (8, 96, 64, 3)
    assert (crop.source_height, crop.source_width) == inputs[0].rgb.frame_shape[:2]
    scales = crop.crop_from_source[:, [0, 1], [0, 1]]
    np.testing.assert_allclose(scales, scales[0, 0])  # one zoom for the clip
    assert np.allclose(crop.crop_from_source[:, 2], [0, 0, 1])


def test_projection_in_the_crop_is_the_transformed_projection(crop, inputs):
    joints, intrinsics = inputs[2].joints[3].astype(float), inputs[2].intrinsics.astype(float)
    source = joints @ intrinsics.T
    source /= source[:, 2:]
    here = joints @ crop.intrinsics[3].astype(float).T
    here /= here[:, 2:]
    np.testing.assert_allclose(here, source @ crop.crop_from_source[3].T, atol=1e-3)
    source_points = np.c_[inputs[1].xy[3], np.ones(133)]
    np.testing.assert_allclose(crop.keypoints[3], (source_points @ crop.crop_from_source[3].T)[:, :2], atol=1e-3)


def test_crop_pixels_trace_back_to_the_source(crop, inputs):
    matte, source = crop.matte[2] >= 128, inputs[3].matte[2] >= 128
    rows, columns = np.nonzero(matte)
    back = np.c_[columns, rows, np.ones(len(rows))] @ np.linalg.inv(crop.crop_from_source[2]).T
    x, y = np.rint(back[:, :2]).astype(int).T
    x, y = x.clip(0, source.shape[1] - 1), y.clip(0, source.shape[0] - 1)
    assert source[y, x].mean() > 0.9


def test_the_whole_subject_is_in_the_window(crop, inputs):
    zoom = crop.crop_from_source[0, 0, 0]
    for t in range(8):
        assert (crop.matte[t] >= 128).sum() == pytest.approx((inputs[3].matte[t] >= 128).sum() * zoom**2, rel=0.15)


def test_outside_the_source_is_black_and_flagged(inputs):
    crop = cut(WindowParams(height=64, width=96), *inputs)
    outside = ~crop.inside[0]
    assert outside.any() and not crop.rgb[0][outside].any() and not crop.matte[0][outside].any()
    assert crop.quality["inside_share"] < 1


def test_labels_only_where_the_matte_is(crop):
    assert not crop.labels[1][crop.matte[1] < 128].any()


def test_a_frame_without_subject_is_kept_and_not_valid(inputs):
    frames, keypoints, body, parsing = inputs
    unseen = dataclasses.replace(parsing, valid=np.arange(8) != 4)
    crop = cut(WindowParams(height=64, width=64), frames, keypoints, body, unseen)
    assert not crop.valid[4] and crop.valid[5] and crop.rgb[4].any() and not crop.matte[4].any()


def test_nobody_at_all_is_rejected(inputs):
    frames, keypoints, body, parsing = inputs
    nobody = dataclasses.replace(keypoints, valid=np.zeros(8, bool))
    with pytest.raises(Rejected, match="no frame"):
        load(WindowParams(), {})(frames, nobody, body, dataclasses.replace(parsing, valid=np.zeros(8, bool)))


def test_window_follows_a_subject_that_crosses_the_picture(inputs):
    _, keypoints, body, _ = inputs
    rgb, matte, labels = Frames.spool("rgb"), Parsing.spool("matte"), Parsing.spool("labels")
    for t in range(8):
        mask = np.zeros((80, 400), np.uint8)
        mask[20:60, 20 + 45 * t : 40 + 45 * t] = 255
        rgb.append(np.repeat(mask[..., None], 3, 2))
        matte.append(mask)
        labels.append((mask > 0).astype(np.uint8))
    frames = Frames(rgb=rgb.finish(), timestamps=np.arange(8) / 25, fps=25.0)
    parsing = Parsing(matte=matte.finish(), labels=labels.finish(), valid=np.ones(8, bool))
    quiet = dataclasses.replace(
        keypoints, valid=np.ones(8, bool), confidence=np.zeros((8, 133), np.float32),
        box=np.array([[20 + 45 * t, 20, 40 + 45 * t, 60] for t in range(8)], np.float32),
    )  # fmt: skip
    crop = cut(WindowParams(height=64, width=64, smooth_s=0.1), frames, quiet, body, parsing)
    assert all((crop.matte[t] >= 128).any() for t in range(8))
    shift = -np.diff(crop.crop_from_source[:, 0, 2])
    assert (shift[1:-1] > 0).all()
