"""Clips in a few words: what is said is what is filmed."""

import itertools

import numpy as np
import pytest

from model_zoo.synthetic import moves
from model_zoo.synthetic.recipes import ACTIONS, Recipe, Take, person
from model_zoo.synthetic.render import OWN_FLESH

SMALL = {"height": 160, "width": 120, "frames": 4, "fps": 3.0}


def test_what_cannot_be_filmed_is_said_at_once(model):
    faults = Recipe("x", place="moon", height=161, crf=99).faults()
    assert len(faults) == 3 and "place: is 'moon', expected one of room, street, photo" in faults
    with pytest.raises(ValueError, match="x: place"):
        Take(Recipe("x", place="moon"), model)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_is_a_motion_that_stays_on_the_ground(model, action):
    take = Take(Recipe(action, action=action, **{**SMALL, "frames": 12, "fps": 3.5}), model, 1)
    body, motion = take.shot.subject.body, take.shot.subject.motion
    assert len(motion) == 12
    for name in ("global_orient", "body_pose", "transl"):
        assert np.isfinite(getattr(motion, name)).all()
    sole = body.vertices_rest[:, 1].min()
    lowest = [body.vertices(moved)[:, 1].min() for moved in body.transforms(motion)]
    assert min(lowest) > -0.06, f"feet in the ground: {min(lowest)}, rest {sole}"
    assert max(lowest) < 0.08, "feet above the ground"


def test_sitting_down_ends_at_the_height_of_a_seat(body):
    motion = moves.sit_down(body.skeleton, 30, 15.0, (0.0, 0.0), 0.0)
    hips = body.joints(motion)[:, 1, 1]
    assert hips[0] > 0.75 and 0.42 < hips[-1] < 0.62


def test_the_same_recipe_gives_the_same_bytes_and_another_person_other_ones(model):
    recipe = Recipe("a", camera="handheld", action="dance", seed=3, **SMALL)
    first, again = Take(recipe, model, 1).frame(2), Take(recipe, model, 1).frame(2)
    assert (first == again).all()
    assert (Take(recipe.at(person=5), model, 1).frame(2) != first).any()
    assert person(model, 1).outfit == person(model, 1).outfit != person(model, 2).outfit


def test_cameras_move_as_they_are_called(model):
    moves_by_camera = {}
    for camera in ("static", "panning", "handheld", "dolly"):
        pose = Take(Recipe("c", camera=camera, **SMALL), model, 1).shot.camera.world_from_camera
        moves_by_camera[camera] = (np.ptp(pose[:, :3, 3], axis=0).max(), np.ptp(pose[:, :3, 2], axis=0).max())
    assert moves_by_camera["static"] == (0.0, 0.0)
    assert moves_by_camera["panning"][0] == 0.0 and moves_by_camera["panning"][1] > 0.01
    assert moves_by_camera["dolly"][0] > 0.3
    assert 0.001 < moves_by_camera["handheld"][0] < 0.3


@pytest.mark.parametrize("occluder", ["pole", "table", "ball"])
def test_an_occluder_hides_part_of_the_subject(model, occluder):
    take = Take(Recipe("o", action="twist", occluder=occluder, **{**SMALL, "frames": 9}), model, 1)
    truths = [take.truth(t) for t in range(len(take))]
    hidden = sum(int(truth.occluder.sum()) for truth in truths) / sum(int(truth.amodal.sum()) for truth in truths)
    assert 0.005 < hidden < 0.6


def test_somebody_in_front_hides_and_somebody_behind_does_not(model):
    hidden = {}
    for company in ("behind", "front"):
        take = Take(Recipe("c", action="wave", company=company, **{**SMALL, "frames": 9}), model, 1)
        truths = [take.truth(t) for t in range(len(take))]
        assert truths[0].others.shape == (1, 23, 2)
        hidden[company] = sum(int(truth.occluder.sum()) for truth in truths)
    assert hidden["behind"] < 30 < 300 < hidden["front"]  # soles touch the ground, which may win a pixel


def test_leaving_leaves_and_comes_back(model):
    take = Take(Recipe("l", action="leave", **{**SMALL, "frames": 13}), model, 1)
    seen = [int(take.truth(t).human.sum()) for t in range(len(take))]
    assert seen[0] > 500 and seen[-1] > 500 and min(seen) == 0


def test_the_background_is_the_frame_without_the_subject(model):
    take = Take(Recipe("b", action="wave", grain=0.0, **SMALL), model, 1)
    frame, empty, truth = take.frame(1), take.background(1), take.truth(1)
    far = np.zeros_like(truth.amodal)
    far[:60] = True
    assert (frame[far & ~truth.amodal] == empty[far & ~truth.amodal]).all()  # shadows fall on the ground only
    changed = (frame[truth.human].astype(int) != empty[truth.human]).any(1)
    assert changed.mean() > 0.9


def test_a_slow_shutter_blurs_what_moves_and_the_truth_stays(model):
    fast = {**SMALL, "fps": 10.0}
    sharp, blurred = (Take(Recipe("s", action="walk", shutter=n, grain=0.0, **fast), model, 1) for n in (1, 4))
    assert len(blurred) == len(sharp) == len(blurred.shot)
    truth = blurred.truth(2)
    rows, columns = np.nonzero(truth.amodal)
    gradient = [
        np.abs(np.diff(take.frame(2).astype(float), axis=1))[
            rows.min() : rows.max(), columns.min() : columns.max()
        ].mean()
        for take in (sharp, blurred)
    ]
    assert gradient[1] < 0.97 * gradient[0]
    pixels = blurred.shot.camera
    assert len(pixels.world_from_camera) == 4


def test_less_light_is_darker(model):
    dim, bright = (Take(Recipe("d", exposure=e, **SMALL), model, 1).frame(0).mean() for e in (0.2, 1.0))
    assert dim < 0.65 * bright


def test_points_are_visible_from_one_side_only(model):
    """Seen from the left, the left ear is visible and the right one is not."""
    take = Take(Recipe("v", action="walk", frames=9, fps=6.0, height=320, width=320), model, 1)
    truth = take.truth(4)
    both = list(itertools.compress(range(23), truth.visible))
    assert 3 in both or 4 in both
    assert not {3, 4} <= set(both)
    assert len(OWN_FLESH) == 23 and not (truth.visible & ~truth.in_view).any()
