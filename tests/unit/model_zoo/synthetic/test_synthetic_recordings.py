"""Recorded motions, from one that we make ourselves."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from model_zoo.synthetic.motion import about
from model_zoo.synthetic.recipes import Recipe, Take, shoot
from model_zoo.synthetic.recordings import Recording, recorded

FPS = 60.0


@pytest.fixture
def arrays(model):
    """Our own walk as AMASS would have it: z up, somewhere else, 156 numbers a frame."""
    motion = shoot(Recipe("w", action="walk", frames=121, fps=FPS), model).subject.motion
    up = about("x", 0.5 * np.pi)
    root = Rotation.from_matrix(up @ Rotation.from_rotvec(motion.global_orient).as_matrix()).as_rotvec()
    body = shoot(Recipe("w", frames=2), model).subject.body
    pelvis = body.joints_rest[0]
    trans = (motion.transl + pelvis) @ up.T - pelvis + [7.0, -3.0, 0.4]
    poses = np.zeros((121, 156))
    poses[:, :3], poses[:, 3:66] = root, motion.body_pose[:, :63]
    return motion, body, {"poses": poses, "trans": trans, "mocap_framerate": np.array(FPS)}


def test_a_recording_is_the_motion_it_was_made_from(arrays):
    motion, body, written = arrays
    found = recorded(Recording.from_arrays(written), body, 61, FPS / 2, np.array([0.2, -0.3]))
    every = motion.body_pose[::2].reshape(61, 23, 3)[:, :21]
    assert np.abs(found.body_pose.reshape(61, 23, 3)[:, :21] - every).max() < 1e-6
    assert not found.body_pose[:, 63:].any()  # hands were not recorded
    steps = np.linalg.norm(np.diff(found.transl, axis=0), axis=1)
    assert steps == pytest.approx(np.linalg.norm(np.diff(motion.transl[::2], axis=0), axis=1), abs=1e-6)
    joints = body.joints(found)
    assert joints[30, 0, [0, 2]] == pytest.approx([0.2, -0.3])
    facing = Rotation.from_rotvec(found.global_orient[30]).apply([0.0, 0.0, 1.0])
    assert facing[2] > 0.95
    assert joints[:, 15, 1].min() > joints[:, 0, 1].max() > 0.7, "upright"
    lowest = [body.vertices(moves)[:, 1].min() for moves in body.transforms(found)]
    assert -0.04 < min(lowest) < 0.01
    assert found.contacts.any(0).all() and not found.contacts.all(0).any()


def test_a_recording_can_be_filmed_and_ends_in_a_stand_still(arrays, model):
    _, _, written = arrays
    recipe = Recipe("r", recording="walk.npz", start_s=1.9, frames=6, fps=10.0, height=96, width=80)
    take = Take(recipe, model, 1, Recording.from_arrays(written))
    assert take.truth(3).human.any()
    motion = take.shot.subject.motion
    assert not np.diff(motion.transl[2:], axis=0).any() and np.diff(motion.transl[:2], axis=0).any()
    with pytest.raises(ValueError, match="recording: is 'walk.npz', but none was given"):
        shoot(recipe, model)


def test_what_is_no_recording_is_told():
    with pytest.raises(ValueError, match="a.npz: no trans; no mocap_framerate"):
        Recording.from_arrays({"poses": np.zeros((3, 156))}, "a.npz")
    with pytest.raises(ValueError, match=r"poses has shape \(3, 30\).*trans has shape \(2, 3\)"):
        Recording.from_arrays({"poses": np.zeros((3, 30)), "trans": np.zeros((2, 3)), "mocap_framerate": np.array(30)})
