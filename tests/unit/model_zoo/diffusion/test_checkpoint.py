import json

import pytest
import torch

from model_zoo.diffusion import checkpoint
from model_zoo.loading.device import choose


def test_round_trip(tmp_path, model):
    weights, settings = tmp_path / "m.safetensors", tmp_path / "m.json"
    averaged = {name: parameter.detach() + 1 for name, parameter in model.trained()}
    checkpoint.save(model, averaged, weights, settings, {"steps": 3})
    loaded, record = checkpoint.load(weights, settings)
    assert record == {"steps": 3}
    assert loaded.config == model.config
    assert torch.equal(loaded.motion.codes, model.motion.codes + 1)
    assert torch.equal(loaded.latents.scale, model.latents.scale)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_another_version_is_refused(tmp_path, model):
    weights, settings = tmp_path / "m.safetensors", tmp_path / "m.json"
    checkpoint.save(model, {}, weights, settings, {})
    document = json.loads(settings.read_text())
    settings.write_text(json.dumps({**document, "version": 99}))
    with pytest.raises(ValueError, match="v99, expected strata-mimo v1"):
        checkpoint.load(weights, settings)


def test_device_is_chosen_or_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose("cpu").type == choose("auto").type == "cpu"
    with pytest.raises(ValueError, match="no GPU is visible"):
        choose("cuda")
    with pytest.raises(ValueError, match="'gpu'"):
        choose("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose("auto").type == "cuda"
    assert choose("cpu").type == "cpu"
