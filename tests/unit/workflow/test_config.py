"""Configuration faults are all reported at once, with where, what and what to do."""

import datetime
import math

import pytest

from workflow.config import parse
from workflow.errors import ConfigError


def faults(raw):
    with pytest.raises(ConfigError) as caught:
        parse(raw)
    return str(caught.value)


def test_only_videos_is_required():
    config = parse({"videos": "footage"})
    assert config.choices["crop"].params.height == 512
    assert config.catalog_settings()["videos"] == ["footage"]


def test_short_keys_reach_their_stage():
    config = parse({"videos": ["a"], "height": 256, "width": 128, "fps": 12, "max_side": 720})
    assert (config.choices["crop"].params.height, config.choices["crop"].params.width) == (256, 128)
    assert (config.choices["frames"].params.fps, config.choices["frames"].params.max_side) == (12, 720)


def test_everything_wrong_is_said_at_once():
    message = faults(
        {
            "video": ["a"],
            "max_clip_frames": "many",
            "fps": "fast",
            "min_clip_frames": 0,
            "splits": {"train": 0.5, "val": 0.1, "test": 0.1, "dev": 0.3},
            "stages": {
                "depth": {},
                "keypoints": {"backend": "openpose"},
                "crop": {"params": {"hight": 3, "height": 100}},
                "body": {"params": {"iterations": "x", "smooth": -1.0}, "extra": 1},
                "train": {"params": {"recipe": "huge"}},
            },
        }
    )
    for part in (
        "videos: missing",
        "video: unknown key",
        "max_clip_frames: input should be a valid integer (found 'many')",
        "fps: input should be a valid number (found 'fast')",
        "min_clip_frames: is 0, expected at least 1",
        "splits.dev: unknown key; one of test, train, val",
        "splits: shares are (0.5, 0.1, 0.1)",
        "stages.depth: unknown stage; one of body_model, frames",
        "stages.keypoints.backend: unknown backend 'openpose'; one of mediapipe",
        "stages.crop.params.hight: unknown key; one of",
        "stages.crop.params.height: is 100, expected a multiple of 8",
        "stages.body.params.iterations: input should be a valid integer (found 'x')",
        "stages.body.params.smooth: is -1.0, expected at least 0",
        "stages.body.extra: unknown key",
        "stages.train.params.recipe: is 'huge', expected one of tiny",
    ):
        assert part in message
    assert len(message.splitlines()) == 1 + 15


def test_a_key_given_twice_is_a_fault():
    assert "keep one of them" in faults(
        {"videos": ["a"], "height": 256, "stages": {"crop": {"params": {"height": 512}}}}
    )


def test_empty_videos_is_a_fault():
    assert "videos: is empty" in faults({"videos": []})
    assert "videos: holds an empty name" in faults({"videos": ["a", " "]})


def test_videos_of_a_wrong_type_are_one_fault():
    assert faults({"videos": 3}) == (
        "config.yaml:\n  videos: input should be a valid string or input should be a valid array (found 3)"
    )


def test_a_folder_that_yaml_takes_for_a_date_is_a_folder():
    assert parse({"videos": [datetime.date(2024, 5, 1)]}).catalog_settings()["videos"] == ["2024-05-01"]


def test_shares_that_are_no_number_are_a_fault():
    assert "splits: shares are (nan, 0.05, 0.05)" in faults({"videos": ["a"], "splits": {"train": math.nan}})


def test_latents_of_another_recipe_are_a_fault():
    stages = {"train": {"params": {"recipe": "small", "latents": True, "augment": False}}}
    assert "stages.latents.params.recipe: is ''" in faults({"videos": ["a"], "stages": stages})
    parse({"videos": ["a"], "stages": {**stages, "latents": {"params": {"recipe": "small"}}}})


def test_an_impossible_combination_is_a_fault():
    assert "min_clip_frames: is 50, expected at most max_clip_frames (20)" in faults(
        {"videos": ["a"], "min_clip_frames": 50, "max_clip_frames": 20}
    )


def test_rendered_clips_are_checked_too():
    message = faults({"videos": [], "synthetic": {"clips": 3, "hight": 8, "occluded": 2.0, "width": 101}})
    for part in (
        "synthetic.hight: unknown key",
        "synthetic.occluded: is 2.0",
        "synthetic.width: is 101, expected an even",
    ):
        assert part in message
    assert parse({"videos": [], "synthetic": {"clips": 3}}).settings.synthetic.seconds == 2.0
    assert "videos: is empty" in faults({"videos": []})


def test_the_accuracy_stage_judges_what_is_configured():
    import json

    config = parse({"videos": ["a"], "stages": {"scene": {"params": {"samples": 5}}}})
    chain = json.loads(config.choices["accuracy"].params.chain)
    assert chain["scene"]["params"]["samples"] == 5 and chain["keypoints"]["backend"] == "mediapipe"


def test_truth_must_fit_what_the_stages_make_of_rendered_clips():
    config = parse({"videos": ["a"], "annotations": "truth", "synthetic": {"clips": 2, "fps": 12.0}, "fps": 12.0})
    assert config.settings.synthetic.everything, "the scene's truth needs it"
    assert not parse({"videos": ["a"], "synthetic": {"clips": 2}}).settings.synthetic.everything
    message = faults(
        {
            "videos": ["a"],
            "annotations": "truth",
            "synthetic": {"clips": 2},
            "fps": 12.0,
            "max_side": 500,
            "stages": {"body_model": {"backend": "smpl"}},
        }
    )
    for part in ("but fps is 12; set synthetic.fps to 12", "but max_side is 500", "backend is 'smpl'; use anny"):
        assert part in message
    assert "annotations: is 'exact', expected one of estimated, truth" in faults(
        {"videos": ["a"], "annotations": "exact"}
    )
