"""A run that lacks weights says so before anything starts; one that has them is planned with the right needs."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.bench.plan import catalogued as fill
from workflow import zoo

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
videos: [footage]
stages:
  keypoints: {backend: dwpose}
  parsing: {backend: sapiens, params: {size: 0.3b}}
  surface: {backend: sapiens, params: {size: 0.6b}}
  scene: {backend: lama%s}
"""


@pytest.fixture
def place(tmp_path):
    fill(tmp_path / "run", clips=3)
    (tmp_path / "weights").mkdir()
    return tmp_path


def snakemake(place, *arguments, settings=""):
    config = place / "config.yaml"
    config.write_text(CONFIG % settings)
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "-d", place / "run", "--cores", "1"]
    command += ["--configfile", config, *arguments]
    environment = {key: value for key, value in os.environ.items() if key not in ("LAMA_MODEL", "SAPIENS_ROOT")}
    environment |= {"STRATA_WEIGHTS": str(place / "weights"), "TORCH_HOME": str(place / "torch")}
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout + done.stderr


def put(place, *files):
    """Write stand-ins and pin them, as `zoo add --mine` does."""
    lock = {}
    for file in files:
        path = place / "weights" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.encode())
        (entry,) = (entry for entry in zoo.manifest().weights.values() if entry.file == file)
        lock[entry.name] = {"sha256": hashlib.sha256(file.encode()).hexdigest(), "bytes": len(file)}
    (place / "weights" / "weights.lock.json").write_text(json.dumps(lock))


ALL = (
    "dwpose/yolox_l.onnx",
    "dwpose/dw-ll_ucoco_384.onnx",
    "sapiens/seg/sapiens_0.3b_goliath_best_goliath_mIoU_7673_epoch_194_torchscript.pt2",
    "sapiens/depth/sapiens_0.6b_render_people_epoch_70_torchscript.pt2",
    "sapiens/normal/sapiens_0.6b_normal_render_people_epoch_200_torchscript.pt2",
    "big-lama.pt",
)


def test_a_run_without_weights_does_not_start(place):
    put(place, *ALL[:2])
    code, output = snakemake(place)
    assert code != 0
    assert "Traceback" not in output and "rule " not in output
    assert "stages.keypoints" not in output
    for stage, name in (("parsing", "sapiens-seg-0.3b"), ("surface", "sapiens-depth-0.6b"), ("scene", "big-lama")):
        assert f"stages.{stage}, backend" in output
        assert f"python -m tools zoo fetch {name}" in output
    assert not list((place / "run").glob("work/*/*.zip"))


def test_a_run_with_other_weights_than_pinned_does_not_start(place):
    put(place, *ALL)
    lock = place / "weights" / "weights.lock.json"
    lock.write_text(json.dumps({**json.loads(lock.read_text()), "big-lama": {"sha256": "0" * 64, "bytes": 11}}))
    code, output = snakemake(place)
    assert code != 0
    assert "Traceback" not in output and "rule " not in output
    assert "big-lama" in output and "0" * 64 in output and "damaged or another version" in output


def test_a_dry_run_without_weights_warns_and_plans(place):
    code, output = snakemake(place, "-n")
    assert code == 0, output
    assert "warning: weights are missing" in output
    assert "rule scene" in output


def test_a_plan_with_weights_names_environment_class_and_sums(place):
    put(place, *ALL)
    code, output = snakemake(place, "-n", "--resources", "gpu=4")
    assert code == 0, output
    assert "missing" not in output
    surface = output[output.index("rule surface:") :].split("rule ")[1]
    assert "gpu_class=gpu-medium" in surface and "gpu=1" in surface and "mem_mb=16000" in surface
    scene = output[output.index("rule scene:") :].split("rule ")[1]
    assert "gpu_class=gpu-small" in scene


def test_device_cpu_asks_for_no_gpu(place):
    put(place, *ALL)
    code, output = snakemake(place, "-n", "--resources", "gpu=4", settings=", params: {device: cpu}")
    assert code == 0, output
    scene = output[output.index("rule scene:") :].split("rule ")[1]
    assert "gpu_class=cpu" in scene and "gpu=0" in scene


SMPL_ONLY = """\
videos: [footage]
stages:
  body: {backend: %s}
  body_model: {backend: %s}
"""


@pytest.mark.parametrize(
    ("body", "model", "refused"),
    [
        ("pare, params: {refine: false}", "anny", True),
        ("pare, params: {refine: false}", "smpl", False),
        ("pare", "anny", False),
        ("easymocap", "anny", True),
    ],
)
def test_a_backend_that_knows_smpl_only_is_not_run_on_another_body(place, body, model, refused, monkeypatch):
    put(place, "SMPL_NEUTRAL.pkl", "pare/data/pare/checkpoints/pare_w_3dpw_checkpoint.ckpt")
    monkeypatch.setitem(globals(), "CONFIG", SMPL_ONLY % (body, model) + "%s")
    code, output = snakemake(place, "-n")
    assert code == 0, output
    told = f"gives the parameters of SMPL with these settings, but the backend of stages.body_model is {model}"
    assert (told in output) == refused
    if refused:
        code, output = snakemake(place)
        assert code != 0 and told in output and "rule " not in output
