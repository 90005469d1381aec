"""The page and the figures, from results made up."""

import json

import numpy as np
import pytest

from tests import bodies
from tools.accuracy import card
from tools.accuracy.corruption import Separation
from tools.accuracy.fits import Fit, compared
from tools.accuracy.judge import Verdict
from tools.accuracy.study import Results
from workflow.stages.accuracy import CardParams

CLIPS = "wide,tele"


@pytest.fixture
def results():
    picture = np.full((300, 200, 3), 90, np.uint8)
    good = {"body.mpjpe": 60.0, "keypoints.pck_10": 0.99, "scene.psnr_static": 20.0, "scene.share_inpainted": 0.5}
    bad = {"body.mpjpe": 120.0, "keypoints.pck_10": 0.97, "scene.psnr_other_frame": 33.0, "scene.psnr_inpainted": 18.0}
    return Results(
        {"wide": Verdict(bad, {"body": (3, picture)}), "tele": Verdict(good, {}, "body: <too hard>")},
        [Separation("shifted mask", "silhouette_iou", 0.99, 0.9, 2), Separation("dropped frames", "jump", 0.9, 0.8, 2)],
        {"wide": {"jump": 1.5}},
        compared([Fit("wide", "smplify", 16, 40.0, 60.0, 0.2), Fit("wide", "easymocap_fit", 16, 90.0, 130.0, 6.0)]),
    )


@pytest.fixture
def written(results, tmp_path, monkeypatch):
    monkeypatch.setattr(card.study, "run", lambda recipes, chain, model, corruption, fits: results)
    outputs = {"card": tmp_path / "a.html", "figures": tmp_path / "a.json"}
    card.run(CardParams(only=CLIPS, frames=8), {"body_model": bodies.free_body_file()}, outputs)
    return outputs["card"].read_text(), json.loads(outputs["figures"].read_text())


def test_the_page_tells_target_reached_and_why_not(written):
    page, _ = written
    assert "2 of 3 targets are not reached: body.mpjpe, scene.psnr_static" in page
    assert "at most 80 mm" in page and "90 mm" in page
    assert "Without the 1 weakest of 2 clips it would be 60 mm." in page
    assert "50% of the pixels behind the human are shown by no frame" in page
    assert "tele was rejected: body: &lt;too hard&gt;" in page
    assert page.count("data:image/webp;base64,") == 1 and "frame 3 of wide" in page
    assert "http" not in page.replace("http://www.w3.org", ""), "the page must be self-contained"


def test_corruptions_below_the_target_are_told(written):
    page, _ = written
    table = page[page.index("Do the quality figures notice errors?") :]
    assert table.index("shifted mask") < table.index("reached") < table.index("dropped frames") < table.index("missed")


def test_the_figures_say_the_same(written):
    _, found = written
    assert found["mean"]["body.mpjpe"] == 90.0
    assert found["targets"]["body.mpjpe"] == {"target": 80.0, "reached": 90.0, "met": False}
    assert found["targets"]["keypoints.pck_10"]["met"] is True
    assert found["clips"]["wide"]["recipe"]["focal"] == 0.75 and found["clips"]["wide"]["recipe"]["frames"] == 8
    assert found["clips"]["wide"]["worst_frame"] == {"body": 3} and found["clips"]["tele"]["rejected"]
    assert found["backends"]["keypoints"]["backend"] == "mediapipe"
    assert [each["name"] for each in found["corruption"]] == ["shifted mask", "dropped frames"]


def test_settings_that_cannot_work_are_told():
    assert CardParams(frames=3, chain="[1").faults() == [
        "frames: is 3, expected 0 or at least 8",
        "chain: is no JSON object, expected backends and settings by stage, or nothing",
    ]
    assert CardParams().faults() == []


def test_the_fits_stand_side_by_side(written):
    page, found = written
    table = page[page.index("Our fit beside EasyMocap") : page.index("Do the quality figures")]
    assert "40.0 mm and 90.0 mm, 30 times as fast" in table and "reached" in table and "6.00" in table
    assert found["fits"]["met"] is True and found["fits"]["faster"] == 30.0
    assert [fit["backend"] for fit in found["fits"]["fits"]] == ["smplify", "easymocap_fit"]


@pytest.mark.parametrize(("error", "seconds"), [(91.0, 0.2), (40.0, 2.0)])
def test_a_fit_that_is_worse_or_slow_misses_its_target(error, seconds):
    ours = Fit("a", "smplify", 16, error, 60.0, seconds)
    assert not compared([ours, Fit("a", "easymocap_fit", 16, 90.0, 130.0, 6.0)]).met
    assert compared([]) is None
