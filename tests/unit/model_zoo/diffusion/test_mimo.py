import dataclasses

import pytest
import torch

from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.identity import CanonicalIdentityEncoder
from model_zoo.diffusion.latents import SceneOcclusionEncoder, build
from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.motion import StructuredMotionEncoder
from model_zoo.diffusion.reference import ReferenceNet


def _awake(model):
    """A model whose layers that start at zero no longer do."""
    for name, parameter in model.named_parameters():
        if "motion" in name and not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def _answer(model, inputs, keep=None):
    shape = (2, 4, model.config.frames, *model.config.latent_size)
    noised = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    return model(noised, torch.tensor([10, 600]), model.conditions(**inputs), keep)


@pytest.mark.parametrize("kind", ["kl", "patch"])
def test_latents_shape_shift_and_scale(small_config, kind):
    latents = build(dataclasses.replace(small_config, autoencoder=kind))
    video = torch.rand(2, 3, 3, 32, 48) * 2 - 1
    pictures = video.transpose(1, 2).flatten(0, 1)
    latents.prepare(pictures)
    latents.settle(pictures)
    with torch.no_grad():
        measured = latents.encode(video)
        assert measured.shape == (2, 4, 3, 16, 24)
        assert torch.allclose(measured.mean((0, 2, 3, 4)), torch.zeros(4), atol=1e-4)
        assert torch.allclose(measured.std((0, 2, 3, 4)), torch.ones(4), atol=1e-3)
        decoded = latents.decode(measured)
        assert decoded.shape == video.shape
        plain = latents.raw_pictures(latents.raw_latents(video[:, :, 0])).clamp(-1, 1)
        assert torch.allclose(decoded[:, :, 0], plain, atol=1e-4)
        assert torch.allclose(latents.encode(video[:, :, 1:2]), measured[:, :, 1:2], atol=1e-5)


@pytest.mark.parametrize("kind", ["kl", "patch"])
def test_objective_teaches_the_autoencoder(small_config, kind):
    latents = build(dataclasses.replace(small_config, autoencoder=kind))
    pictures = torch.rand(4, 3, 8, 12).repeat_interleave(4, 2).repeat_interleave(4, 3) * 2 - 1
    latents.prepare(pictures)
    optimizer = torch.optim.Adam(latents.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = latents.objective(pictures, torch.Generator().manual_seed(0))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0] or losses[0] < 0.01


def test_patch_code_holds_every_colour_and_the_strongest_detail(small_config):
    latents = build(small_config)
    detail = torch.zeros(12)
    detail[[0, 1, 2, 3]] = torch.tensor([1.0, -1.0, 1.0, -1.0]) / 2  # red, left against right
    patches = torch.randn(2, 16 * 24, 1) * detail * 0.2
    patches = patches + 0.2 * torch.randn(2, 16 * 24, 3).repeat_interleave(4, 2) * torch.tensor(
        [1, 0.1, 0.5]
    ).repeat_interleave(4)
    pictures = torch.nn.functional.fold(patches.transpose(1, 2), (32, 48), 2, stride=2)
    latents.prepare(pictures)
    components = latents.components.flatten(1)
    assert torch.allclose(components @ components.T, torch.eye(4), atol=1e-4)
    assert float(components[3] @ detail) == pytest.approx(1, abs=1e-3)
    other = torch.tensor([0.3, -0.6, 0.1])[:, None, None].expand(1, 3, 32, 48)  # a colour that was not seen
    with torch.no_grad():
        for kept in (pictures, other):
            assert torch.allclose(latents.raw_pictures(latents.raw_latents(kept)), kept, atol=1e-4)


def test_scene_and_occluder_have_channels_of_their_own(small_config):
    latents = build(small_config)
    scene, occluder = torch.rand(1, 3, 2, 32, 48), torch.rand(1, 3, 2, 32, 48)
    encoder = SceneOcclusionEncoder(latents)
    code = encoder(scene, occluder)
    assert code.shape == (1, 8, 2, 16, 24)
    assert torch.equal(code[:, :4], latents.encode(scene)) and torch.equal(code[:, 4:], latents.encode(occluder))
    assert not list(encoder.parameters()), "the autoencoder is shared, not owned"


def test_motion_code_of_a_long_video_is_that_of_its_windows(small_config, scene_inputs):
    encoder = _awake_encoder(StructuredMotionEncoder(small_config))
    vertices, intrinsics = scene_inputs["vertices"], scene_inputs["intrinsics"]
    long = torch.cat([vertices + torch.tensor([0.05 * n, 0, 0]) for n in range(13)], 1)  # 39 frames, of windows of 3
    cameras = intrinsics[:, :1].expand(2, 39, 3, 3)
    faces = scene_inputs["faces"]
    with torch.no_grad():
        code, pooled = encoder(long, faces, cameras)
        first, second = (encoder(long[:, s : s + 3], faces, cameras[:, s : s + 3]) for s in (0, 2))
    assert code.shape[2] == pooled.shape[2] == 39 and code.abs().max() > 1e-3
    for whole, one, other in zip((code, pooled), first, second):
        assert torch.allclose(whole[:, :, :2], one[:, :, :2], atol=1e-5)
        assert torch.allclose(whole[:, :, 2], (one[:, :, 2] + other[:, :, 0]) / 2, atol=1e-5)
        assert torch.allclose(whole[:, :, 3], other[:, :, 1], atol=1e-5)
    assert not torch.allclose(first[0][:, :, 2], second[0][:, :, 0], atol=1e-4)


def _awake_encoder(encoder):
    for parameter in encoder.parameters():
        if not parameter.abs().sum():
            torch.nn.init.normal_(parameter, std=0.1)
    return encoder


def test_motion_code(small_config, scene_inputs):
    encoder = StructuredMotionEncoder(small_config)
    arguments = [scene_inputs[name] for name in ("vertices", "faces", "intrinsics")]
    raster = encoder.raster(*arguments)
    assert raster.shape == (2, 6, 3, 32, 48)
    mask = raster[:, 4]
    assert 0.02 < mask.mean() < 0.6
    assert (raster.abs().sum(1)[mask == 0] == 0).all()
    code, pooled = encoder(*arguments)
    assert code.shape == (2, 8, 3, 16, 24) and pooled.shape == (2, 512, 3)
    assert (code == 0).all(), "a fresh encoder leaves the denoiser as it was"
    torch.nn.init.normal_(encoder.out.weight)
    torch.nn.init.normal_(encoder.attend.proj_out.weight)
    code, pooled = encoder(*arguments)
    (code.square().sum() + pooled.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_motion_code_follows_the_body(small_config, scene_inputs):
    encoder = _awake(StructuredMotionEncoder(small_config))
    arguments = {name: scene_inputs[name] for name in ("vertices", "faces", "intrinsics")}
    raster = encoder.raster(**arguments).detach()
    columns = torch.arange(48.0)
    middle = [(raster[0, 4, t].sum(0) * columns).sum() / raster[0, 4, t].sum() for t in (0, 2)]
    assert float(middle[1] - middle[0]) == pytest.approx(0.6 / 3 * 40, abs=1.5)  # px: 0.6 m at 3 m, focal 40


def test_motion_scale_needs_enough_layers(small_config):
    with pytest.raises(ValueError, match="too few layers"):
        StructuredMotionEncoder(dataclasses.replace(small_config, motion_scale=8))


def test_reference_bank_has_the_places_the_denoiser_reads(model, small_config):
    bank = ReferenceNet(small_config)(torch.randn(2, 4, 16, 16), torch.randn(2, 1, 8))
    readers = {
        processor.key
        for processor in model.denoiser.unet.attn_processors.values()
        if getattr(processor, "is_self", False)
    }
    assert set(bank) == readers and len(bank) == 7
    assert {features.shape[0] for features in bank.values()} == {2}


def test_identity_parts(small_config):
    encoder = CanonicalIdentityEncoder(small_config)
    embedding, token, bank = encoder(torch.rand(2, 3, 32, 32), torch.randn(2, 4, 16, 16))
    assert embedding.shape == (2, 512) and token.shape == (2, 1, 8) and bank


def test_clip_tower(small_config):
    encoder = CanonicalIdentityEncoder(dataclasses.replace(small_config, clip=(16, 2, 2, 16, 32)))
    embedding, token, _ = encoder(torch.rand(2, 3, 32, 32) * 2 - 1, torch.randn(2, 4, 16, 16))
    assert embedding.shape == (2, 512) and token.shape == (2, 1, 8)
    assert not any(p.requires_grad for p in encoder.tower.parameters())


def test_frozen_networks_answer_in_full_precision_whatever_the_step_has(small_config):
    model = MimoModel(dataclasses.replace(small_config, autoencoder="kl", clip=(16, 2, 2, 16, 32)))
    video, picture = torch.rand(1, 3, 2, 32, 48) * 2 - 1, torch.rand(1, 3, 32, 32) * 2 - 1

    def answers():
        return model.latents.encode(video), model.identity.tower(picture)

    with torch.no_grad():
        alone = answers()
        with torch.autocast("cpu", torch.bfloat16):
            mixed = answers()
    assert all(torch.equal(one, other) for one, other in zip(alone, mixed))


def test_answer_shape_and_gradients_reach_everything_that_is_trained(model, scene_inputs):
    answer = _answer(_awake(model), scene_inputs)
    assert answer.shape == (2, 4, 3, 16, 24)
    answer.square().mean().backward()
    assert not [name for name, p in model.trained() if p.grad is None]
    # One token takes all the attention whatever is asked, so queries and keys of cross-attention do not learn.
    silent = ("norm2.weight", "norm2.bias", "attn2.to_q.weight", "attn2.to_k.weight")
    still = [name for name, p in model.trained() if not p.grad.abs().sum() and not name.endswith(silent)]
    assert not still
    assert all(p.grad is None for p in model.latents.parameters()), "the autoencoder is frozen"


@pytest.mark.parametrize("name", ["scene", "occluder", "reference", "vertices"])
def test_every_condition_changes_the_answer(model, scene_inputs, name):
    _awake(model)
    changed = dict(scene_inputs)
    changed[name] = scene_inputs[name].flip(-1) if name != "vertices" else scene_inputs[name].flip(1)
    assert not torch.allclose(_answer(model, changed), _answer(model, scene_inputs), atol=1e-4)


def test_dropping_hides_all_conditions_of_one_clip_and_none_of_the_other(model, scene_inputs):
    _awake(model)
    other = {
        name: values if name == "faces" else values.flip(1) if name == "vertices" else values + 0.1
        for name, values in scene_inputs.items()
    }
    other["intrinsics"] = scene_inputs["intrinsics"]
    keep = torch.tensor([False, True])
    here, there = _answer(model, scene_inputs, keep), _answer(model, other, keep)
    assert torch.allclose(here[0], there[0], atol=1e-5), "a dropped clip knows nothing of its conditions"
    assert not torch.allclose(here[1], there[1], atol=1e-4)
    assert torch.allclose(
        _answer(model, scene_inputs, torch.tensor([True, True])), _answer(model, scene_inputs), atol=1e-4
    )


def test_clips_of_a_batch_do_not_mix(model, scene_inputs):
    _awake(model)
    both = _answer(model, scene_inputs)
    changed = {
        name: values if name == "faces" else torch.stack([values[0], values[0]])
        for name, values in scene_inputs.items()
    }
    assert torch.allclose(_answer(model, changed)[0], both[0], atol=1e-4)


def test_fresh_motion_modules_leave_frames_alone(model, scene_inputs):
    shape = (2, 4, 3, 16, 24)
    noised = torch.randn(shape)
    conditions = model.conditions(**scene_inputs)
    whole = model(noised, torch.tensor([5, 5]), conditions)
    one = model(noised[:, :, 1:2], torch.tensor([5, 5]), conditions.frames(torch.tensor([1])))
    assert torch.allclose(whole[:, :, 1:2], one, atol=1e-4)


def test_trained_parameters_leave_the_frozen_out(small_config):
    names = [name for name, _ in MimoModel(small_config).trained()]
    assert not any(name.startswith("latents.") for name in names)
    assert any(name == "motion.codes" for name in names)
    assert any("motion_modules" in name for name in names)


def test_stable_diffusion_shapes():
    with torch.device("meta"):
        unet = MimoModel(
            MimoConfig(
                autoencoder="kl", vae_channels=(128, 256, 512, 512), vae_groups=32, vae_layers=2, unet_layers=2,
                unet_channels=(320, 640, 1280, 1280), unet_attention_last=False, unet_groups=32,
                unet_heads=(8, 8, 8, 8), cross_dim=768,
            )
        ).denoiser.unet  # fmt: skip
    assert unet.conv_in.weight.shape == (320, 12, 3, 3)
    names = dict(unet.named_parameters())
    assert names["down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"].shape == (320, 768)
    assert names["mid_block.resnets.0.conv1.weight"].shape == (1280, 1280, 3, 3)


def test_scene_prior_holds_for_kept_clips_only(small_config, scene_inputs):
    torch.manual_seed(0)
    plain = MimoModel(small_config)
    primed = MimoModel(dataclasses.replace(small_config, scene_prior=0.3))
    primed.load_state_dict(plain.state_dict())
    keep = torch.tensor([False, True])
    one, other = _answer(plain, scene_inputs, keep), _answer(primed, scene_inputs, keep)
    assert torch.allclose(one[0], other[0], atol=1e-5)
    assert not torch.allclose(one[1], other[1], atol=1e-2)


def test_frames_of_another_size_go_through_the_same_model(model, small_config, scene_inputs):
    other = dataclasses.replace(small_config, height=48, width=24)
    pictures = torch.rand(2, 3, small_config.frames, 48, 24) * 2 - 1
    height, width = other.motion_size
    camera = torch.tensor([[40.0, 0, (width - 1) / 2], [0, 40.0, (height - 1) / 2], [0, 0, 1]])
    inputs = {
        **scene_inputs,
        "scene": pictures,
        "occluder": pictures,
        "intrinsics": camera.expand_as(scene_inputs["intrinsics"]),
        "reference": torch.rand(2, 3, *other.reference_size) * 2 - 1,
    }
    conditions = _awake(model).conditions(**inputs)
    same = MimoModel(other)
    same.load_state_dict(model.state_dict())
    theirs = same.conditions(**inputs)
    assert conditions.motion.shape[-2:] == other.latent_size and conditions.motion.std() > 0
    assert torch.equal(conditions.motion, theirs.motion)
    noised = torch.randn(2, 4, small_config.frames, *other.latent_size)
    timestep = torch.tensor([10, 600])
    assert torch.equal(model(noised, timestep, conditions), same(noised, timestep, theirs))
