"""Following the subject among others, with networks that know the truth."""

import dataclasses

import numpy as np
import pytest

from tools.keypoints import track
from tools.keypoints.graphs import Detection, Picture, PoseResult
from tools.keypoints.people import person_of
from tools.keypoints.survey import Identity, Sighting
from tools.keypoints.track import SubjectTracker

RED, BLUE = (200, 30, 30), (30, 60, 200)
WIDTH, HEIGHT, SIZE = 640, 360, 200.0
BODY = np.zeros((33, 2))
BODY[[11, 12, 23, 24, 25, 26]] = (0.1, 0.2), (-0.1, 0.2), (0.07, 0.5), (-0.07, 0.5), (0.07, 0.75), (-0.07, 0.75)
BODY[27:, 1] = 1.0


def pose_at(x):
    alignment = np.array([[x, 60 + SIZE / 2], [x, 60.0]])
    return PoseResult(0.95, BODY * SIZE + (x, 60), np.ones(33), np.ones(33), np.zeros((33, 3)), alignment)


class KnowingNetworks:
    """Networks for pictures whose people are listed by the number in their first pixel."""

    min_score = 0.5

    def __init__(self, frames):
        self.frames = frames

    def picture(self, index):
        rgb = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        for x, colour in self.frames[index]:
            rgb[60:260, max(int(x) - 25, 0) : max(int(x) + 25, 0)] = colour
        rgb[:, :, :1][0, 0] = index
        return Picture(rgb)

    def bodies(self, picture):
        """A region of a picture has no number: only whole pictures are answered."""
        if picture.rgb.shape != (HEIGHT, WIDTH, 3):
            return []
        found = []
        for x, _ in self.frames[picture.rgb[0, 0, 0]]:
            alignment = pose_at(x).alignment
            found.append(Detection(0.9, np.zeros(4), np.concatenate([alignment, alignment])))
        return found

    def pose(self, picture, roi):
        people = self.frames[picture.rgb[0, 0, 0]]
        if not people:
            return dataclasses.replace(pose_at(0), score=0.0)
        return pose_at(min((x for x, _ in people), key=lambda x: abs(x - roi.x)))


def identity(networks, index, number):
    x = networks.frames[index][number][0]
    person = person_of(networks.picture(index), pose_at(x), 0.9)
    return Identity([Sighting(index, 0.0, person)])


@pytest.fixture(autouse=True)
def no_second_opinion(monkeypatch):
    monkeypatch.setattr(track, "second_opinion", lambda networks, picture, roi, pose, size, expected: pose)


def positions(frames, fps=25.0, subject=0, others=(1,)):
    networks = KnowingNetworks(frames)
    tracker = SubjectTracker(
        networks, identity(networks, 0, subject), [identity(networks, 0, number) for number in others]
    )
    found = [tracker.step(networks.picture(index), index / fps) for index in range(len(frames))]
    return [None if person is None else round(float(person.centre[0])) for person in found], tracker


def test_the_subject_passes_another_person():
    frames = [[(100 + 10 * i, RED), (500 - 10 * i, BLUE)] for i in range(40)]
    for subject, expected in ((0, [x for (x, _), _ in frames]), (1, [x for _, (x, _) in frames])):
        found, tracker = positions(frames, subject=subject, others=(1 - subject,))
        off = [abs(a - b) for a, b in zip(found, expected) if a is not None]
        assert max(off) == 0 and len(off) >= 36  # lost for a moment at most, never mistaken
        assert found[-1] == expected[-1]


def test_another_person_at_the_subjects_place_is_not_the_subject():
    frames = [[(300, RED), (100, BLUE)]] * 5 + [[(300, BLUE)]] * 5 + [[(320, RED), (100, BLUE)]] * 5
    found, tracker = positions(frames)
    assert found == [300] * 5 + [None] * 5 + [320] * 5
    assert tracker.reacquired == 1


def test_an_empty_frame_is_a_gap_and_the_return_elsewhere_counts_after_a_while():
    frames = [[(100, RED), (600, BLUE)]] * 3 + [[]] * 30 + [[(500, RED)]] * 6
    found, tracker = positions(frames)
    assert found[:3] == [100] * 3 and found[3:33] == [None] * 30
    assert found[-1] == 500 and tracker.reacquired == 1


def test_a_look_alike_far_away_is_not_taken_at_once():
    frames = [[(100, RED), (600, BLUE)]] * 3 + [[(550, RED)]] * 10
    found, _ = positions(frames)
    assert found[3:] == [None] * 10


def test_few_frames_per_second_are_searched_one_by_one():
    frames = [[(100 + 90 * i, RED), (600 - 90 * i, BLUE)] for i in range(6)]
    found, _ = positions(frames, fps=2.0)
    assert found == [100, 190, 280, 370, 460, 550]
