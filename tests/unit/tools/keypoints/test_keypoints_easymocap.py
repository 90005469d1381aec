"""keypoints/easymocap: the program's exact formats, and everything that can go wrong with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import fake_easymocap, real_clips
from tools import easymocap
from tools.keypoints import easymocap as backend
from workflow.conventions import BODY25_FROM_COCO
from workflow.errors import Rejected, ToolError
from workflow.stages import STAGES
from workflow.stages.frames import Frames
from workflow.stages.keypoints import EasymocapParams

COUNT, HEIGHT, WIDTH = 7, 120, 160
# Written by EasyMocap d2a0a2d itself, run by this backend on a picture of 160 x 120 px, with made-up weights.
RECORDED = Path(__file__).with_name("easymocap_annotation.json")


def person(t, x, height, seed):
    """Somebody as EasyMocap tells it: box with score, 25 joints inside it."""
    rng = np.random.default_rng(100 * seed + t)
    box = [x - height / 4, 60 - height / 2, x + height / 4, 60 + height / 2, 0.87]
    joints = np.column_stack(
        [rng.uniform(box[0], box[2], 25), rng.uniform(box[1], box[3], 25), rng.uniform(0.2, 0.95, 25)]
    )
    joints[19:] = 0  # yolo-hrnet knows no feet
    return {"bbox": box, "keypoints": joints.tolist()}


def people(empty=()):
    frames = {str(t): [person(t, 100 - 2 * t, 40, 2), person(t, 50 + 2 * t, 90, 1)] for t in range(COUNT)}
    return {"frames": {**frames, **{str(t): [] for t in empty}}}


def clip(count=COUNT, subject=0):
    spool = Frames.spool("rgb")
    for t in range(count):
        spool.append(np.full((HEIGHT, WIDTH, 3), 20 * t, np.uint8))
    return Frames(rgb=spool.finish(), timestamps=np.arange(count) / 25, fps=25.0, subject=subject)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Make a stand-in checkout that sees given people, and the settings to use it."""

    def make(seen):
        commit = fake_easymocap.checkout(tmp_path / "EasyMocap", seen)
        monkeypatch.setattr(easymocap, "COMMIT", commit[:7])
        return EasymocapParams(checkout=str(tmp_path / "EasyMocap"), python=sys.executable, device="cpu")

    return make


def test_annotations_become_the_artifact(made):
    seen = people(empty=(3,))
    found = backend.load(made(seen), {})(clip())
    np.testing.assert_array_equal(found.valid, [t != 3 for t in range(COUNT)])
    for t in range(COUNT):
        if t == 3:
            continue
        told = seen["frames"][str(t)][1]  # the larger of the two is the subject
        np.testing.assert_allclose(found.box[t], told["bbox"][:4], atol=0.006)
        joints = np.array(told["keypoints"])[list(BODY25_FROM_COCO)]
        np.testing.assert_allclose(found.xy[t, :17], joints[:, :2], atol=0.006)
        np.testing.assert_allclose(found.confidence[t, :17], joints[:, 2], atol=0.006)
    assert not found.confidence[:, 17:].any()
    assert found.quality["people"] == 2


def test_what_easymocap_itself_wrote_is_read():
    boxes, joints = backend.read_annotation(RECORDED)
    assert boxes.shape == (8, 5) and joints.shape == (8, 25, 3)
    np.testing.assert_array_equal(boxes[0], [37.37, 4.21, 274.21, 267.37, 0.99])
    np.testing.assert_array_equal(joints[0, :2], [[101.31, 229.33, 0.75], [256.53, 83.36, 0.71]])
    np.testing.assert_array_equal(joints[0, 1, :2], joints[0, [2, 5], :2].mean(0).round(2))  # neck
    assert joints[0, 1, 2] == joints[0, [2, 5], 2].min()
    assert not joints[:, 19:].any()  # feet
    sizes = (boxes[:, 2:4] - boxes[:, :2]).max(1)
    assert (np.diff(sizes) <= 0.011).all()  # largest first


def test_the_stand_in_writes_what_easymocap_itself_wrote(tmp_path):
    """Byte for byte, so that what the other tests are told has the program's own format."""
    content = json.loads(RECORDED.read_bytes())
    told = [{"bbox": person["bbox"], "keypoints": person["keypoints"]} for person in content["annots"]]
    fake_easymocap.checkout(tmp_path / "EasyMocap", {"frames": {"0": told}})
    (tmp_path / "root/images/clip").mkdir(parents=True)
    (tmp_path / "root/images/clip/000000.jpg").touch()
    command = [sys.executable, "apps/preprocess/extract_keypoints.py", tmp_path / "root", "--mode", "yolo-hrnet"]
    environment = {**os.environ, "PYTHONPATH": "."}
    subprocess.run([*command, "--subs", "clip", "--force"], cwd=tmp_path / "EasyMocap", env=environment, check=True)
    assert (tmp_path / "root/annots/clip/000000.json").read_bytes() == RECORDED.read_bytes()


def test_the_second_person_can_be_the_subject(made):
    seen = people()
    found = backend.load(made(seen), {})(clip(subject=1))
    np.testing.assert_allclose(found.box[0], seen["frames"]["0"][0]["bbox"][:4], atol=0.006)


def test_prominence_is_measured_by_the_pictures_own_width_and_height(made):
    frames = {str(t): [person(t, 60 + t, 60, 1), person(t, 130 - t, 66, 2)] for t in range(COUNT)}
    found = backend.load(made({"frames": frames}), {})(clip())
    np.testing.assert_allclose(found.box[0], frames["0"][0]["bbox"][:4], atol=0.006)
    share, off = 60 / HEIGHT, np.mean([abs(60 + t - (WIDTH - 1) / 2) / (WIDTH / 2) for t in range(COUNT)])
    assert found.quality["prominence"] == pytest.approx(share * (1 - 0.5 * off) * 0.87, abs=1e-3)


def test_what_the_program_needs_is_declared_as_its_weights():
    declared = STAGES["keypoints"].backends["easymocap"].weights
    assert {name.removeprefix("at:{checkout}/") for name in declared} == set(backend._NEEDED)


def test_nobody_is_a_rejection(made):
    params = made({"frames": {}})
    with pytest.raises(Rejected, match="no person found"):
        backend.load(params, {})(clip())
    with pytest.raises(Rejected, match="person 2 asked for, 0 found|no person found"):
        backend.load(params, {})(clip(subject=1))


def test_an_exit_code_is_told_with_the_end_of_the_log(made):
    with pytest.raises(ToolError, match=r"exit code 3(?s:.*)illegal memory access"):
        backend.load(made({**people(), "stop_at": 4}), {})(clip())


def test_partial_output_is_told(made):
    with pytest.raises(ToolError, match="3 of 7 annotations are missing, the first for frame 4"):
        backend.load(made({**people(), "stop_at": 4, "exit": 0}), {})(clip())


def test_the_checkout_stays_as_it_is_and_nothing_is_left(made, tmp_path, monkeypatch):
    (tmp_path / "t").mkdir()
    params = made(people())
    monkeypatch.setattr(easymocap.tempfile, "tempdir", str(tmp_path / "t"))
    before = sorted(path.name for path in (tmp_path / "EasyMocap").rglob("*"))
    backend.load(params, {})(clip())
    after = sorted(path.name for path in (tmp_path / "EasyMocap").rglob("*") if "__pycache__" not in str(path))
    assert after == before
    assert not list((tmp_path / "t").glob("strata-*"))


def test_frames_are_handed_over_byte_for_byte(tmp_path):
    frames = clip(3)
    with easymocap.DataRoot(frames.rgb, [0, 2]) as root:
        assert root.frames() == [0, 2]
        assert (root.folder / "images" / "clip" / "000002.jpg").read_bytes() == frames.rgb.encoded(2)
    assert not root.folder.exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"checkout": "/nowhere/EasyMocap"}, "no such folder; clone"),
        ({"python": "python-that-is-not-there"}, "no such program"),
    ],
)
def test_what_is_missing_is_told(made, change, told):
    params = made(people())
    with pytest.raises(ToolError, match=told):
        backend.load(EasymocapParams(**{**vars(params), **change}), {})


def test_another_commit_is_told_and_taken_only_on_demand(made, monkeypatch, caplog):
    params = made(people())
    monkeypatch.setattr(easymocap, "COMMIT", "d2a0a2d")
    with pytest.raises(ToolError, match="expected d2a0a2d"):
        backend.load(params, {})
    backend.load(EasymocapParams(**{**vars(params), "any_commit": True}), {})
    assert "any_commit is true" in caplog.text


def test_a_checkout_that_is_not_whole_is_told(made, tmp_path):
    params = made(people())
    (tmp_path / "EasyMocap/data/models/yolov4.weights").unlink()
    with pytest.raises(ToolError, match="lacks data/models/yolov4.weights"):
        backend.load(params, {})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"annots": [{"bbox": [1, 2, 3]}]}',
        json.dumps({"annots": [{"bbox": [1, 2, 3, 4, 0.5], "keypoints": [[1, 2]]}]}),
    ],
)
def test_annotations_of_another_form_are_told(tmp_path, content):
    path = tmp_path / "000000.json"
    path.write_text(content)
    with pytest.raises(ToolError, match="000000.json"):
        backend.read_annotation(path)


def somebody(box, score):
    """A person as EasyMocap tells it, whose BODY25 joint k is at share k / 40 of the box, across and down."""
    low, high = np.array(box[:2]), np.array(box[2:])
    joints = np.column_stack([low + np.arange(25)[:, None] / 40 * (high - low), np.linspace(0.3, 0.9, 25).round(2)])
    joints[19:] = 0
    return {"bbox": [*box, score], "keypoints": joints.tolist()}


@pytest.mark.real
def test_real_frames_reach_the_program_and_its_people_come_back(made, tmp_path):
    """The player and a bystander of a real clip, in its coordinates; joints beyond the picture are not there."""
    frames = real_clips.frames("tennis.mp4", range(0, 10, 2))
    player, bystander = real_clips.TENNIS_SUBJECT, np.array([2.0, 330, 58, 560])
    seen = {
        str(t): [somebody(bystander.tolist(), 0.7), somebody((player - [6 * t, 0, 6 * t, 0]).tolist(), 0.9)]
        for t in range(5)
    }
    seen["2"][1]["keypoints"][0] = [-3.0, 400.0, 0.9]
    seen["3"] = seen["3"][:1]  # the player is overlooked
    told = tmp_path / "pictures"
    found = backend.load(made({"frames": seen, "pictures": str(told)}), {})(frames)
    fake_easymocap.check_pictures(told, frames.rgb, range(5))
    np.testing.assert_array_equal(found.valid, [True, True, True, False, True])
    shares = np.array(BODY25_FROM_COCO)[:, None] / 40
    for t in (0, 1, 2, 4):
        box = player - [6 * t, 0, 6 * t, 0]
        np.testing.assert_allclose(found.box[t], box, atol=0.006)
        kept = np.arange(17) >= (t == 2)
        expected = box[:2] + shares * (box[2:] - box[:2])
        np.testing.assert_allclose(found.xy[t, :17][kept], expected[kept], atol=0.006)
        sure = np.linspace(0.3, 0.9, 25).round(2)[list(BODY25_FROM_COCO)]
        np.testing.assert_allclose(found.confidence[t, :17], sure * kept, atol=0.006)
    assert found.quality["people"] == 2
