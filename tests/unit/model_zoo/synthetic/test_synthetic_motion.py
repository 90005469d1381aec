"""Cameras and motions: geometry, feet on the ground, parameters that mean what they say."""

import numpy as np
import pytest

from model_zoo.body.smpl import kinematics, pose_matrices
from model_zoo.synthetic import camera as cameras
from model_zoo.synthetic.camera import Camera
from model_zoo.synthetic.gait import walk
from model_zoo.synthetic.gestures import wave_and_squat
from model_zoo.synthetic.motion import SIDES, about

FPS = 24.0


def ahead(times):
    return np.stack([0.3 + 1.1 * times * np.sin(0.6), 1.1 * times * np.cos(0.6)], 1), np.full(len(times), 0.6)


@pytest.fixture(scope="module")
def motions(body):
    return {"walk": walk(body.skeleton, ahead, 60, FPS, phase=0.2), "wave": wave_and_squat(body.skeleton, 60, FPS)}


def test_a_camera_sees_its_target_in_the_middle_and_the_world_upright():
    pose = cameras.look_at(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, -1.0]))
    assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3)) and np.isclose(np.linalg.det(pose[:3, :3]), 1)
    k = cameras.intrinsics(100, 200, 150.0)
    points = cameras.to_camera(np.array([[0.0, 1.0, -1.0], [0.0, 1.5, -1.0]]), pose)
    middle, above = cameras.project(points, k)
    assert np.allclose(middle, [99.5, 49.5]) and above[1] < 49.5 and np.isclose(above[0], 99.5)


def test_a_resized_camera_keeps_pixel_edges_in_place():
    camera = Camera(60, 80, cameras.intrinsics(60, 80, 90.0), np.eye(4)[None])
    point = np.array([[0.2, -0.1, 1.5]])
    small, large = (cameras.project(point, c.intrinsics)[0] for c in (camera, camera.scaled(180, 160)))
    assert np.allclose(large + 0.5, (small + 0.5) * [2, 3])


def test_rotations_about_an_axis_turn_the_right_way():
    assert np.allclose(about("y", 0.5 * np.pi) @ [0, 0, 1], [1, 0, 0])
    assert np.allclose(about("x", np.full(2, 0.5 * np.pi)) @ [0, 1, 0], [0, 0, 1])
    assert np.allclose(about("z", 0.5 * np.pi) @ [1, 0, 0], [0, 1, 0])


@pytest.mark.parametrize("name", ["walk", "wave"])
def test_feet_at_rest_touch_the_ground_and_do_not_slide(body, motions, name):
    motion = motions[name]
    assert motion.contacts.any(0).all()
    moves = body.transforms(motion)
    posed = np.stack([body.vertices(moves[t]) for t in range(len(motion))])
    low = body.template[:, 1] < body.marks.shoe_y - 0.02
    for n, sign in enumerate((1, -1)):
        sole = posed[:, low & (sign * body.template[:, 0] > 0)]
        down = motion.contacts[:, n]
        assert np.abs(sole[down][:, :, 1].min(1)).max() < 0.004
        steady = down[1:] & down[:-1]
        assert np.linalg.norm(sole[1:][steady] - sole[:-1][steady], axis=-1).max() < 0.003  # m a frame
    assert posed[:, :, 1].min() > -0.02
    assert (posed[:, :, 1].min(1) < 0.02).all()  # never in the air


def test_a_walk_follows_its_path_and_swings_arms_against_legs(body, motions):
    motion = motions["walk"]
    times = np.arange(60) / FPS
    place = motion.transl[:, [0, 2]] + body.joints_rest[0, [0, 2]]
    assert np.linalg.norm(place - ahead(times)[0], axis=1).max() < 0.04
    joints = body.joints(motion)
    forward = np.array([np.sin(0.6), 0.0, np.cos(0.6)])
    feet = (joints[:, 7] - joints[:, 8]) @ forward
    hands = (joints[:, 20] - joints[:, 21]) @ forward
    assert np.ptp(feet) > 0.6 and np.corrcoef(feet, hands)[0, 1] < -0.8
    # The ankle turns against the ground by steps, not by jumps.
    assert np.abs(np.diff(motion.body_pose, axis=0)).max() < 0.6


def test_knees_bend_backwards_only_and_the_squat_is_deep(body, motions):
    for motion in motions.values():
        for n in range(len(SIDES)):
            assert motion.body_pose[:, 3 * (3 + n)].min() > -1e-6  # joints 4 and 5, about x
    heights = motions["wave"].transl[:, 1]
    assert heights.max() - heights.min() > 0.25


def test_parameters_seen_from_a_camera_give_the_same_joints(body, motions):
    motion = motions["walk"]
    poses = cameras.look_at(np.linspace([0, 1, 4], [1, 2, 3], 60), np.array([0.0, 1.0, 0.0]))
    orient, transl = motion.seen_from(poses, body.joints_rest[0])
    joints = kinematics(pose_matrices(orient, motion.body_pose), body.joints_rest)[:, :, :3, 3] + transl[:, None]
    world = body.joints(motion)
    expected = np.stack([cameras.to_camera(world[t], poses[t]) for t in range(60)])
    assert np.abs(joints - expected).max() < 1e-6
