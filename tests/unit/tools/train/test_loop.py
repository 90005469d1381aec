import os
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from tools.recipes import TrainConfig
from tools.train.loop import AUTOENCODER, COLUMNS, DENOISER, learning_rate

GOLDEN = Path(__file__).with_name("curve.csv")  # STRATA_WRITE_GOLDENS=1 writes it anew


def _same(one, other):
    assert np.array_equal(one.curve, other.curve, equal_nan=True)
    first, second = one.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert one.averaged.keys() == other.averaged.keys()
    assert all(torch.equal(one.averaged[name], other.averaged[name]) for name in one.averaged)


def test_ten_steps_are_five_and_five_bit_for_bit(go):
    whole = go(10, folder="whole")
    go(5, folder="parts")
    _same(go(10, folder="parts"), whole)


def test_steps_equal_a_stored_curve(go):
    """What is computed does not change unnoticed; processors differ in the last digits, and steps multiply that."""
    curve = go(6).curve
    if os.environ.get("STRATA_WRITE_GOLDENS"):
        np.savetxt(GOLDEN, curve, "%.6g", ",", header=",".join(COLUMNS))
    np.testing.assert_allclose(curve, np.loadtxt(GOLDEN, delimiter=","), rtol=2e-3)


@pytest.mark.parametrize("first", [2, 4])
def test_states_between_and_at_the_change_of_phase(go, tiny_run, tmp_path, first):
    whole = go(3, folder="whole")
    go(3, folder="parts", save_every=1)
    folder = next((tmp_path / "parts").iterdir())
    kept = sorted(folder.glob("step-*.safetensors"))
    assert [path.stem for path in kept] == ["step-00000006", "step-00000007"], "the newest two are kept"
    # A run that was killed after `first` steps of all has that state as its newest.
    for path in kept:
        path.unlink()
    stopped = go(first - tiny_run.autoencoder_steps, folder="parts", save_every=1)
    assert len(stopped.curve) == first
    _same(go(3, folder="parts"), whole)


def test_number_of_reading_threads_changes_nothing(go):
    _same(go(3, folder="one", workers=1), go(3, folder="four", workers=4))


def test_a_finished_run_is_not_trained_again(go):
    whole = go(2)
    again = go(2)
    _same(again, whole)


def test_another_seed_is_another_run(go):
    assert not np.array_equal(go(2, folder="a").curve[:, 2], go(2, folder="b", seed=1).curve[:, 2])


def test_curve_and_frozen_autoencoder(go, tiny_run):
    short, outcome = go(1, folder="a"), go(4, folder="b")
    assert outcome.curve.shape == (8, len(COLUMNS))
    assert outcome.curve[:, 0].tolist() == list(range(1, 9))
    assert (outcome.curve[:, 1] == DENOISER).tolist() == [False] * 4 + [True] * 4
    assert np.isfinite(outcome.curve[4:, 2:4]).all() and np.isnan(outcome.curve[:4, 3:6]).all()
    for name, tensor in outcome.model.latents.state_dict().items():
        assert torch.equal(tensor, short.model.latents.state_dict()[name]), name
    assert not torch.equal(outcome.model.motion.codes, short.model.motion.codes)
    assert outcome.model.latents.scale.min() > 0 and not (outcome.model.latents.scale == 1).all()


def test_accumulation_gives_the_same_losses(go):
    one, two = go(2, folder="one", drop=0.0), go(2, folder="two", drop=0.0, accumulate=2)
    assert np.allclose(one.curve[4, 2], two.curve[4, 2], rtol=1e-3)


@pytest.fixture
def _another_precision():
    """Accelerate keeps the first precision of a process."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


def test_bfloat16_steps_stay_near_those_of_full_precision(go, _another_precision):
    half = go(4, folder="half", precision="bfloat16").curve
    AcceleratorState._reset_state(True)
    full = go(4, folder="full").curve
    assert np.allclose(full[4:, 2], half[4:, 2], rtol=0.02) and not np.array_equal(full[4:, 2], half[4:, 2])


def test_overfits_one_batch(go, windows, monkeypatch):
    pick = windows.draw(0, 0, 0)
    monkeypatch.setattr(type(windows), "draw", lambda *_: pick)
    curve = go(40, autoencoder_steps=1, learning_rate=3e-3, drop=0.0).curve
    denoiser = curve[curve[:, 1] == DENOISER]
    assert denoiser[-10:, 2].mean() < 0.75 * denoiser[:5, 2].mean()


def test_the_rate_rises_and_falls_by_the_step_alone():
    config = TrainConfig(learning_rate=1.0, autoencoder_rate=2.0, warmup=4, rate_half=100)
    assert [learning_rate(config, AUTOENCODER, since) for since in (0, 3, 1000)] == [0.5, 2.0, 2.0]
    assert learning_rate(config, DENOISER, 1) == 0.5 / 1.01
    assert learning_rate(config, DENOISER, 100) == 0.5 and learning_rate(config, DENOISER, 300) == 0.25
    assert learning_rate(TrainConfig(learning_rate=1.0, warmup=4), DENOISER, 300) == 1.0
