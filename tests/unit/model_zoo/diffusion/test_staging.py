import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from model_zoo.body.skeleton import INDEX
from model_zoo.body.smpl import SmplModel
from model_zoo.diffusion.dressed_mesh import project
from model_zoo.diffusion.motion_file import MotionFile
from model_zoo.diffusion.staging import default_stage, put, resampled, where_stood
from tests import examples

BETAS = np.linspace(-1, 1, 10)
MODEL = SmplModel.from_arrays(examples.body_model())


def walk(frames=21, fps=30.0):
    """Somebody who walks along his own front, y up, waving."""
    poses = np.zeros((frames, 24, 3))
    poses[:, INDEX["l_shoulder"], 2] = np.linspace(-1, 1, frames)
    poses[:, 0, 1] = 0.3
    ahead = np.array([np.sin(0.3), 0, np.cos(0.3)])
    return MotionFile(poses, np.linspace(0, 1, frames)[:, None] * ahead + [4, 1, -2], fps, None)


def elsewhere(motion, turn):
    """The same motion in a frame that is turned about the origin."""
    pelvis = MODEL.joints_rest(BETAS)[0]
    poses = motion.poses.copy()
    poses[:, 0] = (turn * Rotation.from_rotvec(poses[:, 0])).as_rotvec()
    return MotionFile(poses, turn.apply(motion.trans + pelvis) - pelvis, motion.fps, None)


def joints(staged):
    return MODEL.poser(BETAS).joints(staged.global_orient, staged.body_pose, staged.transl)


@pytest.mark.parametrize("turn", [[0, 0, 0], [90, 0, 0], [0, 0, 90], [180, 0, 0], [90, 0, 130]])
def test_whichever_way_up_a_file_is_the_body_stands_before_the_camera(turn):
    motion = elsewhere(walk(), Rotation.from_euler("xyz", turn, degrees=True))
    stage = default_stage(90, 120, len(motion))
    staged = put(motion, stage, MODEL, BETAS, (90, 120))
    found = joints(staged)
    assert (found[:, INDEX["head"], 1] < found[:, INDEX["pelvis"], 1]).all(), "y points down"
    facing = Rotation.from_rotvec(staged.global_orient[len(motion) // 2]).apply([0, 0, 1.0])
    assert facing == pytest.approx([0, 0, -1], abs=1e-6)
    # It walks ahead, to the camera, over the same distance and at the same height.
    way = found[-1, 0] - found[0, 0]
    assert way == pytest.approx([0, 0, -1], abs=1e-6)
    vertices = MODEL.poser(BETAS).vertices(staged.global_orient, staged.body_pose, staged.transl).astype(float)
    pixels = project(vertices, stage.intrinsics[0])
    assert (pixels >= [6, 4]).all() and (pixels <= [113, 85]).all(), "with a margin of 6 %"
    assert np.ptp(pixels[..., 1]) > 60, "as large as fits"


def test_a_motion_that_needs_much_room_keeps_its_size():
    motion = walk()
    far = MotionFile(motion.poses, motion.trans * [40, 1, 1], motion.fps, None)
    staged = put(far, default_stage(90, 90, len(far)), MODEL, BETAS, (90, 90))
    heights = np.ptp(project(joints(staged), default_stage(90, 90, 1).intrinsics[0])[..., 1], axis=1)
    assert np.median(heights) > 0.25 * 90


def test_it_stands_where_somebody_stood():
    intrinsics = np.tile(np.array([[100, 0, 60], [0, 100, 45], [0, 0, 1.0]]), (21, 1, 1))
    tilt = Rotation.from_euler("x", 12, degrees=True)  # the camera looks down
    poses = np.tile((tilt * Rotation.from_euler("x", 180, degrees=True)).as_rotvec(), (5, 1))
    there = MODEL.poser(BETAS).joints(poses, np.zeros((5, 69)), np.tile([0.4, 0.2, 5.0], (5, 1)))
    stage = where_stood(there, intrinsics)
    assert stage.up == pytest.approx(tilt.apply([0, -1, 0]), abs=0.05)
    found = joints(put(walk(), stage, MODEL, BETAS, (90, 120)))
    feet = [INDEX["l_foot"], INDEX["r_foot"]]
    assert found[10, feet].mean(0) == pytest.approx(there[0, feet].mean(0), abs=0.12)
    bent = there.copy()
    bent[:, INDEX["neck"]] = bent[:, INDEX["l_ankle"]] + [1, 0, 0]
    assert where_stood(bent, intrinsics).up.tolist() == [0, -1, 0]


def test_resampling_keeps_times():
    motion = walk(31, 60.0)
    found = resampled(motion, 24.0, 100)
    assert len(found) == 13 and found.fps == 24
    at = np.arange(13) / 24
    assert found.trans[:, 0] == pytest.approx(np.interp(at, np.arange(31) / 60, motion.trans[:, 0]))
    arm = found.poses[:, INDEX["l_shoulder"], 2]
    assert arm == pytest.approx(-1 + 2 * at / 0.5, abs=1e-6)
    assert len(resampled(motion, 24.0, 5)) == 5 and len(resampled(walk(1), 24.0, 5)) == 1
