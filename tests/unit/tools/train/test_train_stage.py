import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tools import recipes
from tools.sample import diffusion as sample_backend
from tools.train import cli
from tools.train import diffusion as train_backend
from workflow.errors import ToolError
from workflow.stages.train import SampleParams, TrainParams

ROOT = Path(__file__).resolve().parents[4]
# The test's small recipe in a process of its own, killed from outside.
PROGRAM = """
import json, sys
from pathlib import Path
import torch
from tests.unit.tools.train.conftest import tiny_run
from tools import recipes
from tools.train import diffusion
from workflow.stages.train import TrainParams
recipes.RECIPES["tiny"] = lambda: tiny_run.__wrapped__()
inputs, outputs = json.loads(sys.argv[1])
diffusion.run(
    TrainParams(steps=int(sys.argv[2]), save_every=1, device="cpu"),
    {name: [Path(p) for p in path] if isinstance(path, list) else Path(path) for name, path in inputs.items()},
    {name: Path(path) for name, path in outputs.items()},
)
"""


def _inputs(dataset):
    return {"index": dataset["root"], "shards": dataset["shards"], "body_model": dataset["body_model"]}


def _outputs(folder):
    folder.mkdir(exist_ok=True)
    names = {"checkpoint": "model.safetensors", "config": "model.json", "curve": "loss.csv", "plot": "loss.png",
             "validation": "validation.csv"}  # fmt: skip
    return {name: folder / file for name, file in names.items()}


@pytest.fixture
def trained(dataset, recipe, tmp_path):
    """A trained model's files, and what the sample stage takes."""
    outputs = _outputs(tmp_path / "train")
    train_backend.run(TrainParams(steps=2, device="cpu"), _inputs(dataset), outputs)
    inputs = {**_inputs(dataset), "checkpoint": outputs["checkpoint"], "config": outputs["config"]}
    return outputs, inputs, {"video": tmp_path / "sample.mp4", "sheet": tmp_path / "sample.png"}


def test_outputs_and_record(trained, dataset):
    outputs, _, _ = trained
    document = json.loads(outputs["config"].read_text())
    assert document["training"]["device"] == "cpu" and document["training"]["steps"] == 2
    assert document["training"]["processes"] == 1 and document["training"]["config"]["validate_every"] == 20
    assert document["training"]["config"]["steps"] == 2
    assert document["model"]["num_vertices"] == 144
    assert (document["model"]["height"], document["model"]["width"]) == (36, 32), "the shards' aspect"
    assert len(outputs["curve"].read_text().splitlines()) == 1 + 4 + 2
    weights = load_file(outputs["checkpoint"])
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_a_rerun_after_the_outputs_are_deleted_gives_the_same_bytes(trained, dataset):
    outputs, _, _ = trained
    before = {name: path.read_bytes() for name, path in outputs.items()}
    for path in outputs.values():
        path.unlink()
    train_backend.run(TrainParams(steps=2, device="cpu"), _inputs(dataset), outputs)
    assert {name: path.read_bytes() for name, path in outputs.items()} == before


def test_sample_is_driven_by_the_held_out_clip(trained, caplog):
    _, inputs, outputs = trained
    with caplog.at_level("INFO"):
        sample_backend.run(SampleParams(steps=2, frames=6, device="cpu"), inputs, outputs)
    assert "(val)" in caplog.text
    video = cv2.VideoCapture(str(outputs["video"]))
    frames = [video.read()[1] for _ in range(6)]
    assert all(frame is not None for frame in frames) and not video.read()[0]
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(25, abs=0.1)
    height, width = frames[0].shape[:2]
    assert height >= 256 and (height, width) == (288, 256)
    codec = int(video.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little")
    assert codec in (b"avc1", b"h264")
    sheet = cv2.imread(str(outputs["sheet"]))
    assert sheet.shape[0] > 6 * 160


def test_sample_without_held_out_clips_says_so(trained, dataset, caplog):
    _, inputs, outputs = trained
    inputs = {**inputs, "shards": dataset["shards"][:1]}
    sample_backend.run(SampleParams(steps=1, frames=2, device="cpu"), inputs, outputs)
    assert "no clip of val or test" in caplog.text


def test_identity_and_scene_of_other_clips(trained, dataset):
    _, inputs, outputs = trained
    from tools.sample import clips

    ids = [source.clip.id for source in clips.every(dataset["shards"])]
    pictures = []
    for changes in ({}, {"identity": ids[0]}, {"scene": ids[2]}):
        params = dataclasses.replace(SampleParams(steps=1, frames=5, device="cpu"), **changes)
        sample_backend.run(params, inputs, outputs)
        pictures.append(cv2.imread(str(outputs["sheet"])))
    assert all((one != pictures[0]).any() for one in pictures[1:])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (SampleParams(clip="nobody", device="cpu"), "no clip 'nobody'"),
        (SampleParams(identity="nobody", device="cpu"), "no clip 'nobody'"),
    ],
)
def test_unknown_clips_are_refused(trained, params, message):
    _, inputs, outputs = trained
    with pytest.raises(ToolError, match=message):
        sample_backend.run(params, inputs, outputs)
    assert not outputs["video"].exists()


def test_a_body_of_another_size_is_refused(trained, tmp_path):
    from tests import examples

    _, inputs, outputs = trained
    body = examples.body_model()
    cut = {name: body[name][:143] for name in ("v_template", "shapedirs", "posedirs", "weights")}
    np.savez(tmp_path / "other.npz", **{**body, **cut, "J_regressor": body["J_regressor"][:, :143], "f": body["f"][:8]})
    with pytest.raises(ToolError, match="144 vertices, this one has 143"):
        sample_backend.run(SampleParams(device="cpu"), {**inputs, "body_model": tmp_path / "other.npz"}, outputs)


def test_unknown_recipe_and_missing_gpu(dataset, recipe, tmp_path, monkeypatch):
    outputs = _outputs(tmp_path / "train")
    with pytest.raises(ToolError, match="expected one of tiny, small, paper"):
        train_backend.run(TrainParams(recipe="huge"), _inputs(dataset), outputs)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ToolError, match="no GPU is visible"):
        train_backend.run(TrainParams(device="cuda"), _inputs(dataset), outputs)
    assert not any(path.exists() for path in outputs.values())


def test_explain_names_the_windows_of_a_step(dataset, recipe, monkeypatch, capsys, windows):
    monkeypatch.chdir(dataset["root"])
    assert cli.main(["explain", "--step", "3", "--seed", "5"]) == 0
    assert capsys.readouterr().out.splitlines() == windows.explain(5, 2, 2)
    with pytest.raises(ToolError, match="counted from 1"):
        cli.main(["explain", "--step", "0"])


def test_explain_follows_the_run_that_is_there(dataset, recipe, tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(recipes.RECIPES, "tiny", lambda: dataclasses.replace(tiny_run, zoom=1.5))
    (tmp_path / "shards").symlink_to(dataset["root"] / "shards")
    params = TrainParams(steps=1, seed=7, augment=False, device="cpu")
    outputs = _outputs(tmp_path / "train")
    train_backend.run(params, _inputs(dataset), outputs)
    monkeypatch.chdir(tmp_path)

    def told(*options):
        assert cli.main(["explain", "--step", "5", *options]) == 0
        return capsys.readouterr().out

    assert "enlarged" not in told() and "enlarged" in told("--recipe", "tiny", "--seed", "7")
    assert told() == told("--seed", "7") != told("--seed", "8")
    document = json.loads(outputs["config"].read_text())
    document["training"]["data"] = "0"
    outputs["config"].write_text(json.dumps(document))
    with pytest.raises(ToolError, match="the shards are not those"):
        told()


def test_missing_weights_are_named_before_anything_runs(dataset, tmp_path):
    outputs = _outputs(tmp_path / "train")
    with pytest.raises(ToolError, match=r"(?s)unet: .*sd15-unet.safetensors.*vae: .*or choose recipe tiny"):
        train_backend.run(TrainParams(recipe="small", device="cpu"), _inputs(dataset), outputs)


def test_faults_of_settings():
    assert TrainParams().faults() == SampleParams().faults() == []
    wrong = {"steps": 0, "save_every": 0, "processes": 0, "validate_every": -1, "sample_every": -1}
    assert len(TrainParams(device="tpu", **wrong).faults()) == 6
    assert len(SampleParams(device="tpu", steps=0, frames=0).faults()) == 3


def test_kill_9_and_go_on_gives_the_same_bytes(dataset, recipe, tmp_path):
    steps = 8
    whole = _outputs(tmp_path / "whole")
    train_backend.run(TrainParams(steps=steps, save_every=1, device="cpu"), _inputs(dataset), whole)
    killed = _outputs(tmp_path / "killed")
    given = [
        {
            name: [str(p) for p in path] if isinstance(path, list) else str(path)
            for name, path in _inputs(dataset).items()
        },
        {name: str(path) for name, path in killed.items()},
    ]
    command = [sys.executable, "-c", PROGRAM, json.dumps(given), str(steps)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("state/*/step-*[5-9].safetensors")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    output = process.communicate()[0].decode()
    assert process.returncode == -signal.SIGKILL, output
    assert not any(path.exists() for path in killed.values())
    train_backend.run(TrainParams(steps=steps, save_every=1, device="cpu"), _inputs(dataset), killed)
    for name, path in killed.items():
        assert path.read_bytes() == whole[name].read_bytes(), name
