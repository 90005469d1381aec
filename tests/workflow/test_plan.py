"""Plans: what Snakemake would run, without running it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tools.bench.plan import catalogued as fill
from tools.demo import video
from workflow import catalog, layout
from workflow.config import parse
from workflow.stages import PIPELINE

ROOT = Path(__file__).resolve().parents[2]

ON_REQUEST = {"accuracy", "instant_nvr", "latents"}  # targets of their own


def plan(directory, *arguments):
    """Dry run; returns (exit code, output)."""
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "-d", directory, "-n", "--cores", "2"]
    done = subprocess.run([*map(str, command), *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def counts(output):
    """Jobs by rule, from the table of a dry run."""
    table = output[output.rindex("Job stats:") :].split("total")[0]
    return {name: int(number) for name, number in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


@pytest.fixture
def catalogued(tmp_path):
    fill(tmp_path, clips=25)
    return tmp_path


def test_every_shard_gets_every_stage_once(catalogued):
    code, output = plan(catalogued, "--config", "videos=footage")
    assert code == 0, output
    found = counts(output)
    per_shard = {
        stage.name for stage in PIPELINE if any("{shard}" in str(getattr(p, "path", "{shard}")) for p in stage.outputs)
    }
    assert {name for name, number in found.items() if number == 3} == per_shard - ON_REQUEST
    assert {name for name, number in found.items() if number == 1} == {
        stage.name for stage in PIPELINE
    } - per_shard - ON_REQUEST | {"all"}


def test_latents_are_made_where_training_reads_them(catalogued):
    (catalogued / "c.yaml").write_text(
        "videos: [footage]\n"
        "stages: {train: {params: {latents: true, augment: false}}, latents: {params: {recipe: tiny, device: cpu}}}\n"
    )
    code, output = plan(catalogued, "--configfile", str(catalogued / "c.yaml"))
    assert code == 0, output
    assert counts(output)["latents"] == 3
    code, output = plan(catalogued, "--config", "videos=footage")
    assert "latents" not in counts(output)


def test_the_data_set_can_be_made_without_the_model(catalogued):
    code, output = plan(catalogued, "dataset", "--config", "videos=footage")
    assert code == 0, output
    assert not {"train", "sample"} & set(counts(output))


def test_the_profile_is_found_by_itself(catalogued):
    _, output = plan(catalogued, "--config", "videos=footage")
    assert "profiles/default" in output


def test_a_dry_run_writes_nothing_of_ours(catalogued):
    before = {path for path in catalogued.rglob("*") if ".snakemake" not in path.parts}
    (catalogued / "footage" / "new.mp4").write_text("no video")
    code, output = plan(catalogued, "--config", "videos=footage")
    assert code == 0, output
    after = {path for path in catalogued.rglob("*") if ".snakemake" not in path.parts}
    # what was learnt of new videos is remembered, so that the run does not decode them again
    assert {path.relative_to(catalogued).parts[:2] for path in after - before} <= {
        ("footage", "new.mp4"), ("catalog", ".lock"), ("catalog", "scanned")
    }  # fmt: skip


def test_new_footage_can_be_planned_before_anything_ran(tmp_path):
    (tmp_path / "footage").mkdir()
    frames = (np.full((64, 64, 3), 40 + 10 * i, np.uint8) for i in range(6))
    video.write(frames, 64, 64, 24.0, tmp_path / "footage" / "new.mp4")
    code, output = plan(tmp_path, "--config", "videos=footage")
    assert code == 0, output
    assert counts(output)["frames"] == 1
    assert not (tmp_path / "work").exists()


def test_faults_of_the_configuration_come_all_at_once_and_before_anything(tmp_path):
    code, output = plan(tmp_path, "--config", "videos=footage", "height=100", "subjets=2")
    assert code != 0
    assert "subjets: unknown key" in output
    assert "stages.crop.params.height: is 100" in output
    assert "Traceback" not in output


def test_videos_that_match_nothing_are_said(tmp_path):
    code, output = plan(tmp_path, "--config", "videos=nowhere")
    assert code != 0
    assert "nowhere" in output
    assert "Traceback" not in output


def test_settings_that_come_too_late_for_catalogued_clips_are_told(catalogued):
    settings = parse({"videos": ["footage"]}).catalog_settings()
    catalog.append(catalogued / layout.CATALOG, [catalog.settings_event({**settings, "shard_frames": 500})])
    code, output = plan(catalogued, "--config", "videos=footage")
    assert code == 0, output
    assert "shard_frames is 2000, was 500: holds for videos that are new" in output
    assert counts(output)["frames"] == 3


def test_a_damaged_catalog_is_told_without_a_trace(catalogued):
    with (catalogued / layout.CATALOG).open("a") as log:
        log.write("{half a li")
    code, output = plan(catalogued, "--config", "videos=footage")
    assert code != 0
    assert "line 76: not JSON" in output and "restore the file from a copy" in output
    assert "Traceback" not in output and "File " not in output


@pytest.mark.parametrize(
    ("stage", "backend"),
    [(stage.name, name) for stage in PIPELINE for name in stage.backends if name != stage.default],
    ids=lambda text: text,
)
def test_every_other_backend_can_be_planned(catalogued, stage, backend):
    config = catalogued / "config.yaml"
    config.write_text(f"videos: [footage]\nstages:\n  {stage}:\n    backend: {backend}\n")
    code, output = plan(catalogued, "--configfile", str(config))
    assert code == 0, output
    assert stage in counts(output)


def test_the_slurm_profile_plans(catalogued):
    profile = str(ROOT / "workflow" / "profiles" / "slurm")
    code, output = plan(catalogued, "--workflow-profile", profile, "--config", "videos=footage")
    assert code == 0, output
    assert counts(output)["frames"] == 3


STAND_IN_CONDA = """\
#!/bin/sh
case "$*" in
  *--version*) echo "conda 24.11.0" ;;
  *info*) echo '{"conda_prefix": "/none", "root_prefix": "/none", "platform": "linux-64"}' ;;
  *) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
"""  # what Snakemake asks of conda before it plans; environments are not created in a plan
RESEARCH = """\
videos: [footage]
stages:
  keypoints: {backend: hrnet}
  body: {backend: pare}
  parsing: {backend: schp}
  surface: {backend: sapiens}
  scene: {backend: lama}
"""


def test_a_full_research_configuration_plans_for_slurm_with_conda(catalogued, monkeypatch):
    conda = catalogued / "bin" / "conda"
    conda.parent.mkdir()
    conda.write_text(STAND_IN_CONDA)
    conda.chmod(0o755)
    monkeypatch.setenv("PATH", f"{conda.parent}:{os.environ['PATH']}")
    (catalogued / "research.yaml").write_text(RESEARCH)
    profile = str(ROOT / "workflow" / "profiles" / "slurm")
    code, output = plan(catalogued, "--workflow-profile", profile, "--sdm", "conda",
                        "--configfile", str(catalogued / "research.yaml"))  # fmt: skip
    assert code == 0, output
    assert counts(output)["scene"] == 3
    assert "weights are missing" in output
    for name in ("yolov4", "hrnet-w48", "pare-checkpoint", "schp-cihp-global", "sapiens-depth-1b", "big-lama"):
        assert f" {name}\n" in output
    for backend in ("hrnet", "pare", "schp", "sapiens", "lama"):
        (stage,) = (s for s in PIPELINE if backend in s.backends and f"{s.name}: {{backend: {backend}}}" in RESEARCH)
        job = re.search(rf"rule {stage.name}:.*?resources: [^\n]*", output, re.DOTALL).group()
        need = stage.backends[backend].resources
        assert f"gpu_class={need.gpu_class}" in job
        assert f"mem_mb={need.mem_mb}" in job
        assert f"gpu={need.gpus}" in job


@pytest.mark.parametrize(
    ("params", "needs"),
    [
        ("{}", "gpu=0, gpu_class=cpu"),
        ("{device: cuda}", "gpu=1, gpu_class=gpu-small"),
        ("{recipe: small}", "gpu=1, gpu_class=gpu-medium"),
        ("{recipe: paper, processes: 4}", "gpu=4, gpu_class=gpu-large"),
        ("{recipe: small, device: cpu}", "gpu=0, gpu_class=cpu"),
    ],
)
def test_the_recipe_decides_which_gpus_training_asks_for(catalogued, params, needs):
    (catalogued / "c.yaml").write_text(f"videos: [footage]\nstages: {{train: {{params: {params}}}}}\n")
    code, output = plan(catalogued, "--configfile", str(catalogued / "c.yaml"), "--resources", "gpu=4")
    assert code == 0, output
    job = re.search(r"rule train:.*?resources: [^\n]*", output, re.DOTALL).group()
    assert needs in job


def test_lint_finds_nothing(catalogued):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        ROOT / "Snakefile",
        "-d",
        catalogued,
        "--lint",
        "--config",
        "videos=footage",
    ]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
