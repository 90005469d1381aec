import dataclasses

import numpy as np
import pytest

from tests import examples
from tools.layers.geometry import load
from workflow.stages.layers import GeometryParams


@pytest.fixture(scope="module")
def clip():
    return examples.clip(7, 128, 128, seed=0)


@pytest.fixture(scope="module")
def layers(clip):
    return load(GeometryParams(), {})(clip["crop"], clip["surface"])


def test_masks_are_disjoint_and_cover_the_frame(layers):
    assert len(layers.human) == 7
    for t in range(7):
        total = layers.human[t].astype(int) + layers.occluder[t] + layers.scene[t]
        assert (total == 1).all()


def test_human_is_the_matte_and_the_matte_is_kept(layers, clip):
    for t in range(7):
        np.testing.assert_array_equal(layers.human[t], clip["crop"].matte[t] >= 128)
        off = layers.occluder[t]
        assert not layers.matte[t][off].any()
        np.testing.assert_array_equal(layers.matte[t][~off], clip["crop"].matte[t][~off])


def test_frames_without_a_body_are_not_valid_and_have_no_occluder(clip):
    surface = dataclasses.replace(clip["surface"], valid=np.arange(7) != 2)
    layers = load(GeometryParams(), {})(clip["crop"], surface)
    assert not layers.valid[2] and not layers.occluder[2].any() and layers.valid[3]
    assert layers.quality["valid_share"] == pytest.approx(6 / 7)


def test_same_inputs_give_the_same_masks(layers, clip):
    again = load(GeometryParams(), {})(clip["crop"], clip["surface"])
    assert all((layers.occluder[t] == again.occluder[t]).all() for t in range(7))
    assert layers.quality == again.quality
