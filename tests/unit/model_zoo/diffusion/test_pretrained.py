import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from model_zoo.diffusion import pretrained
from model_zoo.diffusion.config import SD_LATENT_SCALE
from model_zoo.diffusion.mimo import MimoModel


def _saved(path, tensors):
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, path)
    return path


def _changed(module):
    return {
        name: torch.randn_like(tensor) if tensor.is_floating_point() else tensor
        for name, tensor in module.state_dict().items()
    }


@pytest.fixture
def clip_model(small_config):
    return MimoModel(dataclasses.replace(small_config, clip=(16, 2, 2, 16, 32)))


def test_unet_goes_to_denoiser_and_reference(model, tmp_path):
    tensors = _changed(model.identity.reference.unet)
    motion = {name: tensor.clone() for name, tensor in model.denoiser.unet.state_dict().items() if "motion" in name}
    pretrained.load(model, {"unet": _saved(tmp_path / "u.safetensors", tensors)})
    reference, denoiser = model.identity.reference.unet.state_dict(), model.denoiser.unet.state_dict()
    for name, tensor in tensors.items():
        assert torch.equal(reference[name], tensor)
        if name != "conv_in.weight":
            assert torch.equal(denoiser[name], tensor)
    assert torch.equal(denoiser["conv_in.weight"][:, :4], tensors["conv_in.weight"])
    assert (denoiser["conv_in.weight"][:, 4:] == 0).all()
    assert all(torch.equal(denoiser[name], tensor) for name, tensor in motion.items())


def test_motion_modules(model, tmp_path):
    tensors = {name: tensor for name, tensor in _changed(model.denoiser.unet).items() if "motion_modules" in name}
    before = model.denoiser.unet.conv_out.weight.clone()
    pretrained.load(model, {"motion": _saved(tmp_path / "m.safetensors", tensors)})
    loaded = model.denoiser.unet.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
    assert torch.equal(model.denoiser.unet.conv_out.weight, before)


def test_vae_with_old_and_new_attention_names(small_config, tmp_path):
    model = MimoModel(dataclasses.replace(small_config, autoencoder="kl"))
    tensors = _changed(model.latents.vae)
    back = {"to_q": "query", "to_k": "key", "to_v": "value"}
    old = {}
    for name, tensor in tensors.items():
        for new, word in back.items():
            name = name.replace(f".{new}.", f".{word}.")
        old[name.replace(".to_out.0.", ".proj_attn.")] = tensor
    assert old.keys() != tensors.keys()
    for file in (tensors, old):
        fresh = MimoModel(model.config)
        pretrained.load(fresh, {"vae": _saved(tmp_path / "v.safetensors", file)})
        loaded = fresh.latents.vae.state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
        assert torch.allclose(fresh.latents.scale, torch.tensor(SD_LATENT_SCALE))


def test_clip_ignores_the_text_tower(clip_model, tmp_path):
    tensors = _changed(clip_model.identity.tower.model)
    file = {**tensors, "text_model.x": torch.zeros(1), "logit_scale": torch.zeros(1)}
    pretrained.load(clip_model, {"clip": _saved(tmp_path / "c.safetensors", file)})
    loaded = clip_model.identity.tower.model.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_what_does_not_fit_is_refused(model, tmp_path):
    tensors = _changed(model.identity.reference.unet)
    name = "conv_out.weight"
    less = {key: tensor for key, tensor in tensors.items() if key != name}
    for file, message in (
        (less, f"1 names missing, such as {name}"),
        ({**tensors, "surplus": torch.zeros(1)}, "1 names too many, such as surplus"),
        ({**tensors, name: torch.zeros(2, 2)}, f"{name} is \\(2, 2\\)"),
    ):
        with pytest.raises(ValueError, match=message):
            pretrained.load(model, {"unet": _saved(tmp_path / "u.safetensors", file)})
    with pytest.raises(ValueError, match="no CLIP tower"):
        pretrained.load(model, {"clip": _saved(tmp_path / "c.safetensors", tensors)})
    with pytest.raises(ValueError, match="no AutoencoderKL"):
        pretrained.load(model, {"vae": _saved(tmp_path / "v.safetensors", tensors)})
    with pytest.raises(ValueError, match="'text' is unknown"):
        pretrained.load(model, {"text": tmp_path / "c.safetensors"})
    with pytest.raises(ValueError, match="names missing"):
        pretrained.load(model, {"motion": _saved(tmp_path / "m.safetensors", {"x": torch.zeros(1)})})
