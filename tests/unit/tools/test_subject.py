import dataclasses

import numpy as np
import pytest

from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.pictures import reference_picture
from tests import examples
from tools.subject import Subjects, frame_scores, subjects, views
from workflow.errors import ToolError
from workflow.shard_reader import Shard


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    root = tmp_path_factory.mktemp("subjects")
    return Shard(examples.shard(root, split="train", name="s00000", lengths=(6, 4), rejected=(), height=40, width=32))


def test_cropped_as_it_stands(shard):
    clip = shard.clips[0]
    shown = shard.read_window(clip, 2, 1, ("rgb", "human"))
    expected = reference_picture(shown["rgb"][0], shown["human"][0], (32, 32))
    assert (Subjects().picture(shard, clip, 2, (32, 32)) == expected).all()


def test_reposed_once_per_clip(shard):
    asked = []

    def repose(shown, betas, size):
        asked.append((len(shown), size))
        return np.full((size, size, 3), len(asked), np.uint8)

    made = Subjects(repose)
    first, second = shard.clips
    pictures = [made.picture(shard, clip, frame, (16, 16)) for clip in (first, second, first) for frame in (0, 3)]
    assert len(asked) == 2 and asked[0] == (1, 16)
    assert (pictures[0] == pictures[1]).all() and (pictures[0] == pictures[4]).all()
    assert pictures[0].shape == (3, 16, 16) and pictures[0].dtype == np.float32
    assert (pictures[2] != pictures[0]).all()
    made.picture(shard, first, 0, (8, 8))
    assert asked[2] == (1, 8)


def test_scores_are_zero_where_a_frame_is_not_valid(shard):
    clip = shard.clips[0]
    valid = shard.read_window(clip, 0, clip.length, ("valid",))["valid"]
    scores = frame_scores(shard, clip)
    assert (scores[~valid] == 0).all() and (scores[valid] > 0).all() and not valid.all()
    (view,) = views(shard, clip)
    assert view.image.shape == (40, 32, 3) and view.body_pose.shape == (69,)


def test_the_configuration_decides(shard):
    config = MimoConfig(identity="apose")
    picture = subjects(config, examples.body_model()).picture(shard, shard.clips[0], 0, (32, 32))
    assert picture.min() >= -1 and picture.max() == 1 and (picture < 0.9).any()
    with pytest.raises(ToolError, match="no-such.pt is not there"):
        subjects(dataclasses.replace(config, identity="learned", reposer="no-such.pt"), {})
    with pytest.raises(ValueError, match="if and only if"):
        MimoConfig(identity="learned")
