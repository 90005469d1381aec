"""Training from latents made before gives the losses of training from pictures, and encodes nothing."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from model_zoo.diffusion.latents import Latents
from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.pictures import LatentArrays
from tests import examples
from tools import recipes
from tools.latents import vae
from tools.train import diffusion
from workflow import layout
from workflow.errors import ToolError
from workflow.shard_reader import Shard
from workflow.stages import STAGES
from workflow.stages.latents import VaeParams
from workflow.stages.train import TrainParams


@pytest.fixture(params=["crop", "apose"])
def stand_in(request, tiny_run, monkeypatch, tmp_path):
    """A recipe of the shape of `small`, its networks tiny and random, their weights in files."""
    model = dataclasses.replace(
        tiny_run.model, autoencoder="kl", clip=(16, 2, 2, 16, 32), identity=request.param, num_vertices=144
    )
    torch.manual_seed(5)
    whole = MimoModel(model)
    clip = {f"{name}": tensor for name, tensor in whole.identity.tower.model.state_dict().items()}
    for name, tensors in (("vae.safetensors", whole.latents.vae.state_dict()), ("clip.safetensors", clip)):
        save_file({key: tensor.clone().contiguous() for key, tensor in tensors.items()}, tmp_path / name)
    monkeypatch.setattr(layout, "WEIGHTS", tmp_path)
    made = dataclasses.replace(
        tiny_run, model=model, autoencoder_steps=0, flip=0.5, colour=0.1, zoom=1.2,
        pretrained={"vae": "vae.safetensors", "clip": "clip.safetensors"},
    )  # fmt: skip
    monkeypatch.setitem(recipes.RECIPES, "stand-in", lambda: made)
    return made


def _shards(dataset, tmp_path):
    """Shards of two aspects."""
    wide = examples.shard(tmp_path, name="s00002", lengths=(9, 18), rejected=(), height=32, width=64, seed=20)
    return [dataset["shards"][0], wide]


def _made(shards, body_model, folder, recipe="stand-in"):
    """Latents of every shard."""
    found = []
    for shard in shards:
        path = folder / "latents" / shard.parent.parent.name / shard.parent.stem / "latents.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        vae.run(VaeParams(recipe, "cpu"), {"shard": shard, "body_model": body_model}, {"latents": path})
        found.append(path)
    return found


def _train(shards, dataset, folder, latents=None, **changes):
    folder.mkdir()
    names = {"checkpoint": "model.safetensors", "config": "model.json", "curve": "loss.csv", "plot": "loss.png",
             "validation": "validation.csv"}  # fmt: skip
    outputs = {name: folder / file for name, file in names.items()}
    inputs = {"index": dataset["root"], "shards": shards, "body_model": dataset["body_model"]}
    if latents is not None:
        inputs["latents"] = latents
    params = TrainParams("stand-in", 6, device="cpu", augment=False, latents=latents is not None, validate_every=0)
    diffusion.run(dataclasses.replace(params, **changes), inputs, outputs)
    rows = (folder / "loss.csv").read_text().splitlines()
    columns = rows[0].split(",")
    return np.array([float(row.split(",")[columns.index("loss")]) for row in rows[1:]])


def test_losses_are_the_same_and_nothing_is_encoded(stand_in, dataset, tmp_path, monkeypatch):
    shards = _shards(dataset, tmp_path)
    plain = _train(shards, dataset, tmp_path / "plain")
    paths = _made(shards, dataset["body_model"], tmp_path)

    def forbidden(*_):
        raise AssertionError("the autoencoder was asked")

    monkeypatch.setattr(Latents, "encode", forbidden)
    cached = _train(shards, dataset, tmp_path / "cached", paths)
    assert len(plain) == 6
    np.testing.assert_allclose(cached, plain, rtol=2e-4)
    with pytest.raises(AssertionError, match="was asked"):
        _train(shards, dataset, tmp_path / "again")


def test_a_window_has_its_own_latents(stand_in, dataset, tmp_path):
    """Padding, both aspects, identity: each as the networks give it for the pictures."""
    shards = _shards(dataset, tmp_path)
    config = diffusion.resolved("stand-in", shards, dataset["root"])
    config = dataclasses.replace(config, flip=0.0, zoom=1.0, colour=0.0)
    windows = diffusion.dataset(config, shards, dataset["root"])
    with np.load(dataset["body_model"]) as body:
        windows.subjects = diffusion.subjects(config.model, dict(body))
    files = {part: tmp_path / name for part, name in stand_in.pretrained.items()}
    paths = _made(shards, dataset["body_model"], tmp_path)
    windows.latents = diffusion._latents(config, windows, files, dataset["body_model"], paths)
    model = diffusion.fresh_model("stand-in", config, 0)
    seen = set()
    for step in range(40):
        pick = windows.draw(0, step, 0)
        seen.add(windows.sources[pick.number].clip.id)
        pictures, latents = windows.load(pick, config.model), windows.sample(pick, config.model)
        assert isinstance(latents, LatentArrays)
        with torch.no_grad():
            for name in ("video", "scene", "occluder"):
                expected = model.latents.encode(torch.from_numpy(getattr(pictures, name))[None])[0]
                np.testing.assert_allclose(getattr(latents, name), expected, atol=2e-5, err_msg=name)
            reference = torch.from_numpy(pictures.reference)[None]
            expected = model.latents.encode(reference[:, :, None])[0, :, 0]
            np.testing.assert_allclose(latents.reference, expected, atol=2e-5)
            np.testing.assert_allclose(latents.embedding, model.identity.tower(reference)[0], atol=2e-5)
        for name in ("human_mask", "occluder_mask", "valid", "betas", "pose", "transl", "intrinsics"):
            assert np.array_equal(getattr(latents, name), getattr(pictures, name)), name
    assert len(seen) == 5, "all clips, of both aspects"


@pytest.mark.parametrize("stand_in", ["crop"], indirect=True)
def test_latents_of_something_else_are_refused(stand_in, dataset, tmp_path):
    shards = dataset["shards"][:1]
    (path,) = _made(shards, dataset["body_model"], tmp_path)
    good = json.loads(path.read_text())
    for name, value, message in (
        ("key", "0", "of other weights or another recipe"),
        ("shard", "0", "of another shard"),
        ("size", [16, 16], "of frames of 16 x 16 px, this run's have 36 x 32"),
    ):
        path.write_text(json.dumps({**good, name: value}))
        with pytest.raises(ToolError, match=message):
            _train(shards, dataset, tmp_path / name, [path])
    tensors = {name: tensor * 1.01 for name, tensor in MimoModel(stand_in.model).latents.vae.state_dict().items()}
    save_file(tensors, tmp_path / "vae.safetensors")
    path.write_text(json.dumps(good))
    with pytest.raises(ToolError, match="of other weights"):
        _train(shards, dataset, tmp_path / "weights", [path])


def test_networks_that_learn_are_refused(recipe, dataset, tmp_path):
    inputs = {"shard": dataset["shards"][0], "body_model": dataset["body_model"]}
    with pytest.raises(ToolError, match="trained in the run itself"):
        vae.run(VaeParams("tiny", "cpu"), inputs, {"latents": tmp_path / "latents.json"})
    with pytest.raises(ToolError, match="recipe is '', expected one of"):
        vae.run(VaeParams(), inputs, {"latents": tmp_path / "latents.json"})
    with pytest.raises(ToolError, match="trained in the run itself"):
        _train(dataset["shards"], dataset, tmp_path / "train", [], recipe="tiny")


@pytest.mark.parametrize("stand_in", ["crop"], indirect=True)
def test_weights_that_are_not_there_are_named(stand_in, dataset, tmp_path):
    (tmp_path / "clip.safetensors").unlink()
    inputs = {"shard": dataset["shards"][0], "body_model": dataset["body_model"]}
    with pytest.raises(ToolError, match=r"(?s)recipe stand-in starts from .*clip: .*clip.safetensors\nput"):
        vae.run(VaeParams("stand-in", "cpu"), inputs, {"latents": tmp_path / "latents.json"})


@pytest.mark.parametrize("stand_in", ["crop", "apose"], indirect=True)
def test_a_shard_without_clips(stand_in, dataset, tmp_path):
    empty = examples.shard(tmp_path, lengths=(), rejected=("body",), height=16, width=16)
    (path,) = _made([empty], dataset["body_model"], tmp_path)
    assert json.loads(path.read_text())["shard"] == Shard(empty).attributes["digest"]


def test_windows_as_they_are(recipe):
    assert any("augment: false" in fault for fault in TrainParams(latents=True).faults())
    assert not TrainParams(latents=True, augment=False).faults()
    (port,) = (port for port in STAGES["train"].inputs if getattr(port, "name", "") == "latents")
    assert port.wanted(TrainParams(latents=True, augment=False)) and not port.wanted(TrainParams())
