"""body/easymocap: the program's exact formats, its convention of rotation, and everything that can go wrong."""

import json
import sys

import numpy as np
import pytest

from model_zoo.body.smpl import SmplModel, rodrigues
from tests import examples, fake_easymocap, real_clips
from tools import easymocap
from tools.body import easymocap as backend
from tools.body import posed
from workflow.conventions import COCO_BODY, SMPL_JOINTS
from workflow.errors import Rejected, ToolError
from workflow.stages import STAGES
from workflow.stages.body import EasymocapParams
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

COUNT, HEIGHT, WIDTH = 10, 120, 160


def bodies():
    rng = np.random.default_rng(0)
    shapes = np.round(rng.normal(0, 1, 10), 3).tolist()
    return {
        str(t): {
            "Rh": np.round(rng.normal(0, 1.5, 3), 3).tolist(),
            "Th": [round(0.1 * t, 3), 0.2, 3.5],
            "poses": np.round(rng.normal(0, 0.3, 69), 3).tolist(),
            "shapes": shapes,
        }
        for t in range(COUNT)
    }


def clip(valid=None):
    spool = Frames.spool("rgb")
    for t in range(COUNT):
        spool.append(np.full((HEIGHT, WIDTH, 3), 20 * t, np.uint8))
    valid = np.ones(COUNT, bool) if valid is None else np.array(valid)
    frames = Frames(rgb=spool.finish(), timestamps=np.arange(COUNT) / 25, fps=25.0)
    confidence = np.zeros((COUNT, 133), np.float32)
    confidence[:, :17] = 0.9
    keypoints = Keypoints(
        xy=np.full((COUNT, 133, 2), 50, np.float32), confidence=confidence, xyz=np.zeros((COUNT, 133, 3), np.float32),
        xyz_valid=np.zeros((COUNT, 133), bool), box=np.zeros((COUNT, 4), np.float32), valid=valid,
    )  # fmt: skip
    return frames, keypoints


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Make a stand-in checkout with given answers; gives settings and files to use it."""
    monkeypatch.setattr(posed, "SMPL_VERTICES", 144)  # the doll stands for SMPL

    def make(**seen):
        told = {"frames": {}, "bodies": bodies(), "log": str(tmp_path / "runs"), **seen}
        commit = fake_easymocap.checkout(tmp_path / "EasyMocap", told)
        monkeypatch.setattr(easymocap, "COMMIT", commit[:7])
        doll = examples.body_model()
        doll["v_template"] = doll["v_template"] + (0.002, -0.22, 0.03)  # SMPL's pelvis is not at the origin either
        np.savez(tmp_path / "body.npz", **doll)
        params = EasymocapParams(
            checkout=str(tmp_path / "EasyMocap"), python=sys.executable, max_dropped=2, device="cpu"
        )
        return params, {"body_model": tmp_path / "body.npz"}

    return make


def easymocap_vertices(model, told):
    """EasyMocap's own definition: R(Rh) LBS(0, poses, shapes) + Th."""
    poser = model.poser(np.array(told["shapes"]))
    still = poser.vertices(np.zeros((1, 3)), np.array([told["poses"]]), np.zeros((1, 3)))[0]
    return still @ rodrigues(np.array(told["Rh"])).T + told["Th"]


def test_results_become_the_artifact_in_our_convention(made):
    params, files = made()
    body = backend.load(params, files)(*clip())
    model = SmplModel.load(files["body_model"])
    assert body.valid.all()
    vertices = model.poser(body.betas).vertices(body.global_orient, body.body_pose, body.transl)
    for t in range(COUNT):
        np.testing.assert_allclose(vertices[t], easymocap_vertices(model, bodies()[str(t)]), atol=1e-5)
    focal = 1.2 * HEIGHT
    np.testing.assert_allclose(body.intrinsics, [[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]], rtol=1e-6)
    assert body.quality["unseen_by_easymocap"] == 0
    assert body.quality["valid_share"] == 1


def test_frames_without_keypoints_are_not_handed_over(made):
    valid = [t not in (0, 4) for t in range(COUNT)]
    params, files = made()
    body = backend.load(params, files)(*clip(valid))
    np.testing.assert_array_equal(body.valid, valid)
    for t in range(COUNT):  # each result belongs to its own frame
        np.testing.assert_allclose(body.body_pose[t], bodies()[str({0: 1, 4: 3}.get(t, t))]["poses"], atol=1e-6)


def test_frames_in_which_the_program_sees_nobody_are_left_out(made, tmp_path):
    params, files = made(nobody=[2, 7])
    body = backend.load(params, files)(*clip())
    np.testing.assert_array_equal(body.valid, [t not in (2, 7) for t in range(COUNT)])
    assert (tmp_path / "runs").read_text().split() == ["10", "9", "8"]
    np.testing.assert_allclose(body.body_pose[8], bodies()["8"]["poses"], atol=1e-6)
    assert body.quality["unseen_by_easymocap"] == 2


def test_too_many_frames_without_a_person_are_a_rejection(made):
    params, files = made(nobody=[0, 2, 7])
    with pytest.raises(Rejected, match="max_dropped = 2"):
        backend.load(params, files)(*clip())


def test_a_checkout_without_its_weights_is_told(made, tmp_path):
    params, files = made()
    checkpoint = tmp_path / "EasyMocap/models/pare/data/pare/checkpoints/pare_w_3dpw_checkpoint.ckpt"
    checkpoint.unlink()
    with pytest.raises(ToolError, match="lacks models/pare/data/pare/checkpoints/pare_w_3dpw_checkpoint.ckpt"):
        backend.load(params, files)


def test_what_the_program_needs_is_declared_as_its_weights():
    declared = STAGES["body"].backends["easymocap"].weights
    prefix = "at:{checkout}/"
    assert {name.removeprefix(prefix) for name in declared} == set(backend._NEEDED) - {backend._DATA, backend._FIT}


def test_fewer_than_six_frames_are_a_rejection(made, tmp_path):
    params, files = made()
    with pytest.raises(Rejected, match="5 frames show the subject"):
        backend.load(params, files)(*clip([t < 5 for t in range(COUNT)]))
    assert not (tmp_path / "runs").exists()  # not even tried


def test_another_failure_is_told(made):
    params, files = made(exit=4)
    with pytest.raises(ToolError, match=r"exit code 4(?s:.*)something else"):
        backend.load(params, files)(*clip())


def test_partial_output_is_told(made):
    params, files = made(written=6)
    with pytest.raises(ToolError, match="wrote no smpl/000006.json"):
        backend.load(params, files)(*clip())


def test_another_body_than_smpl_is_told(made, monkeypatch):
    params, files = made()
    monkeypatch.setattr(posed, "SMPL_VERTICES", 6890)
    with pytest.raises(ToolError, match="set stages.body_model.backend to smpl"):
        backend.load(params, files)


@pytest.mark.parametrize("content", ["nothing", "[]", '[{"Rh": [[1, 2, 3]]}]', '[{"Rh": [[NaN, 0, 0]]}]'])
def test_results_of_another_form_are_told(tmp_path, content):
    path = tmp_path / "000000.json"
    if "NaN" in content:
        told = {"Rh": [[float("nan"), 0, 0]], "Th": [[0] * 3], "poses": [[0] * 69], "shapes": [[0] * 10]}
        content = json.dumps([told])
    path.write_text(content)
    with pytest.raises(ToolError, match="000000.json"):
        backend.read_result(path)


@pytest.mark.real
def test_real_frames_reach_the_program_and_its_bodies_come_back(made, tmp_path):
    """Keypoints where EasyMocap's camera sees the told bodies, in the real frame's pixels: nothing is left between."""
    frames = real_clips.frames("juggle.mp4", range(9))
    height, width = frames.rgb.frame_shape[:2]
    told = {}
    for t in range(9):
        small = bodies()[str(t)]["poses"]
        told[str(t)] = {
            "Rh": [3.1, 0.05 * t, 0.0], "Th": [round(0.02 * t - 0.05, 3), 0.1, 4.5],
            "poses": (np.array(small) / 2).round(3).tolist(), "shapes": bodies()["0"]["shapes"],
        }  # fmt: skip
    params, files = made(bodies=told, nobody=[5], pictures=str(tmp_path / "pictures"))
    model = SmplModel.load(files["body_model"])
    focal = 1.2 * 720  # the picture's shorter side
    common = [name for name in COCO_BODY if name in SMPL_JOINTS]
    xy, confidence = np.zeros((9, 133, 2), np.float32), np.zeros((9, 133), np.float32)
    for t in range(9):
        person = told[str(t)]
        poser = model.poser(np.array(person["shapes"]))
        still = poser.joints(np.zeros((1, 3)), np.array([person["poses"]]), np.zeros((1, 3)))[0]
        joints = still @ rodrigues(np.array(person["Rh"])).T + person["Th"]
        for name in common:
            x, y, z = joints[SMPL_JOINTS.index(name)]
            xy[t, COCO_BODY.index(name)] = x / z * focal + 640, y / z * focal + 360
            confidence[t, COCO_BODY.index(name)] = 0.9
    assert ((xy[:, 5:17] > 0) & (xy[:, 5:17] < (width, height))).all()
    keypoints = Keypoints(
        xy=xy, confidence=confidence, xyz=np.zeros((9, 133, 3), np.float32), xyz_valid=np.zeros((9, 133), bool),
        box=np.tile(real_clips.JUGGLE_SUBJECT.astype(np.float32), (9, 1)), valid=np.arange(9) != 2,
    )  # fmt: skip
    body = backend.load(params, files)(frames, keypoints)
    # Without frame 2, and again without frame 5, in which its detector sees nobody.
    fake_easymocap.check_pictures(tmp_path / "pictures", frames.rgb, [0, 1, 3, 4, 5, 0, 1, 3, 4, 6, 7, 8])
    np.testing.assert_array_equal(body.valid, [t not in (2, 5) for t in range(9)])
    np.testing.assert_allclose(body.intrinsics, [[864, 0, 640], [0, 864, 360], [0, 0, 1]])
    assert body.reprojection_error[body.valid].max() < 0.01
    assert body.quality["reprojection_px"] < 0.01 and body.quality["unseen_by_easymocap"] == 1
    vertices = model.poser(body.betas).vertices(body.global_orient, body.body_pose, body.transl)
    for t in np.flatnonzero(body.valid):
        np.testing.assert_allclose(vertices[t], easymocap_vertices(model, told[str(t)]), atol=1e-5)
