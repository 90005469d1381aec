import json

import pytest

from model_zoo.diffusion.config import MimoConfig, from_json, to_json


def test_round_trip_through_json(small_config):
    assert from_json(json.loads(json.dumps(to_json(small_config)))) == small_config


def test_unknown_key_is_refused():
    with pytest.raises(TypeError, match="colour"):
        from_json({"colour": 3})


def test_every_fault_is_told_at_once():
    with pytest.raises(ValueError) as caught:
        MimoConfig(height=60, prediction="x", vae_groups=5, motion_scale=3, frames=40, schedule="cosine")
    message = str(caught.value)
    for word in ("height is 60", "prediction is 'x'", "vae_groups 5", "motion_scale is 3", "frames is 40", "cosine"):
        assert word in message


def test_zero_terminal_snr_needs_v_prediction():
    with pytest.raises(ValueError, match="pure noise"):
        MimoConfig(prediction="epsilon")


def test_sizes():
    config = MimoConfig(height=64, width=96)
    assert config.vae_factor == 4
    assert config.latent_size == (16, 24)
    assert config.motion_size == (32, 48)
    assert config.reference_size == (64, 64)
