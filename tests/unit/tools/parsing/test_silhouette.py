import dataclasses

import numpy as np
import pytest

pytest.importorskip("mediapipe", reason="mediapipe is not in this environment", exc_type=ImportError)

from model_zoo.body.smpl import SmplModel
from tests import examples
from tools.parsing.appearance import patches_of
from tools.parsing.garments import dressed
from tools.parsing.silhouette import Wardrobe, _Clip, spread
from workflow.conventions import PARSING_LABELS
from workflow.errors import Rejected
from workflow.stages.parsing import SilhouetteParams

SIZE = (160, 128)


@pytest.fixture(scope="module")
def wardrobe():
    model = SmplModel.from_arrays(examples.body_model())
    part = model.weights.argmax(1)
    labels = np.where(part == 15, PARSING_LABELS.index("face"), PARSING_LABELS.index("upper-clothes")).astype(np.uint8)
    return Wardrobe(model, labels, patches_of(model.v_template))


@pytest.fixture(scope="module")
def clip():
    made = examples.clip(4, *SIZE, seed=3)
    made["keypoints"] = dataclasses.replace(
        made["keypoints"], valid=np.ones(4, bool), confidence=np.zeros((4, 133), np.float32),
        box=np.array([[20, 10, 110, 150]] * 4, np.float32),
    )  # fmt: skip
    return made


def by_colour(patch):
    """In place of the network: the doll is drawn with much red and little green."""
    red, green = patch[..., 0].astype(int), patch[..., 1].astype(int)
    return (red - green > 15).astype(np.float32)


def parse(clip, wardrobe, segmenter=by_colour, **changed):
    parts = {**clip, **changed}
    return _Clip(SilhouetteParams(), segmenter, wardrobe, parts["frames"], parts["keypoints"], parts["body"]).parse()


def whole(clip):
    """A segmenter that marks everything."""
    return lambda patch: np.ones(patch.shape[:2], np.float32)


def test_matte_and_labels_agree(clip, wardrobe):
    parsing = parse(clip, wardrobe, whole(clip))
    assert parsing.matte.shape == (4, *SIZE) and parsing.valid.all()
    for t in range(4):
        matte, labels = parsing.matte[t], parsing.labels[t]
        assert ((labels > 0) == (matte >= 128)).mean() > 0.999
        assert set(np.unique(labels)) <= {0, 5, 13} and 5 in labels


def test_matte_stays_near_the_body(clip, wardrobe):
    matte = parse(clip, wardrobe, whole(clip)).matte[1]
    truth = clip["parsing"].matte[1] >= 128
    rows, columns = np.nonzero(truth)
    far = np.ones(SIZE, bool)
    far[max(rows.min() - 40, 0) : rows.max() + 40, max(columns.min() - 40, 0) : columns.max() + 40] = False
    assert not matte[far].any()


def test_invalid_frames_are_empty(clip, wardrobe):
    body = dataclasses.replace(clip["body"], valid=np.array([True, False, True, True]))
    parsing = parse(clip, wardrobe, whole(clip), body=body)
    assert not parsing.valid[1] and not parsing.matte[1].any() and not parsing.labels[1].any() and parsing.valid[2]


def test_nobody_is_rejected(clip, wardrobe):
    with pytest.raises(Rejected, match="no person"):
        parse(clip, wardrobe, lambda patch: np.zeros(patch.shape[:2], np.float32))


def test_same_inputs_same_result(clip, wardrobe):
    first, again = parse(clip, wardrobe), parse(clip, wardrobe)
    assert all((first.matte[t] == again.matte[t]).all() for t in range(4)) and first.quality == again.quality
    assert 0 < first.quality["matte_share"] < 1


def test_spread_takes_the_nearest_value():
    values, known = np.zeros((3, 9), np.int64), np.zeros((3, 9), bool)
    values[1, 1], values[1, 7], known[1, 1], known[1, 7] = 4, 7, True, True
    filled = spread(values, known)
    assert filled[0, 2] == 4 and filled[2, 6] == 7
    np.testing.assert_array_equal(spread(values, np.zeros_like(known)), values)


def test_short_trousers_are_seen_by_their_colour():
    from model_zoo.body.parts import schp_labels
    from tests import bodies

    model = bodies.free_body()
    labels = schp_labels(model)
    patches = patches_of(model.v_template)
    skin, cloth = np.array([50.0, 18, 20]), np.array([20.0, 0, -20])
    knee = model.joints_template[[4, 5], 1].mean()
    bare = np.isin(labels, [13, 14, 15]) | ((labels == 9) & (model.v_template[:, 1] < knee))
    colour = np.zeros((patches.max() + 1, 3))
    for patch in range(len(colour)):
        colour[patch] = skin if bare[patches == patch].mean() > 0.5 else cloth
    known = np.ones(len(colour), bool)
    found = dressed(model, labels, patches, colour, known)
    shin = (labels == 9) & (model.v_template[:, 1] < knee - 0.1)
    assert np.isin(found[shin], [16, 17]).mean() > 0.9
    thigh = (labels == 9) & (model.v_template[:, 1] > knee + 0.12)
    assert (found[thigh] == 9).mean() > 0.9
    long = np.where(bare[:, None] & (labels != 9)[:, None], skin, cloth)
    sums = np.stack([np.bincount(patches, long[:, c]) for c in range(3)], 1) / np.bincount(patches)[:, None]
    kept = dressed(model, labels, patches, sums, known)
    assert (kept[labels == 9] == 9).mean() > 0.9
