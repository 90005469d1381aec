import dataclasses

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.schedule import NoiseSchedule, linear_betas, scaled_linear_betas, zero_terminal_snr

VARIANTS = (
    {},
    {"zero_terminal_snr": False},
    {"zero_terminal_snr": False, "prediction": "epsilon", "spacing": "leading"},
    {
        "zero_terminal_snr": False,
        "prediction": "epsilon",
        "schedule": "linear",
    },
    {"beta_start": 1e-3, "beta_end": 0.01},
)
PUBLISHED = {"linear": (1e-4, 0.02), "scaled_linear": (0.00085, 0.012)}  # DDPM, Stable Diffusion


def test_linear_is_linspace():
    assert torch.equal(linear_betas(1000), torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64))
    assert torch.equal(linear_betas(500), torch.linspace(2e-4, 0.04, 500, dtype=torch.float64))


def test_scaled_linear_is_the_square_of_a_line():
    root = scaled_linear_betas(1000).sqrt()
    assert torch.allclose(root.diff(), root.diff()[0].expand(999))
    assert float(scaled_linear_betas(1000)[0]) == pytest.approx(0.00085)
    assert float(scaled_linear_betas(1000)[-1]) == pytest.approx(0.012)


def test_zero_terminal_snr_keeps_the_first_and_ends_at_zero():
    before = torch.cumprod(1 - scaled_linear_betas(1000), 0)
    after = zero_terminal_snr(before)
    assert float(after[0]) == pytest.approx(float(before[0]))
    assert float(after[-1]) == 0
    assert (after.diff() < 0).all()


@pytest.mark.parametrize("changes", VARIANTS)
def test_agrees_with_diffusers(changes):
    config = dataclasses.replace(MimoConfig(), **changes)
    ours = NoiseSchedule(config)
    theirs = DDIMScheduler(
        num_train_timesteps=config.timesteps,
        beta_start=config.beta_start or PUBLISHED[config.schedule][0],
        beta_end=config.beta_end or PUBLISHED[config.schedule][1],
        beta_schedule=config.schedule,
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
        prediction_type=config.prediction,
        timestep_spacing=config.spacing,
        rescale_betas_zero_snr=config.zero_terminal_snr,
    )
    theirs.set_timesteps(20)
    steps = ours.timesteps(20)
    assert steps == theirs.timesteps.tolist()
    clean, noise = torch.randn(2, 4, 3), torch.randn(2, 4, 3)
    timestep = torch.tensor([10, 700])
    noised = ours.add_noise(clean, noise, timestep)
    assert torch.allclose(noised, theirs.add_noise(clean, noise, timestep), atol=1e-5)
    if config.prediction == "v_prediction":
        assert torch.allclose(
            ours.target(clean, noise, timestep), theirs.get_velocity(clean, noise, timestep), atol=1e-5
        )
    sample = torch.randn(2, 4, 3)
    for here, earlier in zip(steps, [*steps[1:], -1]):
        answer = torch.randn(2, 4, 3)
        theirs_next = theirs.step(answer, here, sample).prev_sample
        sample = ours.step_back(answer, sample, here, earlier)
        assert torch.allclose(sample, theirs_next, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("changes", VARIANTS)
def test_a_right_answer_gives_clean_sample_and_noise_back(changes):
    schedule = NoiseSchedule(dataclasses.replace(MimoConfig(), **changes))
    clean, noise = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)
    timestep = torch.tensor([0, 400, 990])
    noised = schedule.add_noise(clean, noise, timestep)
    found = schedule.clean_and_noise(schedule.target(clean, noise, timestep), noised, timestep)
    assert torch.allclose(found[0], clean, atol=1e-9)
    assert torch.allclose(found[1], noise, atol=1e-9)


def test_trailing_starts_at_pure_noise():
    schedule = NoiseSchedule(MimoConfig())
    assert schedule.timesteps(7)[0] == 999
    assert len(set(schedule.timesteps(1000))) == 1000
    with pytest.raises(ValueError, match="1001"):
        schedule.timesteps(1001)


def test_around_a_prior_is_the_best_guess_of_v():
    schedule = NoiseSchedule(MimoConfig())
    generator = torch.Generator().manual_seed(0)
    mean, spread = torch.full((1, 200_000), 0.7, dtype=torch.float64), torch.tensor([0.3])
    clean = mean + 0.3 * torch.randn(mean.shape, generator=generator, dtype=torch.float64)
    noise = torch.randn(mean.shape, generator=generator, dtype=torch.float64)
    for step in (5, 400, 999):
        timestep = torch.tensor([step])
        noised = schedule.add_noise(clean, noise, timestep)
        seen = schedule.relative(noised, timestep, mean, spread)
        assert abs(float(seen.mean())) < 0.01 and float(seen.std()) == pytest.approx(1, rel=0.02)
        guess = schedule.around(torch.zeros_like(mean), noised, timestep, mean, spread)
        left = schedule.target(clean, noise, timestep) - guess
        unit = schedule.around(torch.ones_like(mean), noised, timestep, mean, spread) - guess
        assert abs(float(left.mean())) < 0.01
        assert float(left.std()) == pytest.approx(float(unit[0, 0]), rel=0.02)
        assert abs(float((left * noised).mean() - left.mean() * noised.mean())) < 0.01, "nothing more is to be had"


def test_a_prior_that_expects_nothing_changes_nothing():
    schedule = NoiseSchedule(MimoConfig())
    answer, noised = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    kept = schedule.around(answer, noised, torch.tensor([3, 700]), torch.zeros(2, 3, 4), torch.ones(2))
    assert torch.allclose(kept, answer, atol=1e-6)
    seen = schedule.relative(noised, torch.tensor([3, 700]), torch.zeros(2, 3, 4), torch.ones(2))
    assert torch.allclose(seen, noised, atol=1e-6)
