"""Several threads film what one does."""

import dataclasses

import numpy as np
import pytest

from model_zoo.synthetic.crew import film
from model_zoo.synthetic.everything import Surveyor
from model_zoo.synthetic.recipes import Recipe, Take
from model_zoo.synthetic.render import Renderer

SMALL = {"height": 128, "width": 128, "frames": 9, "fps": 9.0}


@pytest.mark.parametrize(
    "more", [{"camera": "handheld", "occluder": "ball"}, {"cut": 4, "company": "front"}, {"shutter": 2}, {"k1": 0.1}]
)
def test_any_number_of_threads_gives_the_same_bytes_in_the_same_order(model, more):
    take = Take(Recipe("c", action="walk", **SMALL, **more), model)
    one, three = (list(film(take, True, threads)) for threads in (1, 3))
    assert len(one) == len(three) == 9
    for a, b in zip(one, three):
        assert (a.picture == b.picture).all() and a.pictures.keys() == b.pictures.keys()
        assert all((a.pictures[name] == b.pictures[name]).all() for name in a.pictures)
        for field in dataclasses.fields(a.truth):
            assert np.array_equal(getattr(a.truth, field.name), getattr(b.truth, field.name))
    assert (one[0].picture != one[5].picture).any()


def test_both_at_once_are_the_same_as_one_by_one(model):
    for camera in ("handheld", "static"):
        shot = Take(Recipe("b", action="wave", company="behind", camera=camera, **SMALL), model).shot
        renderer, other = Renderer(shot), Renderer(shot)
        for t in (2, 5, 3):
            picture, background = renderer.both(t)
            assert (picture == other.frame(t)).all() and (background == other.background(t)).all()
            assert (picture != background).any()
        assert (renderer.frame(4) == other.frame(4)).all()


def test_without_everything_only_the_subjects_truth_is_there(model):
    take = Take(Recipe("c", action="walk", **SMALL), model)
    (first, *_) = film(take, False, 2)
    assert set(first.pictures) == {"human", "amodal", "occluder", "parsing", "body_depth", "body_normal"}
    (all_of_it, *_) = film(take, True, 2)
    assert set(all_of_it.pictures) - set(first.pictures) == {"kind", "depth", "normal", "flow", "background"}
    assert (all_of_it.pictures["kind"] == Surveyor(take.shot)(0).kind).all()


def test_an_error_of_a_thread_reaches_the_caller(model, monkeypatch):
    take = Take(Recipe("c", action="walk", **SMALL), model)

    def broken(self, t):
        raise RuntimeError(f"frame {t}")

    monkeypatch.setattr(Take, "truth", broken)
    with pytest.raises(RuntimeError, match="frame 0"):
        list(film(take, False, 2))
