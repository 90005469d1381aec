"""Lenses that bend, photographs as walls and cuts, against what can be worked out by hand."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from model_zoo.synthetic import shade
from model_zoo.synthetic.camera import project
from model_zoo.synthetic.casting import cast
from model_zoo.synthetic.everything import Surveyor
from model_zoo.synthetic.materials import linear
from model_zoo.synthetic.recipes import Recipe, Take

SMALL = {"height": 160, "width": 200, "frames": 4, "fps": 4.0, "grain": 0.0}
BARREL = {"k1": -0.22, "k2": 0.02, "focal": 1.0}
CUSHION = {"k1": 0.2, "focal": 0.9}


def ray_of_every_pixel(camera):
    """Directions (H, W, 3) with z 1, camera frame."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    straight = camera.undistorted(np.stack([columns, rows], 2).astype(float))
    return np.concatenate([straight, np.ones((*straight.shape[:2], 1))], 2) @ np.linalg.inv(camera.intrinsics).T


@pytest.mark.parametrize("lens", [BARREL, CUSHION])
def test_bending_and_straightening_undo_each_other(lens):
    camera = Recipe("l", **SMALL, **lens).lens()
    rays = ray_of_every_pixel(camera)
    rows, columns = np.mgrid[: camera.height, : camera.width]
    assert np.abs(camera.project(rays) - np.stack([columns, rows], 2)).max() < 1e-6
    radius = np.linalg.norm(rays[0, 0, :2])
    seen = np.linalg.norm((np.array([0, 0]) - camera.intrinsics[:2, 2]) / camera.intrinsics[0, 0])
    k1, k2 = camera.distortion
    assert seen == pytest.approx(radius * (1 + k1 * radius**2 + k2 * radius**4), abs=1e-9)


def test_points_far_outside_stay_outside_of_a_barrel():
    camera = Recipe("l", **SMALL, **BARREL).lens()
    aside = np.array([[x, 0.0, 1.0] for x in (1.0, 2.0, 5.0, 50.0)])
    assert (np.diff(camera.project(aside)[:, 0]) > 0).all()
    assert "folds" in Recipe("l", k1=-0.6, focal=0.7).faults()[0]


@pytest.mark.parametrize("lens", [BARREL, CUSHION])
def test_truth_is_in_the_pixels_of_the_bent_picture(model, lens):
    take = Take(Recipe("l", place="street", action="wave", **SMALL, **lens), model, 2)
    camera, truth, seen = take.shot.camera, take.truth(1), Surveyor(take.shot)(1)
    rays = ray_of_every_pixel(camera)
    pose = camera.world_from_camera[1]
    down = rays @ pose[1, :3]  # world y of a ray
    ground = -pose[1, 3] / np.minimum(down, -1e-6)
    there = (down < -0.05) & (ground < 2.8) & ~truth.amodal & (seen.kind == 1)
    assert there.sum() > 1000 and (np.abs(truth.depth / ground - 1)[there] < 0.02).all()
    assert ((seen.kind == 4) == truth.human).all() and (seen.depth == truth.depth).all()
    assert np.abs(seen.flow[seen.kind == 1]).max() < 1e-3, "camera and scene stand still"
    # The picture's own subject is where the mask says.
    changed = np.abs(take.frame(1).astype(int) - take.background(1)).max(2) > 25
    assert changed[binary_erosion(truth.human)].mean() > 0.85
    rows, columns = np.nonzero(truth.amodal)
    shown = truth.keypoints[truth.in_view]
    assert (shown.min(0) > [columns.min() - 2, rows.min() - 2]).all()
    assert (shown.max(0) < [columns.max() + 2, rows.max() + 2]).all()
    straight = project(truth.keypoints_xyz, camera.intrinsics)
    assert np.abs(straight - truth.keypoints)[truth.in_view].max() > 1


def test_no_bending_changes_nothing(model):
    plain, bent = (Take(Recipe("l", **SMALL, k2=k2), model, 2) for k2 in (0.0, 1e-12))
    assert np.abs(plain.frame(0).astype(int) - bent.frame(0)).max() <= 1
    assert (plain.truth(0).human != bent.truth(0).human).sum() == 0


def test_walls_show_the_photograph_where_they_stand(model):
    rng = np.random.default_rng(3)
    coarse = rng.uniform(0.1, 0.9, (6, 9, 3))
    photo = linear(np.kron(coarse, np.ones((40, 40, 1)))).astype(np.float32)  # (240, 360)
    recipe = Recipe("p", place="photo", photo="x", action="wave", **SMALL)
    take = Take(recipe, model, 1, photo=photo)
    camera, seen, picture = take.shot.camera, Surveyor(take.shot)(0), take.background(0)
    rays = ray_of_every_pixel(camera)
    pose = camera.world_from_camera[0]
    at = (rays * seen.depth[..., None]) @ pose[:3, :3].T + pose[:3, 3]
    wall = (seen.kind == 1) & (at[..., 1] > 0.1)
    assert wall.sum() > 3000 and np.abs(at[wall, 2] + 4.0).max() < 0.01, "the wall is 4 m behind"
    column = (at[wall, 0] / 5.0 * 240 + 180).astype(int)
    row = ((1 - at[wall, 1] / 5.0) * 240).astype(int)
    expected = 255 * np.kron(coarse, np.ones((40, 40, 1)))[row.clip(0, 239), column.clip(0, 359)]
    inner = (row % 40 > 2) & (row % 40 < 37) & (column % 40 > 2) & (column % 40 < 37) & (column >= 0) & (column < 360)
    assert inner.sum() > 2000 and np.abs(picture[wall][inner] - expected[inner]).max() < 2
    with pytest.raises(ValueError, match="photo: is 'x', but none was given"):
        Take(recipe, model)


def test_a_photograph_is_mirrored_beyond_its_sides():
    photo = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    out = np.zeros(3)
    found = []
    for u in (-0.25, 0.25, 0.75, 1.25, 1.75, 2.25):
        shade.photo_colour(photo, 1.0, u, 0.75, out)
        found.append(out[0])
    assert found == [0, 0, 3, 3, 0, 0]


def test_a_cut_changes_the_view_and_not_the_motion(model):
    plain, cut = (Take(Recipe("c", action="walk", cut=c, **SMALL), model, 1) for c in (0, 2))
    assert (plain.frame(1) == cut.frame(1)).all() and (plain.frame(2) != cut.frame(2)).any()
    assert (plain.shot.subject.motion.transl == cut.shot.subject.motion.transl).all()
    pose = cut.shot.camera.world_from_camera
    assert (pose[0] == pose[1]).all() and (pose[2] == pose[3]).all()
    assert np.degrees(np.arccos(pose[1, :3, 2] @ pose[2, :3, 2])) > 40
    survey = Surveyor(cut.shot)
    assert not survey(1).flow.any() and survey(0).flow.any() and survey(2).flow.any() and not survey(3).flow.any()
    blurred = Take(Recipe("c", action="walk", cut=2, shutter=3, **SMALL), model, 1)
    assert blurred.shot.cut == 2 and np.allclose(blurred.shot.camera.world_from_camera, pose)
    assert (cut.frame(0) == Take(cut.recipe, model, 1).frame(0)).all()


def test_shares_of_the_new_kinds_leave_the_others_as_they_are():
    size = {"clips": 60, "seconds": 1, "fps": 10, "height": 128, "width": 160, "cameras": 1, "seed": 3}
    shares = {"street": 0.5, "focal": 0.5, "hard": 0.3}
    none = cast(**size, shares=shares)
    every = cast(**size, shares={**shares, "photographed": 1, "cut": 1, "distorted": 1}, photos=["a", "b"])
    assert all(r.cut == 0 and r.k1 == 0 and r.photo == "" for r in none)
    assert all(r.cut == 5 and r.place == "photo" and r.k1 != 0 for r in every) and {r.photo for r in every} == {
        "a",
        "b",
    }
    assert not [fault for r in every for fault in r.faults()]
    assert [r.at(cut=0, k1=0.0, k2=0.0, photo="", place=n.place) for r, n in zip(every, none)] == none
    assert 10 < sum(r.cut > 0 for r in cast(**size, shares={"cut": 0.5})) < 50
