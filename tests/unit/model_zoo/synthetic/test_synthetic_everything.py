"""Depth, normals and optical flow of every pixel against what can be worked out by hand."""

import numpy as np
import pytest

from model_zoo.synthetic import camera as cameras
from model_zoo.synthetic import mesh, scenes
from model_zoo.synthetic.camera import Camera
from model_zoo.synthetic.everything import OTHER_PERSON, SCENE, SKY, SUBJECT, THING, Surveyor
from model_zoo.synthetic.motion import Motion
from model_zoo.synthetic.recipes import Recipe, Take
from model_zoo.synthetic.render import Actor, Prop, Renderer, Shot

HEIGHT, WIDTH, FOCAL = 120, 160, 144.0
RADIUS, DISTANCE = 0.3, 2.0


def still(body, count):
    transl = np.tile([0.0, -body.skeleton.sole, 0.0], (count, 1))
    return Motion(np.zeros((count, 3)), np.zeros((count, 69)), transl, np.ones((count, 2), bool))


def shot_of(body, pose, props=()):
    camera = Camera(HEIGHT, WIDTH, cameras.intrinsics(HEIGHT, WIDTH, FOCAL), pose)
    return Shot("t", 24.0, scenes.street(), camera, Actor(body, still(body, len(pose))), props=props)


@pytest.fixture(scope="module")
def ball(body):
    """A ball on the optical axis that moves by (0.1, 0.05, 0.2) m in the world; the camera stands still."""
    pose = np.tile(cameras.look_at(np.array([0.0, 1.0, 3.5]), np.array([0.0, 1.0, 0.0])), (2, 1, 1))
    places = np.array([[0.0, 1.0, 1.5], [0.1, 1.05, 1.7]])
    shot = shot_of(body, pose, (Prop(mesh.sphere((0, 0, 0), RADIUS, mesh.Material(), True, rings=64), places),))
    return shot, Surveyor(shot)(0), Surveyor(shot)(1)


def rays():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - 0.5 * (WIDTH - 1)) / FOCAL, (rows - 0.5 * (HEIGHT - 1)) / FOCAL


def test_a_ball_is_round_and_moves_as_it_is_moved(ball):
    _, first, last = ball
    x, y = rays()
    a = 1 + x * x + y * y
    root = DISTANCE**2 - a * (DISTANCE**2 - RADIUS**2)
    inside = root > 0.02
    z = (DISTANCE - np.sqrt(np.maximum(root, 0))) / a
    point = np.stack([x * z, y * z, z], 2)
    assert (first.kind[inside] == THING).all()
    assert np.abs(first.depth - z)[inside].max() < 0.003
    cosine = ((point - [0, 0, DISTANCE]) / RADIUS * first.normal).sum(2)[inside]
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 1.0
    then = point + [0.1, -0.05, -0.2]  # the camera looks along -z of the world, its y points down
    flow = FOCAL * (then[..., :2] / then[..., 2:] - point[..., :2] / point[..., 2:])
    assert np.abs(first.flow - flow)[inside].max() < 0.15
    assert not last.flow.any()


def test_the_ground_is_flat_and_stands_still(ball):
    _, first, _ = ball
    x, y = rays()
    ground = (first.kind == SCENE) & (first.depth < 3.4) & (y > 0.2)
    assert ground.sum() > 1500
    assert np.abs(first.depth - 1.0 / np.maximum(y, 1e-9))[ground].max() < 1e-4
    assert np.abs(first.normal[ground] - [0, -1, 0]).max() < 1e-5
    assert np.abs(first.flow[first.kind == SCENE]).max() < 1e-3


def test_a_turning_camera_moves_all_alike_near_the_axis(body):
    at = np.array([0.0, 1.0, 3.5])
    pose = np.stack([cameras.look_at(at, at + [np.sin(a), 0.2, -np.cos(a)]) for a in (0.0, 0.05)])
    seen = Surveyor(shot_of(body, pose))(0)
    assert {SKY, SCENE, SUBJECT} <= set(np.unique(seen.kind))
    k = cameras.intrinsics(HEIGHT, WIDTH, FOCAL)
    warp = k @ pose[1, :3, :3].T @ pose[0, :3, :3] @ np.linalg.inv(k)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    here = np.stack([columns, rows, np.ones_like(rows)], 2) @ warp.T
    expected = here[..., :2] / here[..., 2:] - np.stack([columns, rows], 2)
    assert np.abs(seen.flow - expected).max() < 0.01, "turning about the camera's own place is a homography"


def test_it_agrees_with_the_subjects_truth(model):
    take = Take(Recipe("e", action="wave", company="behind", frames=6, fps=3.0, height=160, width=120), model, 1)
    truth, seen = Renderer(take.shot, 1).truth(3), Surveyor(take.shot)(3)
    assert ((seen.kind == SUBJECT) == truth.human).all() and OTHER_PERSON in seen.kind
    assert (seen.depth == truth.depth).all()
    assert np.abs(seen.normal - truth.body_normal)[truth.human].max() < 1e-6
    moved = Surveyor(take.shot)(2)
    assert np.abs(moved.flow[moved.kind == SUBJECT]).max() > 0.5


def test_keypoints_ride_on_the_flow(model):
    """Where the subject's nose is in the next frame follows from the flow at the nose."""
    take = Take(Recipe("n", action="turn", frames=20, fps=20.0, height=320, width=240), model, 1)
    renderer, surveyor = Renderer(take.shot, 1), Surveyor(take.shot)
    before, after = renderer.truth(0), renderer.truth(1)
    nose = np.rint(before.keypoints[0]).astype(int)
    assert before.visible[0]
    assert np.abs(surveyor(0).flow[nose[1], nose[0]] - (after.keypoints[0] - before.keypoints[0])).max() < 0.7
