import dataclasses

import cv2
import numpy as np
import pytest

from tools.train import cli, overfit
from workflow.errors import ToolError
from workflow.stages.body_model import BODY_MODEL


def test_psnr_of_known_errors():
    black, grey = np.zeros((1, 2, 2, 3), np.uint8), np.full((1, 2, 2, 3), 51, np.uint8)
    everywhere = np.ones((1, 2, 2))
    assert overfit.psnr(black, grey, everywhere) == pytest.approx(20 * np.log10(5))
    half = grey.copy()
    half[0, 0] = 0
    assert overfit.psnr(black, half, everywhere) == pytest.approx(20 * np.log10(5) + 10 * np.log10(2))
    assert overfit.psnr(black, half, np.array([[[0, 0], [1, 1]]])) == pytest.approx(20 * np.log10(5))


@pytest.mark.parametrize(
    ("last", "psnr", "healthy", "bad"), [(0.09, 20.1, True, 0), (0.11, 20.1, False, 1), (0.5, 19.0, False, 2)]
)
def test_verdict(last, psnr, healthy, bad):
    verdict = overfit.Verdict(1.0, last, psnr, 15.0, 18.0)
    assert verdict.healthy == healthy
    assert verdict.words().count("NOT as it should be") == bad
    assert ("passed" in verdict.words()) == healthy


@pytest.fixture
def place(dataset, recipe, tmp_path, monkeypatch):
    (tmp_path / "shards").symlink_to(dataset["root"] / "shards")
    body = tmp_path / BODY_MODEL.path
    body.parent.mkdir(parents=True)
    body.symlink_to(dataset["body_model"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_check_trains_on_one_clip_and_says_how_it_went(place, windows, capsys, caplog):
    clip = windows.sources[1].clip
    with caplog.at_level("INFO"):
        assert cli.main(["overfit", "--clip", clip.id, "--steps", "2", "--device", "cpu"]) == 1
    told = capsys.readouterr().out
    assert "FAILED" in told and " dB (expected above 20)" in told
    folder = place / "train" / "overfit" / clip.id
    assert len((folder / "loss.csv").read_text().splitlines()) == 1 + 4 + 2
    video = cv2.VideoCapture(str(folder / "sample.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == clip.length == 7
    assert f"overfit: clip {clip.id}" in caplog.text


def test_unknown_clips_and_steps_are_refused(place):
    with pytest.raises(ToolError, match="no clip 'nobody'"):
        cli.main(["overfit", "--clip", "nobody"])
    with pytest.raises(ToolError, match="steps is 0"):
        cli.main(["overfit", "--steps", "0"])


def test_a_clip_alone_is_read_as_a_whole(dataset, tiny_run, windows):
    from tools.train.data import Windows

    clip = windows.sources[0].clip
    alone = Windows(dataset["shards"], "train", 4, 0.5, only=clip.id)
    assert [source.clip.id for source in alone.sources] == [clip.id]
    assert alone.digest != windows.digest
    arrays = alone.whole(clip.length, tiny_run.model)
    assert arrays.video.shape[1] == clip.length == 9
    start = int(alone.sources[0].starts[-1])
    window = alone.load(dataclasses.replace(alone.draw(0, 0, 0), start=start), tiny_run.model)
    assert np.array_equal(arrays.video[:, start : start + 4], window.video)
