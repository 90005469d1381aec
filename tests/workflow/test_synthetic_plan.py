"""Rendered clips become part of the plan like any footage."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import bodies
from workflow.config import Synthetic
from workflow.stages import PIPELINE

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


def test_truth_takes_the_place_of_estimates_where_clips_are_rendered(tmp_path):
    from workflow.config import parse
    from workflow.snake import Pipeline

    pipeline = Pipeline(parse({"videos": ["a"]}), {"s00000": "train", "s00001": "val"}, exact={"s00001"})
    for stage in PIPELINE:
        rule = getattr(pipeline, stage.name)
        assert ("annotations" in rule.params) == ("--annotations {params.annotations}" in rule.command) == stage.truth
        if stage.truth:
            told = [rule.params["annotations"](SimpleNamespace(shard=name)) for name in ("s00000", "s00001")]
            assert told == ["estimated", "truth"]


def test_a_plan_with_truth_renders_everything_and_says_so(tmp_path):
    render = pytest.importorskip(
        "tools.synthetic.render", reason="anny is not in this environment", exc_type=ImportError
    )
    settings = dataclasses.asdict(Synthetic(**SETTINGS, everything=True))
    render.render(settings, tmp_path / "synthetic", bodies.free_body())
    for said, expected in (("truth", True), ("estimated", False)):
        code, output = snakemake(tmp_path, "-n", "-p", "dataset", "--config", f"annotations={said}")
        assert code == 0, output
        assert ("not rendered yet" in output) != expected
        for stage in ("keypoints", "body", "parsing", "surface", "layers", "scene"):
            (command,) = set(re.findall(rf"python -m tools {stage} .*--annotations (\w+)", output))
            assert command == said, stage
