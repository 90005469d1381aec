"""Who is in a clip: linking sightings, prominence, looks."""

import numpy as np
import pytest

from tools.keypoints.appearance import describe, similarity
from tools.keypoints.graphs import PoseResult
from tools.keypoints.people import Person
from tools.keypoints.survey import Sighting, identities, key_frames

RED, BLUE, GREEN = (200, 30, 30), (30, 60, 200), (30, 160, 60)
WIDTH, HEIGHT = 640, 360


def person(x, colour, height=200.0, score=0.9, detection=0.9):
    """Somebody in clothes of one colour, standing at x."""
    unit = np.zeros((33, 2))
    unit[[11, 12, 23, 24, 25, 26]] = (0.1, 0.2), (-0.1, 0.2), (0.07, 0.5), (-0.07, 0.5), (0.07, 0.75), (-0.07, 0.75)
    xy = unit * height + (x, 100.0)
    rgb = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    rgb[:] = colour
    alignment = np.array([[x, 100 + height / 2], [x, 100.0]])
    pose = PoseResult(score, xy, np.ones(33), np.ones(33), np.zeros((33, 3)), alignment)
    box = np.array([x - 40, 100.0, x + 40, 100 + height])
    return Person(pose, box, describe(rgb, xy, np.ones(33)), detection)


def clip(*frames, step=0.5):
    return [[Sighting(i * 12, i * step, who) for who in people] for i, people in enumerate(frames)]


def positions(identity):
    return [round(float(seen.person.centre[0])) for seen in identity.sightings]


def test_clothes_tell_people_apart():
    red, also_red, blue = (person(100, c).appearance for c in (RED, RED, BLUE))
    assert similarity(red, also_red) == pytest.approx(1)
    assert similarity(red, blue) < 0.1
    assert red.torso.sum() == pytest.approx(1) and red.legs is not None


def test_the_torso_alone_counts_where_legs_are_hidden():
    shown = person(100, RED)
    hidden = describe(np.full((HEIGHT, WIDTH, 3), RED, np.uint8), shown.pose.xy, np.zeros(33))
    assert hidden.legs is None
    assert similarity(hidden, shown.appearance) == pytest.approx(1)


def test_two_people_who_cross_stay_themselves():
    frames = [[person(100 + 60 * i, RED), person(400 - 60 * i, BLUE)] for i in range(6)]
    found = identities(clip(*frames), WIDTH, HEIGHT)
    assert sorted(map(tuple, map(positions, found))) == [
        (100, 160, 220, 280, 340, 400),
        (400, 340, 280, 220, 160, 100),
    ]


def test_the_large_and_central_person_comes_first():
    frames = [[person(600, BLUE, height=120), person(320, RED, height=240)] for _ in range(5)]
    found = identities(clip(*frames), WIDTH, HEIGHT)
    assert [positions(who)[0] for who in found] == [320, 600]
    assert found[0].prominence > 2 * found[1].prominence


def test_somebody_who_leaves_and_returns_is_one_person():
    frames = [[person(100, RED)], [person(110, RED)], [], [], [person(520, RED)], [person(510, RED)]]
    found = identities(clip(*frames), WIDTH, HEIGHT)
    assert [positions(who) for who in found] == [[100, 110, 520, 510]]


def test_somebody_who_bends_is_one_person():
    def bent(x):
        upright, skin = person(x, RED), person(x, GREEN)
        torso = 0.6 * upright.appearance.torso + 0.4 * skin.appearance.torso
        looks = type(upright.appearance)(torso, upright.appearance.legs)
        return Person(upright.pose, upright.box, looks, 0.9)

    frames = [[person(100, RED)], [bent(105)], [person(110, RED)], [person(115, RED)], [bent(120)]]
    assert len(identities(clip(*frames), WIDTH, HEIGHT)) == 1


def test_unsure_and_fleeting_sightings_are_nobody():
    frames = [[person(100, RED, score=0.6)] for _ in range(5)]
    assert identities(clip(*frames), WIDTH, HEIGHT) == []
    assert identities(clip([person(100, RED)], [], [], [], []), WIDTH, HEIGHT) == []
    assert len(identities(clip([person(100, RED)]), WIDTH, HEIGHT)) == 1  # a clip of one frame


def test_looks_leave_out_the_odd_sighting():
    frames = [[person(100, RED)] for _ in range(5)]
    found = identities(clip(*frames), WIDTH, HEIGHT)[0]
    found.sightings.append(Sighting(99, 3.0, person(100, BLUE)))
    looks = found.looks()
    assert len(looks.appearances) == 5
    assert looks.likeness(person(300, BLUE).appearance) < 0.1
    assert looks.likeness(person(300, RED).appearance) == pytest.approx(1)


@pytest.mark.parametrize("count, fps", [(0, 25), (1, 25), (5, 2), (247, 24), (3000, 50)])
def test_key_frames_are_spread_over_the_clip(count, fps):
    frames = key_frames(np.arange(count) / fps)
    assert len(frames) == len(set(frames)) <= 32
    if count:
        assert frames[0] == 0 and frames[-1] == count - 1
    assert len(frames) >= min(count, 8)
