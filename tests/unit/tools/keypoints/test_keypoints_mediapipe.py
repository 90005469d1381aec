"""The backend itself: clips without people, and real people where the clips are at hand."""

import os
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tools.keypoints import mediapipe as backend
from workflow.conventions import FACE, LEFT_HAND, RIGHT_HAND
from workflow.errors import Rejected
from workflow.stages.keypoints import Keypoints, MediapipeParams

REAL = Path(os.environ.get("STRATA_REAL_CLIPS", Path(__file__).parents[5] / "shared/data/real"))
FPS = 24.0


@pytest.fixture(scope="module")
def find():
    return backend.load(MediapipeParams(), {})


def clip_of(frames, fps=FPS, subject=0):
    return SimpleNamespace(rgb=frames, timestamps=np.arange(len(frames)) / fps, fps=fps, subject=subject)


def real_frames(name, chosen):
    path = REAL / name
    if not path.exists():
        pytest.skip(f"{path} is absent; set STRATA_REAL_CLIPS to the folder of the real clips")
    video, frames = cv2.VideoCapture(str(path)), []
    for index in range(max(chosen) + 1):
        ok, frame = video.read()
        assert ok
        if index in chosen:
            frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    return frames


def landscape(size=(180, 320)):
    """Sky, hills and blotchy grass."""
    random = np.random.RandomState(5)
    rows = np.linspace(0, 1, size[0])[:, None, None]
    picture = np.where(rows < 0.5, (150, 190, 240), (70, 120, 50)) * np.ones((*size, 1))
    blotches = cv2.resize(random.randn(size[0] // 6, size[1] // 6).astype(np.float32), size[::-1]) * 20
    return np.clip(picture + blotches[..., None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "frame",
    [np.zeros((72, 128, 3), np.uint8), np.full((48, 64, 3), 255, np.uint8), landscape(), landscape((61, 33))],
    ids=["black", "white", "landscape", "odd"],
)
def test_no_person_is_a_rejection(find, frame):
    with pytest.raises(Rejected, match="no person found"):
        find(clip_of([frame] * 5))


@pytest.mark.real
def test_a_real_person(find):
    frames = real_frames("juggle.mp4", range(20, 30))
    found = find(clip_of(frames))
    assert isinstance(found, Keypoints)
    assert found.valid.all() and found.confidence[:, :17].min() > 0.5
    assert (found.xyz[:, 0, 2] < 0).all()  # he faces the camera: the nose is nearer than the hips
    assert (found.xyz[:, 5, 0] > found.xyz[:, 6, 0]).all()  # so his left shoulder is at the image's right
    assert (found.xyz[:, 15, 1] > 0.5).all()  # ankles below the hips
    for part in (FACE, LEFT_HAND, RIGHT_HAND):
        assert (found.confidence[:, part].max(1) > 0.5).all()
    for hand, wrist in ((LEFT_HAND, 9), (RIGHT_HAND, 10)):
        assert np.linalg.norm(found.xy[:, hand.start] - found.xy[:, wrist], axis=-1).max() < 30
    eyes = found.xy[:, [FACE.start + 36, FACE.start + 45]]
    assert (eyes[:, 0, 0] < eyes[:, 1, 0]).all()  # iBUG counts from the subject's right
    low, high = found.box[:, :2], found.box[:, 2:]
    body = found.xy[:, :17]
    assert ((body >= low[:, None]) & (body <= high[:, None])).all()


@pytest.mark.real
def test_same_frames_same_numbers_and_no_second_person(find):
    frames = [
        cv2.resize(frame, (321, 181), interpolation=cv2.INTER_AREA) for frame in real_frames("juggle.mp4", range(6))
    ]
    first, second = find(clip_of(frames)), find(clip_of(frames))
    assert np.array_equal(first.xy, second.xy) and np.array_equal(first.confidence, second.confidence)
    with pytest.raises(Rejected, match="person 2 asked for, 1 found"):
        find(clip_of(frames, subject=1))


@pytest.mark.real
def test_positions_scale_with_the_picture(find):
    frame = real_frames("juggle.mp4", [40])[0]
    large = cv2.resize(frame, (2560, 1440), interpolation=cv2.INTER_CUBIC)
    one, two = find(clip_of([frame])), find(clip_of([large]))
    expected = (one.xy[0, :17] + 0.5) * 2 - 0.5
    assert np.linalg.norm(two.xy[0, :17] - expected, axis=-1).max() < 20
    assert np.median(np.linalg.norm(two.xy[0, :17] - expected, axis=-1)) < 5


@pytest.mark.real
def test_a_gap_is_not_valid_and_the_person_comes_back(find):
    person = [cv2.resize(frame, (640, 360)) for frame in real_frames("juggle.mp4", range(12))]
    empty = [landscape((360, 640))] * 6
    found = find(clip_of(empty + person[:6] + empty + person[6:]))
    assert found.valid.tolist() == [False] * 6 + [True] * 6 + [False] * 6 + [True] * 6
    assert (found.xy[~found.valid] == 0).all() and (found.confidence[~found.valid] == 0).all()
    assert not found.xyz_valid[~found.valid].any()
    assert found.quality["reacquired"] == 1


@pytest.mark.real
def test_few_frames_per_second(find):
    found = find(clip_of(real_frames("tennis.mp4", range(0, 170, 15)), fps=2.0))
    assert found.valid.all() and found.quality["people"] == 1
    shorts = found.xy[:, [11, 12]].mean(1)
    assert (shorts[:, 1] > 250).all() and (shorts[:, 1] < 550).all()  # the player, not the spectators
