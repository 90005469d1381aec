import os

import numpy as np
import pytest

from model_zoo.diffusion.motion_file import DEFAULT_FPS, from_arrays, read

RNG = np.random.default_rng(0)
POSES, TRANS = RNG.normal(0, 0.3, (6, 156)), RNG.normal(0, 1, (6, 3))


def test_amass(tmp_path):
    np.savez(tmp_path / "a.npz", poses=POSES, trans=TRANS, betas=np.arange(16.0), mocap_framerate=120.0, gender="male")
    found = read(tmp_path / "a.npz")
    assert len(found) == 6 and found.fps == 120 and found.betas.tolist() == list(range(10))
    assert np.array_equal(found.poses[:, :22].reshape(6, 66), POSES[:, :66]) and not found.poses[:, 22:].any()
    assert np.array_equal(found.trans, TRANS)


def test_smpl_keeps_its_hand_joints_and_may_say_nothing_of_rate_and_shape(tmp_path):
    np.savez(tmp_path / "a.npz", global_orient=POSES[:, :3], body_pose=POSES[:, 3:72], transl=TRANS)
    found = read(tmp_path / "a.npz")
    assert np.array_equal(found.poses.reshape(6, 72), POSES[:, :72])
    assert found.fps == DEFAULT_FPS and found.betas is None


def test_xrmocaps_object_is_read_without_running_anything(tmp_path):
    held = {
        "betas": np.ones((1, 10)), "global_orient": POSES[:, :3], "body_pose": POSES[:, 3:66], "transl": TRANS,
        "left_hand_pose": np.zeros((6, 45)), "expression": np.zeros((6, 10)),
    }  # fmt: skip
    np.savez(tmp_path / "a.npz", smplx=held, meta={"gender": "neutral"}, __data_len__=np.int32(6))
    found = read(tmp_path / "a.npz")
    assert np.array_equal(found.poses[:, :22].reshape(6, 66), POSES[:, :66]) and found.betas.tolist() == [1] * 10


class _Hostile:
    def __reduce__(self):
        return os.system, ("touch hostile-was-here",)


def test_a_file_that_asks_for_more_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", smplx=_Hostile())
    with pytest.raises(ValueError, match="refused to load (posix|nt).system"):
        read(tmp_path / "a.npz")
    assert not (tmp_path / "hostile-was-here").exists()


def test_all_faults_come_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"m: no poses; no transl; frame rate is 0, expected one number above 0"):
        from_arrays({"mocap_framerate": np.array(0)}, "m")
    with pytest.raises(ValueError, match="60 numbers a frame, expected 66 or more"):
        from_arrays({"poses": np.zeros((4, 60)), "trans": np.zeros((4, 3))})
    with pytest.raises(ValueError, match="3 translations for 4 poses"):
        from_arrays({"poses": np.zeros((4, 66)), "trans": np.zeros((3, 3))})
    with pytest.raises(ValueError, match="not finite"):
        from_arrays({"poses": np.full((4, 66), np.nan), "trans": np.zeros((4, 3))})
    with pytest.raises(ValueError, match=r"body_pose has shape \(4, 60\)"):
        from_arrays({"global_orient": np.zeros((4, 3)), "body_pose": np.zeros((4, 60)), "transl": np.zeros((4, 3))})
    (tmp_path / "x.npz").write_bytes(b"no zip")
    with pytest.raises(ValueError, match="not a readable .npz"):
        read(tmp_path / "x.npz")
