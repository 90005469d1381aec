import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from tests import examples
from tests.unit.tools.body.doll_clips import SIZE, change, cut, make_clip
from tools.body.smplify import fit, load
from workflow.errors import Rejected
from workflow.stages.body import SmplifyParams

PARAMS = SmplifyParams()


def run(carried, clip, params=PARAMS):
    return fit(carried, clip.keypoints, SIZE, clip.fps, params)


def error_mm(body, clip) -> float:
    """Mean joint error after the pelvises are put together."""
    joints = body.joints - body.joints[:, :1]
    return float(1e3 * np.linalg.norm(joints - (clip.joints - clip.joints[:, :1]), axis=-1).mean())


@pytest.fixture(scope="module")
def clip(doll):
    return make_clip(doll, 40, noise=1)


@pytest.fixture(scope="module")
def body(carried, clip):
    return run(carried, clip)


def test_noisy_clip_is_fitted(body, clip):
    assert error_mm(body, clip) < 35
    acceleration = np.diff(body.joints - clip.joints, 2, axis=0)
    assert 1e3 * np.linalg.norm(acceleration, axis=-1).mean() < 6
    assert np.abs(body.transl[:, 2] - clip.transl[:, 2]).mean() < 0.2
    assert body.quality["reprojection_share"] < 0.03


def test_frames_without_the_person_are_filled_but_not_valid(body, clip):
    assert np.flatnonzero(~body.valid).tolist() == [9]
    assert body.quality["valid_share"] == pytest.approx(39 / 40)
    assert np.linalg.norm(body.joints[9] - clip.joints[9], axis=-1).mean() < 0.25


def test_joints_agree_with_the_parameters(doll, body):
    posed = doll.poser(body.betas).joints(body.global_orient, body.body_pose, body.transl)
    np.testing.assert_allclose(body.joints, posed, atol=2e-5)


def test_default_camera(body):
    expected = [[864, 0, 639.5], [0, 864, 359.5], [0, 0, 1]]
    np.testing.assert_allclose(body.intrinsics, expected)
    assert (body.world_from_camera == np.eye(4)).all()


def test_focal_length_of_the_user_scales_the_distance(carried, clip):
    body = run(carried, cut(clip, slice(10, 25)), SmplifyParams(focal_px=1728.0))
    assert body.intrinsics[0, 0] == 1728
    assert np.abs(body.transl[:, 2] / (2 * clip.transl[10:25, 2]) - 1).max() < 0.1


def test_same_input_gives_the_same_bytes(carried, clip, body):
    again = run(carried, clip)
    for name in type(body).specs():
        assert getattr(body, name).tobytes() == getattr(again, name).tobytes(), name


@pytest.mark.parametrize(("frames", "bound"), [(1, 80), (2, 100), (3, 80)])
def test_very_short_clips(carried, clip, frames, bound):
    short = cut(clip, slice(0, frames))
    assert error_mm(run(carried, short), short) < bound


def test_person_beside_the_middle_of_the_picture(carried, doll):
    clip = make_clip(doll, 12, noise=0, aside=1.4)
    assert error_mm(run(carried, clip), clip) < 30


def test_clip_without_landmarks(carried, clip):
    flat = change(clip, xyz=np.zeros_like(clip.keypoints.xyz), xyz_valid=np.zeros_like(clip.keypoints.xyz_valid))
    assert error_mm(run(carried, flat), clip) < 150


def test_hidden_legs_stay_within_what_legs_can_do(carried, clip):
    confidence, xy, random = clip.keypoints.confidence.copy(), clip.keypoints.xy.copy(), np.random.default_rng(0)
    confidence[:, 13:23] = 0.03
    xy[:, 13:23] += 80 * random.normal(size=(40, 10, 2)).astype(np.float32)
    body = run(carried, change(clip, confidence=confidence, xy=xy))
    pose = body.body_pose.reshape(-1, 23, 3)
    assert np.abs(pose[:, [3, 4], 1:]).max() < 0.3  # knees: twist and sideways
    assert pose[:, [3, 4], 0].min() > -0.2
    assert pose[:, [3, 4], 0].max() < 2.0


def test_long_gap_is_bridged_smoothly(carried, clip):
    valid = clip.keypoints.valid.copy()
    valid[12:30] = False
    body = run(carried, change(clip, valid=valid))
    steps = np.linalg.norm(np.diff(body.joints, axis=0), axis=-1)
    assert steps.max() < 0.15
    assert not body.valid[12:30].any()


def test_clip_that_begins_without_the_person_holds_still(carried, clip):
    valid = clip.keypoints.valid.copy()
    valid[:15] = False
    body = run(carried, change(clip, valid=valid))
    assert np.linalg.norm(body.joints[0] - body.joints[15], axis=-1).max() < 0.6


def test_nobody_is_rejected_with_numbers(carried, clip):
    with pytest.raises(Rejected, match="0 of 40 frames show at least 4 joints"):
        run(carried, change(clip, valid=np.zeros(40, bool)))


def test_scattered_points_are_rejected(carried, clip):
    random = np.random.default_rng(0)
    xy = random.uniform(0, 700, clip.keypoints.xy.shape).astype(np.float32)
    xyz = random.normal(size=clip.keypoints.xyz.shape).astype(np.float32)
    with pytest.raises(Rejected, match=r"does not fit: typical reprojection error 0\.\d+ of the box height"):
        run(carried, change(clip, xy=xy, xyz=xyz))


def test_load_reads_the_model_and_the_size_of_the_frames(tmp_path, clip, body):
    np.savez(tmp_path / "body.npz", **examples.body_model())
    backend = load(PARAMS, {"body_model": tmp_path / "body.npz"})
    frames = SimpleNamespace(rgb=SimpleNamespace(frame_shape=(*SIZE, 3)), fps=clip.fps)
    loaded = backend(frames, clip.keypoints)
    assert {f.name for f in dataclasses.fields(loaded)} == {f.name for f in dataclasses.fields(body)}
    np.testing.assert_array_equal(loaded.joints, body.joints)
