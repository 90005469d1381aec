"""The demo's footage: videos that decode to what was rendered, a table, and a file that is no video."""

import csv
import subprocess

import cv2
import numpy as np
import pytest

from model_zoo.synthetic import clips
from model_zoo.synthetic.truth import rendered
from tests import bodies
from tools import decoder
from tools.demo import video
from workflow.errors import ToolError


def decoded(path):
    capture = cv2.VideoCapture(str(path))
    height, width = (int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    command = [decoder.binary(), "-loglevel", "error", "-nostdin", "-i", decoder.url(path)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3), capture.get(cv2.CAP_PROP_FPS)


@pytest.fixture(scope="module")
def small():
    return rendered(clips.walking(bodies.free_body(), 5, 120, 160))


def test_a_video_decodes_to_its_frames_and_has_the_same_bytes_twice(small, tmp_path):
    frames, _ = small
    for name in ("a.mp4", "-b c'd.mp4"):
        video.write(iter(frames), 120, 160, 24.0, tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "-b c'd.mp4").read_bytes()
    back, fps = decoded(tmp_path / "a.mp4")
    assert back.shape == frames.shape and fps == 24
    assert np.abs(back.astype(float) - frames).mean() < 6
    assert np.abs(back.mean((0, 1, 2)) - frames.mean((0, 1, 2))).max() < 2


def test_a_video_that_cannot_be_made_leaves_nothing(small, tmp_path):
    with pytest.raises(ToolError, match="ffmpeg ended"):
        video.write(iter(small[0]), 119, 161, 24.0, tmp_path / "odd.mp4")
    assert not list(tmp_path.iterdir())


def test_a_renderer_that_fails_leaves_no_video(small, tmp_path):
    def failing():
        yield small[0][0]
        raise RuntimeError("no more light")

    with pytest.raises(RuntimeError, match="no more light"):
        video.write(failing(), 120, 160, 24.0, tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_the_folder_holds_videos_a_table_a_bad_file_and_truth_beside_it(small, tmp_path, monkeypatch):
    cli = pytest.importorskip("tools.demo.cli", reason="anny is not in this environment", exc_type=ImportError)

    def tiny(make):
        def smaller(model):
            return make(model, 4, 96, 128)

        smaller.__doc__ = make.__doc__
        return smaller

    monkeypatch.setattr(cli.render.free, "derive", lambda: bodies.free_body().arrays())
    monkeypatch.setattr(cli.render, "CLIPS", [tiny(make) for make in clips.CLIPS])
    assert cli.main(["render", str(tmp_path / "footage")]) == 0
    with (tmp_path / "footage" / "videos.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} | {"videos.csv"} == {path.name for path in (tmp_path / "footage").iterdir()}
    assert [row["split"] for row in rows].count("val") == 1
    assert "text file" in (tmp_path / "footage" / "not-a-video.mp4").read_text()
    videos = [row for row in rows if row["file"] != "not-a-video.mp4"]
    assert len(videos) == len(clips.CLIPS) and len({row["subject"] for row in videos}) == len(videos)
    for row in videos:
        frames, _ = decoded(tmp_path / "footage" / row["file"])
        with np.load(tmp_path / "truth" / row["file"].replace(".mp4", ".npz")) as truth:
            assert frames.shape[:3] == (4, *truth["size"]) and truth["parsing"].shape == frames.shape[:3]
            k, joints = truth["intrinsics"], truth["joints"]
            pelvis = joints[:, 0] @ k.T
            assert (pelvis[:, 2] > 1).all() and len(truth["keypoints"]) == 4
