"""Rendered clips become part of the plan like any footage."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import bodies
from workflow.config import Synthetic

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"clips": 1, "seconds": 0.3, "fps": 10.0, "height": 96, "width": 80, "cameras": 2}


def snakemake(folder, *words):
    (folder / "config.yaml").write_text(json.dumps({"videos": [], "synthetic": SETTINGS}))
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder), "--configfile",
         str(folder / "config.yaml"), "--cores", "1", *words],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=folder,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_plan_says_what_is_not_rendered_yet_and_renders_nothing(tmp_path):
    code, output = snakemake(tmp_path, "-n")
    assert code == 0, output
    assert "synthetic: the clips are not rendered yet" in output
    assert not (tmp_path / "synthetic").exists()


def test_rendered_clips_are_planned_for(tmp_path):
    render = pytest.importorskip(
        "tools.synthetic.render", reason="anny is not in this environment", exc_type=ImportError
    )
    settings = dataclasses.asdict(Synthetic(**SETTINGS))
    render.render(settings, tmp_path / "synthetic", bodies.free_body())
    code, output = snakemake(tmp_path, "-n", "dataset")
    assert code == 0, output
    assert "not rendered yet" not in output and "frames" in output and "shards" in output


def test_accuracy_is_a_target_of_its_own(tmp_path):
    code, output = snakemake(tmp_path, "-n", "accuracy")
    assert code == 0, output
    jobs = output[output.rindex("Job stats:") :].split("total")[0]
    assert "accuracy" in jobs and "body_model" in jobs and "shards" not in jobs
