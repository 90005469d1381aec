import pytest
import torch

from model_zoo.diffusion.sampling import guided, sample, windows


@pytest.mark.parametrize(("length", "size"), [(1, 8), (8, 8), (9, 8), (24, 8), (100, 24), (33, 3), (10, 1)])
def test_windows_cover_and_overlap(length, size):
    found = windows(length, size)
    assert sorted({frame for window in found for frame in window}) == list(range(length))
    assert {len(window) for window in found} == {min(length, size)}
    for one, next_one in zip(found, found[1:]):
        if size > 1:
            assert len(set(one) & set(next_one)) >= 1


def test_windows_of_24_overlap_by_4():
    first, second, *_ = windows(100, 24)
    assert len(set(first) & set(second)) == 4


def _noised(model):
    return torch.randn(2, 4, 3, *model.config.latent_size), torch.tensor([700, 700])


def test_guidance_of_one_is_the_conditional_answer(model, scene_inputs):
    conditions = model.conditions(**scene_inputs)
    noised, timestep = _noised(model)
    assert torch.equal(guided(model, noised, timestep, conditions, 1.0), model(noised, timestep, conditions))


def test_guidance_of_zero_is_the_unconditional_answer(model, scene_inputs):
    conditions = model.conditions(**scene_inputs)
    noised, timestep = _noised(model)
    nothing = torch.zeros(2, dtype=torch.bool)
    expected = model(noised, timestep, conditions, keep=nothing)
    assert torch.allclose(guided(model, noised, timestep, conditions, 0.0), expected, atol=1e-6)
    assert not torch.allclose(expected, model(noised, timestep, conditions), atol=1e-3)


def test_sample_is_a_function_of_the_seed(model, scene_inputs):
    conditions = model.conditions(**scene_inputs)

    def drawn(seed):
        return sample(model, conditions, steps=3, guidance=2.0, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.allclose(drawn(0), drawn(1))


def test_a_long_video_of_windows_is_the_short_one_where_frames_do_not_mix(model, scene_inputs):
    # Fresh motion modules are the identity, so how frames are grouped into windows must not matter.
    long = {
        name: values
        if name == "faces" or name == "reference"
        else torch.cat([values, values], 2 if values.ndim == 5 else 1)
        for name, values in scene_inputs.items()
    }
    conditions = model.conditions(**long)
    assert conditions.spatial.shape[2] == 6
    seen = []

    def watched(steps):
        seen.extend(steps)
        return steps

    whole = sample(
        model, conditions, steps=2, guidance=1.0, generator=torch.Generator().manual_seed(3), progress=watched
    )
    assert whole.shape == (2, 4, 6, *model.config.latent_size) and len(seen) == 2
    noise = torch.randn(2, 4, 6, *model.config.latent_size, generator=torch.Generator().manual_seed(3))
    timestep = torch.tensor([seen[0]] * 2)
    first = model(noise[:, :, 4:5], timestep, conditions.frames(torch.tensor([4])))
    from model_zoo.diffusion.schedule import NoiseSchedule

    schedule = NoiseSchedule(model.config)
    middle = schedule.step_back(first, noise[:, :, 4:5], seen[0], seen[1])
    second = model(middle, torch.tensor([seen[1]] * 2), conditions.frames(torch.tensor([4])))
    expected = schedule.step_back(second, middle, seen[1], -1)
    assert torch.allclose(whole[:, :, 4:5], expected, atol=1e-3)
