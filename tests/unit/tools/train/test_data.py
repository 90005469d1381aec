import dataclasses
import json

import numpy as np
import pytest

from model_zoo.diffusion.augment import NONE, Amounts
from tests import examples
from tools import recipes
from tools.train import diffusion
from tools.train.data import Windows, batches, usable_starts, within
from workflow.errors import ToolError
from workflow.stages.train import TrainParams


def _mask(text):
    return np.array([letter == "#" for letter in text])


def test_usable_starts():
    assert usable_starts(_mask("######"), 4, 1.0).tolist() == [0, 1, 2]
    assert usable_starts(_mask("##..##"), 4, 0.75).tolist() == []
    assert usable_starts(_mask("###.##"), 4, 0.75).tolist() == [0, 1, 2]
    assert usable_starts(_mask("##"), 4, 1.0).tolist() == [0], "a short clip is one window"
    assert usable_starts(_mask("....."), 4, 0.0).tolist() == [], "at least one frame must be valid"
    assert usable_starts(_mask(""), 4, 0.5).tolist() == []


def test_only_the_split_is_taken(dataset, tiny_run, windows):
    assert len(windows.sources) == 3 and windows.size == (48, 40)
    assert len(windows) == 6 + 4 + 1
    held_out = Windows(dataset["shards"], "val", 4, 0.5)
    assert len(held_out.sources) == 1 and held_out.digest != windows.digest


def test_no_usable_clip_says_what_to_do(dataset, tmp_path):
    with pytest.raises(ToolError, match="no clip of split 'test'"):
        Windows(dataset["shards"], "test", 4, 0.5)
    empty = examples.shard(tmp_path, lengths=(), rejected=("body",), height=16, width=16)
    with pytest.raises(ToolError, match="add videos"):
        Windows([empty], "train", 4, 0.5)


def test_draws_are_a_function_of_digest_seed_step_and_index(dataset, windows):
    again = Windows(list(reversed(dataset["shards"])), "train", 4, 0.5)
    picks = [windows.draw(3, step, index) for step in range(50) for index in range(2)]
    assert picks == [again.draw(3, step, index) for step in range(50) for index in range(2)]
    assert picks != [windows.draw(4, step, index) for step in range(50) for index in range(2)]
    assert {pick.number for pick in picks} == {0, 1, 2}
    for pick in picks:
        source = windows.sources[pick.number]
        assert pick.start in source.starts and pick.reference in source.valid


def test_clips_are_drawn_by_their_number_of_windows(windows):
    counts = np.bincount([windows.draw(0, step, 0).number for step in range(2200)], minlength=3)
    by_length = np.array([len(source.starts) for source in windows.sources])
    assert np.abs(counts / 2200 - by_length / by_length.sum()).max() < 0.04


def test_other_data_make_another_digest(windows, tmp_path):
    other = examples.shard(tmp_path, lengths=(9, 7, 3), rejected=(), height=48, width=40, seed=30)
    assert Windows([other], "train", 4, 0.5).digest != windows.digest


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_do_not_depend_on_the_number_of_threads(windows, tiny_run, workers):
    found = list(batches(windows, tiny_run.model, seed=1, steps=range(2, 9), batch=2, workers=workers))
    assert len(found) == 7
    for step, samples in zip(range(2, 9), found):
        for index, sample in enumerate(samples):
            expected = windows.load(windows.draw(1, step, index), tiny_run.model)
            for one, other in zip(sample, expected):
                assert np.array_equal(one, other)


def test_the_consumer_may_stop_early(windows, tiny_run):
    stream = batches(windows, tiny_run.model, seed=1, steps=range(1000), batch=2, workers=2)
    next(stream)
    stream.close()


def test_a_short_clip_is_padded(windows, tiny_run):
    number = next(i for i, source in enumerate(windows.sources) if source.clip.length == 3)
    pick = next(p for p in (windows.draw(0, step, 0) for step in range(200)) if p.number == number)
    assert windows.load(pick, tiny_run.model).valid.tolist()[3] is False


def test_shares_by_source(dataset):
    ids = [source.clip.id for source in Windows(dataset["shards"], "train", 4, 0.5).sources]
    kinds = {ids[0]: "real", ids[1]: "synthetic", ids[2]: "synthetic"}

    def made(shares):
        return Windows(dataset["shards"], "train", 4, 0.5, shares=shares, kinds=kinds)

    drawn = [made({"real": 0.2, "synthetic": 0.8}).draw(0, step, 0).number for step in range(1000)]
    assert abs(drawn.count(0) / 1000 - 0.2) < 0.05
    assert {made({"real": 1.0, "synthetic": 0.0}).draw(0, step, 0).number for step in range(50)} == {0}
    with pytest.raises(ToolError, match="say nothing of source synthetic"):
        made({"real": 1.0})
    with pytest.raises(ToolError, match="leave no clip"):
        made({"real": 0.0, "synthetic": 0.0})


def test_limits_of_quality_figures_of_the_index(dataset, tiny_run):
    assert within({"a.x": 1.0}, {}) and within({"a.x": 1.0}, {"a.x": (1, 2)})
    assert not within({"a.x": 0.9}, {"a.x": (1, 2)}) and not within({"a.x": None}, {"a.x": (0, 2)})
    index = examples.index(dataset["root"])
    clip = Windows(dataset["shards"], "train", 4, 0.5).sources[1].clip
    value = clip.quality["frames.sharpness"]

    def made(**limits):
        config = dataclasses.replace(
            tiny_run, limits={name.replace("_", ".", 1): known for name, known in limits.items()}
        )
        return diffusion.dataset(config, dataset["shards"], index)

    assert [source.clip.id for source in made(frames_sharpness=(value, value)).sources] == [clip.id]
    with pytest.raises(ToolError, match="no clip of split 'train'.*keeps the limits"):
        made(frames_sharpness=(value + 1e9, value + 2e9))
    with pytest.raises(ToolError, match=r"limits name frames.beauty, the index has .*frames.sharpness"):
        made(frames_beauty=(0, 1))


def test_shares_and_limits_are_settings(dataset, recipe, tiny_run):
    index = examples.index(dataset["root"])
    params = TrainParams(shares={"synthetic": 1.0}, limits={"frames.sharpness": (0, 1e9)}, steps=7, augment=False)
    assert params.faults() == []
    config = diffusion.resolved("tiny", dataset["shards"], index, **diffusion.changes(params))
    assert (config.shares, config.limits, config.steps) == (params.shares, params.limits, 7)
    assert config.save_every == tiny_run.save_every, "null takes the recipe's"
    saved = json.loads(json.dumps(recipes.as_json(config)))
    assert recipes.of_json(saved) == config
    assert recipes.of_json({key: saved[key] for key in saved if key != "learning"}) == config
    with pytest.raises(ToolError, match="written by another version: .*'colours'"):
        recipes.of_json({**saved, "colours": 1})
    with pytest.raises(ToolError, match="leave no clip"):
        diffusion.resolved("tiny", dataset["shards"], index, shares={"real": 1.0, "synthetic": 0.0})
    wrong = TrainParams(shares={"real": -1.0, "drawn": 1.0}, limits={"a.x": (2, 1)})
    assert len(wrong.faults()) == 3


def test_explain_names_clips_and_frames(windows):
    lines = windows.explain(0, 7, 2)
    picks = [windows.draw(0, 7, index) for index in range(2)]
    assert len(lines) == 2
    for line, pick in zip(lines, picks):
        assert windows.sources[pick.number].clip.id in line and f"frames {pick.start} to" in line
        assert f"identity from frame {pick.reference}" in line
    assert not any("identity" in line for line in windows.explain(0, 7, 2, cropped=False))  # re-posed, it is no frame's


@pytest.fixture(scope="module")
def mixed(dataset, tmp_path_factory):
    """Clips of two aspects."""
    wide = examples.shard(
        tmp_path_factory.mktemp("wide"), name="s00002", lengths=(8, 6), rejected=(), height=32, width=64, seed=20
    )
    return [*dataset["shards"], wide]


def test_a_batch_has_one_aspect_and_nothing_is_cut(mixed, tiny_run):
    both = Windows(mixed, "train", 4, 0.5, pixels=32 * 32)
    sizes = set()
    for step in range(40):
        picks = [both.draw(1, step, index) for index in range(3)]
        (aspect,) = {both.sources[pick.number].shard.height / both.sources[pick.number].shard.width for pick in picks}
        sizes.add(aspect)
    assert sizes == {48 / 40, 32 / 64}
    number = next(i for i, source in enumerate(both.sources) if source.shard.width == 64)
    config = both.sized(number, tiny_run.model)
    assert (config.height, config.width) == (24, 48), "32 x 32 pixels in the clip's aspect"
    sample = both.load(next(p for p in (both.draw(0, s, 0) for s in range(99)) if p.number == number), tiny_run.model)
    assert sample.video.shape == (3, 4, 24, 48) and sample.reference.shape == (3, 24, 24)
    assert both.sized(0, tiny_run.model) is tiny_run.model


def test_aspects_are_drawn_by_their_windows(mixed):
    both = Windows(mixed, "train", 4, 0.5)
    wide = [both.sources[both.draw(0, step, 0).number].shard.width == 64 for step in range(1500)]
    assert np.mean(wide) == pytest.approx((5 + 3) / (11 + 5 + 3), abs=0.04)


def test_one_aspect_draws_as_if_there_were_no_buckets(windows):
    counts = np.array([len(source.starts) for source in windows.sources], float)
    for step in range(20):
        words = [int(windows.digest[i : i + 8], 16) for i in range(0, 32, 8)]
        share = np.random.default_rng([*words, 5, step, 1]).random()
        expected = int(np.searchsorted(np.cumsum(counts / counts.sum()), share, side="right"))
        assert windows.draw(5, step, 1).number == expected


def test_changes_are_drawn_beside_the_windows(dataset, windows, tiny_run):
    amounts = Amounts(flip=0.5, zoom=1.3, colour=0.1)
    changed = Windows(dataset["shards"], "train", 4, 0.5, amounts=amounts)
    plain = [windows.draw(0, step, 0) for step in range(30)]
    picks = [changed.draw(0, step, 0) for step in range(30)]
    assert [dataclasses.replace(pick, change=NONE) for pick in picks] == plain
    assert {pick.change.flip for pick in picks} == {True, False}
    both = {(pick.number, pick.change.flip) for pick in (changed.draw(0, step, 0) for step in range(200))}
    assert len(both) == 6, "which clip it is does not decide how it is changed"
    pick = next(pick for pick in picks if pick.change.flip)
    one, other = changed.load(pick, tiny_run.model), windows.load(pick, tiny_run.model)
    assert np.array_equal(one.video, other.video), "the change travels with the pick"
    untouched = windows.load(dataclasses.replace(pick, change=NONE), tiny_run.model)
    assert not np.array_equal(one.video, untouched.video) and not np.array_equal(one.intrinsics, untouched.intrinsics)
    assert "enlarged" in changed.explain(0, 0, 1)[0] and "enlarged" not in windows.explain(0, 0, 1)[0]


def test_samples_do_not_share_the_buffers_they_are_read_into(windows, tiny_run):
    picks = [windows.draw(0, step, 0) for step in range(6)]
    first = [windows.load(pick, tiny_run.model) for pick in picks]
    for pick, sample in zip(picks, first):
        for one, other in zip(sample, windows.load(pick, tiny_run.model)):
            assert np.array_equal(one, other)
