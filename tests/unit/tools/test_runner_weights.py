"""The runner hands weights to backends, checks them, and writes down which ones they were."""

import dataclasses
import json
import warnings
import zipfile

import pytest

torch = pytest.importorskip("torch", reason="torch is not in this environment", exc_type=ImportError)

from tests import examples
from tools import device, runner
from workflow import layout, pins, store, zoo
from workflow.errors import ToolError
from workflow.stages import STAGES
from workflow.stages.crop import Crop
from workflow.stages.scene import LamaParams, Scene

torch.set_num_threads(1)


class Same(torch.nn.Module):
    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return image


@pytest.fixture
def weights(tmp_path, monkeypatch):
    folder = tmp_path / "w"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Same()).save(str(folder / "big-lama.pt"))
    monkeypatch.setattr(layout, "WEIGHTS", folder)
    stand_in = dataclasses.replace(zoo.weight("big-lama"), bytes=None, sha256="")  # nothing is published of it
    monkeypatch.setitem(zoo.manifest().weights, "big-lama", stand_in)
    monkeypatch.delenv("LAMA_MODEL", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return folder


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    paths = examples.artifacts(tmp_path_factory.mktemp("a"), (4,), rejected=())
    return {name: paths[name] for name in ("frames", "parsing", "crop", "layers")}


def run(inputs, output, **params):
    runner.run(STAGES["scene"], "lama", LamaParams(**params), inputs, {"scene": output})


def test_weights_are_in_the_provenance_and_pinned(weights, inputs, tmp_path):
    run(inputs, tmp_path / "scene.zip", device="cpu")
    with zipfile.ZipFile(tmp_path / "scene.zip") as archive:
        made = json.loads(archive.read("header.json"))["provenance"]
    assert made["weights"] == {"big-lama": pins.digest(weights / "big-lama.pt")}
    assert json.loads((weights / "weights.lock.json").read_text())["big-lama"]["sha256"] == made["weights"]["big-lama"]
    with store.Reader(tmp_path / "scene.zip", Scene) as reader:
        assert reader.read(reader.clips[0]).valid.any()


def test_other_weights_under_the_same_name_are_refused(weights, inputs, tmp_path):
    run(inputs, tmp_path / "scene.zip", device="cpu")
    (weights / "big-lama.pt").write_bytes((weights / "big-lama.pt").read_bytes()[:-1] + b"x")
    with pytest.raises(ToolError, match=r"big-lama: .* has sha256(.|\n)*expected(.|\n)*zoo fetch big-lama --again"):
        run(inputs, tmp_path / "again.zip", device="cpu")
    assert not (tmp_path / "again.zip").exists()


def test_a_task_checks_its_weights_too(weights, tmp_path):
    (weights / "SMPL_NEUTRAL.pkl").write_bytes(b"no body")
    (weights / "weights.lock.json").write_text(json.dumps({"smpl-neutral": {"sha256": "0" * 64}}))
    stage = STAGES["body_model"]
    params = stage.backends["smpl"].params()
    with pytest.raises(ToolError, match=r"smpl-neutral: (.|\n)*damaged or another version"):
        runner.run(stage, "smpl", params, {}, {"body_model": tmp_path / "body.npz"})


def test_missing_weights_are_said(weights, inputs, tmp_path):
    (weights / "big-lama.pt").unlink()
    with pytest.raises(ToolError, match=r"stages.scene, backend lama(.|\n)*zoo fetch big-lama"):
        run(inputs, tmp_path / "scene.zip", device="cpu")


def test_auto_runs_without_a_gpu_and_says_so_and_cuda_does_not(weights, inputs, tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(device, "count", lambda: 0)
    caplog.set_level("INFO")
    run(inputs, tmp_path / "scene.zip")
    assert "runs on the CPU" in caplog.text
    with pytest.raises(ToolError, match="needs a GPU and none is visible"):
        run(inputs, tmp_path / "again.zip", device="cuda")


def test_the_file_of_lama_may_be_named_by_its_variable(weights, inputs, tmp_path, monkeypatch):
    (weights / "big-lama.pt").rename(tmp_path / "mine.pt")
    monkeypatch.setenv("LAMA_MODEL", str(tmp_path / "mine.pt"))
    run(inputs, tmp_path / "scene.zip", device="cpu")
    with store.Reader(tmp_path / "scene.zip", Scene) as reader, store.Reader(inputs["crop"], Crop) as crops:
        clip = reader.clips[0]
        assert reader.read(clip).rgb.shape == crops.read(clip).rgb.shape
    monkeypatch.setenv("LAMA_MODEL", str(tmp_path / "absent.pt"))
    with pytest.raises(ToolError, match="absent.pt is not there"):
        run(inputs, tmp_path / "scene.zip", device="cpu")
