"""The whole chain on tiny rendered clips: what comes out, what reruns, what a kill leaves behind."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from model_zoo.body.smpl import SmplModel
from model_zoo.synthetic import clips
from model_zoo.synthetic.render import Renderer
from tools.demo import video
from workflow import layout, store
from workflow.shard_reader import Shard
from workflow.stages.frames import Frames

ROOT = Path(__file__).resolve().parents[2]
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # jobs run the `python` they find
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": PATH}
CONFIG = """\
videos: [footage]
height: 128
width: 128
splits: {train: 1.0, val: 0.0, test: 0.0}
"""


def snakemake(directory, *arguments):
    command = [sys.executable, "-m", "snakemake", *arguments, "-s", ROOT / "Snakefile", "-d", directory, "--cores", "2",
               "--configfile", directory / "config.yaml"]  # fmt: skip
    return list(map(str, command))


def run(directory, *arguments, check=True):
    done = subprocess.run(snakemake(directory, *arguments), cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert not check or done.returncode == 0, output[-6000:]
    return output


def jobs(output):
    """Names of the rules that ran, sorted."""
    return sorted(
        line.split()[-1].rstrip(":") for line in output.splitlines() if line.startswith(("rule ", "localrule "))
    )


def digests(directory, pattern):
    """SHA-256 of every file of the stores that match."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for root in directory.glob(pattern)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def rendered(model, shot, path):
    renderer = Renderer(shot, samples=1)
    frames = (renderer.frame(t) for t in range(len(shot)))
    video.write(frames, shot.camera.height, shot.camera.width, shot.fps, path)


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    """The body model, made once by its rule."""
    directory = tmp_path_factory.mktemp("body")
    path = directory / "work" / "body_model.npz"
    path.parent.mkdir()
    subprocess.run(
        [sys.executable, "-m", "tools", "body_model", "--body-model", path], cwd=ROOT, env=ENVIRONMENT, check=True
    )
    return path


@pytest.fixture(scope="module")
def footage(tmp_path_factory, body):
    """Two good clips, one under two names, and files that can only be rejected."""
    folder = tmp_path_factory.mktemp("footage")
    model = SmplModel.load(body)
    rendered(model, clips.walking(model, num_frames=14, height=240, width=320), folder / "walk it's \u00e9.mp4")
    shutil.copy(folder / "walk it's \u00e9.mp4", folder / "-again.mp4")
    black = (np.zeros((64, 64, 3), np.uint8) for _ in range(12))
    video.write(black, 64, 64, 24.0, folder / "black.mp4")
    video.write(iter([np.full((64, 64, 3), 90, np.uint8)]), 64, 64, 24.0, folder / "one frame.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video")
    whole = (folder / "black.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 3])
    return folder


@pytest.fixture(scope="module")
def second(tmp_path_factory, body):
    """Another good clip, for what comes later."""
    path = tmp_path_factory.mktemp("second") / "wave.mp4"
    model = SmplModel.load(body)
    rendered(model, clips.waving(model, num_frames=12, height=320, width=240), path)
    return path


def workplace(folder, footage, body):
    folder.mkdir()
    (folder / "config.yaml").write_text(CONFIG)
    shutil.copytree(footage, folder / "footage")
    (folder / "work").mkdir()
    shutil.copy2(body, folder / "work" / body.name)
    return folder


@pytest.fixture(scope="module")
def done(tmp_path_factory, footage, body):
    """A working directory in which everything has run once."""
    directory = workplace(tmp_path_factory.mktemp("chain") / "run", footage, body)
    output = run(directory, "dataset")
    return directory, output


def test_good_clips_are_in_and_bad_files_are_told(done):
    directory, output = done
    table = pyarrow.parquet.read_table(directory / "shards" / "index.parquet").to_pylist()
    stored = [row for row in table if row["status"] == "stored"]
    assert len(stored) == 1  # the same bytes under two names are one video
    reasons = {Path(row["video"]).name: row["reason"] for row in table if row["status"] != "stored"}
    assert set(reasons) == {"black.mp4", "one frame.mp4", "empty.mp4", "text.mp4", "truncated.mp4"}
    assert all(reasons.values())
    assert "no person" in reasons["black.mp4"]
    assert "1 clip" in output  # the tally
    assert "rejected" in output


def test_the_shard_is_whole_and_its_layers_agree(done):
    directory, _ = done
    assert subprocess.run([sys.executable, "-m", "tools", "shards", "verify"], cwd=directory,
                          env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)}, check=False).returncode == 0  # fmt: skip
    (path,) = directory.glob("shards/*/*.zarr")
    shard = Shard(path)
    window = shard.read_window(shard.clips[0], 0, 14)
    assert window["rgb"].shape == (14, 128, 128, 3)
    assert window["human"].any()
    assert not (window["human"] & window["occluder"]).any()
    same = window["scene_origin"] == 0
    np.testing.assert_array_equal(window["scene"][same], window["rgb"][same])
    assert ((window["depth"] > 0.5) & (window["depth"] < 30)).sum() > 100


def test_pages_are_self_contained(done):
    directory, _ = done
    for page in (directory / "reports").rglob("*.html"):
        text = page.read_text()
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert "https://" not in text
        assert "data:image" in text


def test_a_second_run_does_nothing(done):
    directory, _ = done
    assert "Nothing to be done" in run(directory, "dataset")


def test_a_touched_file_with_the_same_bytes_reruns_nothing(done):
    directory, _ = done
    for path in (directory / "footage").iterdir():
        os.utime(path, (time.time() + 5, time.time() + 5))
    assert "Nothing to be done" in run(directory, "dataset")


def test_a_renamed_file_reruns_no_stage(done):
    directory, _ = done
    (directory / "footage" / "-again.mp4").rename(directory / "footage" / "renamed.mp4")
    assert not set(jobs(run(directory, "dataset"))) - {"index", "overview", "dataset", "report"}


def test_a_new_setting_reruns_its_stage_and_what_follows(done):
    directory, _ = done
    (directory / "config.yaml").write_text(CONFIG + "stages: {layers: {params: {min_area: 0.02}}}\n")
    assert jobs(run(directory, "dataset")) == ["dataset", "index", "layers", "overview", "report", "scene", "shards"]
    (directory / "config.yaml").write_text(CONFIG)
    run(directory, "dataset")


def test_one_run_at_a_time(done):
    directory, _ = done
    code = (
        "import os, sys, time; os.chdir(sys.argv[1]); from workflow import snake; snake.hold_run_lock();"
        "print('held', flush=True); time.sleep(60)"
    )
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    holder = subprocess.Popen([sys.executable, "-c", code, str(directory)], stdout=subprocess.PIPE, env=environment)
    try:
        assert holder.stdout.readline() == b"held\n"
        output = run(directory, "dataset", "--forcerun", "index", check=False)
        assert "another run works in this directory" in output
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert "index" in jobs(run(directory, "dataset", "--forcerun", "index"))


def test_a_new_video_makes_its_own_shard_and_touches_no_other(done, second):
    directory, _ = done
    before = digests(directory, "shards/*/s00000.zarr")
    shutil.copy(second, directory / "footage" / "new.mp4")
    output = run(directory, "dataset")
    assert jobs(output).count("frames") == 1
    assert digests(directory, "shards/*/s00000.zarr") == before
    assert (directory / "shards" / "train" / "s00001.zarr" / "zarr.json").exists()


def test_a_withdrawn_clip_leaves_its_shard(done):
    directory, _ = done
    table = pyarrow.parquet.read_table(directory / "shards" / "index.parquet").to_pylist()
    (clip,) = [row["id"] for row in table if row["shard"] == "s00001" and row["status"] == "stored"]
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tools", "catalog", "withdraw", clip, "--reason", "consent revoked"]
    subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True)
    run(directory, "dataset")
    rows = pyarrow.parquet.read_table(directory / "shards" / "index.parquet").to_pylist()
    (row,) = [row for row in rows if row["id"] == clip]
    assert (row["status"], row["reason"]) == ("withdrawn", "consent revoked")
    stores = [Shard(path) for path in directory.glob("shards/*/s00001.zarr")]
    assert all(clip not in {c.id for c in store.clips} for store in stores)


def descendants(pid):
    """Processes below a process."""
    found, todo = [], [pid]
    while todo:
        for task in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
            children = [int(word) for word in task.read_text().split()]
            found += children
            todo += children
    return found


@pytest.mark.parametrize("moment", ["work/s00000/keypoints.zip", "work/s00000/crop.zip", "work/s00000/scene.zip"])
def test_a_kill_loses_nothing_and_changes_nothing(done, footage, body, tmp_path, moment):
    """Kill snakemake and its jobs outright while the stage after `moment` works; the next run completes."""
    reference, _ = done
    directory = workplace(tmp_path / "killed", footage, body)
    process = subprocess.Popen(snakemake(directory, "dataset"), cwd=ROOT, env=ENVIRONMENT,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    deadline = time.monotonic() + 300
    while not (directory / moment).exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.5)
    for pid in [process.pid, *descendants(process.pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    run(directory, "dataset")
    assert digests(directory, "shards/*/s00000.zarr") == digests(reference, "shards/*/s00000.zarr")
    left = [path for path in directory.rglob("*") if ".partial" in path.name or path.name.startswith(".spool")]
    assert not left


def test_artifacts_tell_how_they_were_made(done):
    directory, _ = done
    made = store.header(directory / "work" / "s00000" / "keypoints.zip")["provenance"]
    assert (made["stage"], made["backend"]) == ("keypoints", "mediapipe")
    with store.Reader(directory / "work" / "s00000" / "frames.zip", Frames) as reader:
        assert made["inputs"]["frames"] == reader.digest()
    text = json.dumps(made)
    assert str(layout.repository) not in text
    assert time.strftime("%Y") not in json.dumps({key: made[key] for key in ("settings", "inputs")})
