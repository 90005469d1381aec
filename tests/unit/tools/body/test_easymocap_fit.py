"""EasyMocap's fit: every term by its formula, and recovery of known bodies."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from model_zoo.body.landmarks import keypoint_regressor
from model_zoo.body.posed_points import pose_points, rotations
from model_zoo.body.rotation import matrix_from_axis_angle
from model_zoo.body.skeleton import PARENTS
from model_zoo.body.smpl import SmplModel
from model_zoo.body.torch_smpl import PosedPoints, pose_matrices
from tests import bodies, nvr_example
from tools.body import easymocap_fit as fit
from workflow.errors import Rejected, ToolError
from workflow.stages.body import EasymocapFitParams
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

HEIGHT, WIDTH = 240, 320
K = np.array([[288.0, 0, 160], [0, 288, 120], [0, 0, 1]])


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model():
    return SmplModel.from_arrays(nvr_example.body())


@pytest.fixture(scope="module")
def rows():
    """Rows that hold each of the 25 points inside a small piece of the surface."""
    arrays = nvr_example.body()
    rng = np.random.RandomState(0)
    middles = rng.choice(nvr_example.NUM_VERTICES, 25, replace=False)
    rows = np.zeros((25, nvr_example.NUM_VERTICES))
    for row, middle in zip(rows, middles):
        row[np.linalg.norm(arrays["v_template"] - arrays["v_template"][middle], axis=1).argsort()[:8]] = 1 / 8
    return rows


def motion(frames, seed=0):
    """A slow motion: Rh, Th, poses, shapes."""
    rng = np.random.RandomState(seed)
    t = np.arange(frames)[:, None] / 10
    Rh = np.array([np.pi - 0.3, 0.1, 0.1]) + 0.1 * np.sin(t + np.arange(3))
    Th = np.array([0.1, 0.05, 3.0]) + 0.1 * np.sin(t * (1, 0.5, 0.7))
    poses = 0.15 * np.sin(t + rng.uniform(0, 6, 69))
    return Rh, Th, poses, 0.5 * rng.randn(10)


def slow_keypoints(Rh, Th, poses, shapes, rows):
    """EasyMocap's reduced model, written out: rows over everything, then LBS of the rows, then the turn about 0."""
    arrays = nvr_example.body()
    both = np.concatenate([arrays["J_regressor"], rows])
    small = {
        "v_template": both @ arrays["v_template"],
        "shapedirs": np.einsum("kv,vcb->kcb", both, arrays["shapedirs"]),
        "posedirs": np.einsum("kv,vcp->kcp", both, arrays["posedirs"]),
        "J_regressor": np.eye(49)[:24],
        "weights": both @ arrays["weights"],
    }
    out = []
    for rh, th, pose in zip(Rh, Th, poses):
        points, _ = nvr_example.lbs(small, np.append(np.zeros(3), pose), shapes)
        out.append(points[24:] @ nvr_example.rodrigues(rh).T + th)
    return np.stack(out)


def test_reduced_body_is_easymocaps(model, rows):
    Rh, Th, poses, shapes = motion(3)
    body = fit.ReducedBody(model, rows, torch.from_numpy(shapes))
    found = body(*(torch.from_numpy(each) for each in (Rh, Th, poses))).numpy()
    np.testing.assert_allclose(found, slow_keypoints(Rh, Th, poses, shapes, rows), atol=1e-9)


def test_posed_points_have_the_derivatives_of_their_definition():
    torch.manual_seed(0)
    weights = torch.rand(5, 24, dtype=torch.float64) ** 6
    weights[weights < 0.01] = 0
    joints = torch.randn(24, 3, dtype=torch.float64)
    vectors = torch.randn(2, 24, 3, dtype=torch.float64, requires_grad=True)
    points = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)

    def posed(vectors, points):
        return pose_points(matrix_from_axis_angle(vectors), points, weights, joints, torch.tensor(PARENTS))

    assert torch.autograd.gradcheck(posed, (vectors, points))


def test_rotations_are_rodrigues_with_its_derivative():
    torch.manual_seed(1)
    vectors = torch.randn(3, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(rotations(vectors), matrix_from_axis_angle(vectors), atol=1e-14)
    assert torch.autograd.gradcheck(rotations, (vectors,))
    still = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    rotations(still).sum().backward()
    assert torch.isfinite(still.grad).all()


@pytest.mark.parametrize("robust", [False, True])
def test_reprojection_by_its_formula(robust):
    rng = np.random.RandomState(1)
    points = rng.rand(4, 25, 3) + (0, 0, 2)
    target, confidence = rng.rand(4, 25, 2), rng.rand(4, 25)
    total = 0.0
    for t in range(4):
        for k in range(25):
            s = sum((points[t, k, a] / points[t, k, 2] - target[t, k, a]) ** 2 for a in range(2))
            total += confidence[t, k] * (s / (s + 0.02**2) if robust else s)
    found = fit.reprojection(*(torch.from_numpy(each) for each in (points, target, confidence)), robust)
    np.testing.assert_allclose(found, total / (1e-5 + confidence.sum()), rtol=1e-12)


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 6, 12])
def test_smoothness_by_its_formula_and_0_where_there_is_nothing(frames):
    x = torch.randn(frames, 4, 3, dtype=torch.float64, requires_grad=True)
    values, total = x.detach().numpy(), 0.0
    for lag, a in zip((1, 2, 3, 4), (0.5, 0.3, 0.1, 0.1)):
        velocity = [values[i + lag] - values[i] for i in range(frames - lag)]
        changes = [velocity[i + 1] - velocity[i] for i in range(len(velocity) - 1)]
        if changes:
            total += a * np.mean([(change**2).sum(-1).mean() for change in changes])
    np.testing.assert_allclose(fit.smoothness(x).detach(), total, rtol=1e-10, atol=1e-15)
    assert torch.autograd.gradcheck(fit.smoothness, (x,))


def test_pose_prior_by_its_formula(tmp_path):
    rng = np.random.RandomState(2)
    means, roots = 0.2 * rng.randn(3, 69), 0.1 * rng.randn(3, 69, 69)
    covariances = roots @ roots.transpose(0, 2, 1) + 0.05 * np.eye(69)
    weights = np.array([0.2, 0.5, 0.3])
    (tmp_path / "gmm.pkl").write_bytes(pickle.dumps({"means": means, "covars": covariances, "weights": weights}, 2))
    poses = 0.2 * rng.randn(4, 69)
    roots_of_determinant = [np.sqrt(np.linalg.det(each)) for each in covariances]
    wanted = []
    for pose in poses:
        each = []
        for k in range(3):
            d = pose - means[k]
            scale = (2 * np.pi) ** 34.5 * roots_of_determinant[k] / min(roots_of_determinant)
            each.append(0.5 * d @ np.linalg.inv(covariances[k]) @ d - np.log(weights[k] / scale))
        wanted.append(min(each))
    prior = fit.PosePrior.from_file(tmp_path / "gmm.pkl")
    np.testing.assert_allclose(prior(torch.from_numpy(poses)), np.mean(wanted), rtol=1e-9)
    with pytest.raises(ToolError, match="no such file"):
        fit.PosePrior.from_file(tmp_path / "none.pkl")


def test_initial_translation_solves_and_copies():
    rng = np.random.RandomState(3)
    points = rng.randn(4, 25, 3) * 0.3
    Th = np.array([[0.1, 0.2, 3.0], [0.3, -0.1, 4.0], [0, 0, 0], [0.2, 0.2, 2.5]])
    moved = points + Th[:, None]
    confidence = np.ones((4, 25))
    confidence[2] = 0.4  # 15 * 0.4 < 7.5
    found = fit.initial_translation(
        *(torch.from_numpy(each) for each in (points, moved[..., :2] / moved[..., 2:], confidence))
    )
    np.testing.assert_allclose(found[[0, 1, 3]], Th[[0, 1, 3]], atol=1e-9)
    np.testing.assert_array_equal(found[2], found[1])
    confidence[0] = 0
    again = fit.initial_translation(
        *(torch.from_numpy(each) for each in (points, moved[..., :2] / moved[..., 2:], confidence))
    )
    np.testing.assert_allclose(again[0], Th[1], atol=1e-9)  # the first there is


def test_smoothed_poses_are_means_of_five():
    x = torch.arange(7.0)[:, None] ** 2
    wanted = [np.mean([min(max(t + d, 0), 6) ** 2 for d in (-2, -1, 0, 1, 2)]) for t in range(7)]
    np.testing.assert_allclose(fit.smoothed_poses(x)[:, 0], wanted)
    assert torch.equal(fit.smoothed_poses(x[:1]), x[:1])


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_a_known_body_is_found_again(model, rows, frames):
    Rh, Th, poses, shapes = motion(frames)
    points = slow_keypoints(Rh, Th, poses, shapes, rows)
    seen = points @ K.T
    keypoints = np.concatenate([seen[..., :2] / seen[..., 2:], np.ones((frames, 25, 1))], -1)
    rng = np.random.RandomState(4)
    guess = (Rh + 0.1 * rng.randn(frames, 3), poses + 0.03 * rng.randn(frames, 69), np.tile(shapes, (frames, 1)))
    start = fit.Start(*(torch.from_numpy(each) for each in guess))
    found = fit.fit(model, rows, keypoints, K, start, max_steps=12)
    again = found.keypoints.numpy() @ K.T
    error = np.linalg.norm(again[..., :2] / again[..., 2:] - keypoints[..., :2], axis=-1)
    assert error.mean() < 0.8 and error.max() < 6, "px, of a picture of 320"
    assert np.linalg.norm(found.keypoints.numpy() - points, axis=-1).mean() < 0.06, "m"
    assert found.Rh.dtype == torch.float64


def test_the_solver_stops_by_itself_and_keeps_the_last_finite_values():
    x = torch.tensor([3.0, -2.0], dtype=torch.float64)
    value, steps = fit.minimise(lambda: ((x - 1) ** 2).sum(), [x], 999)
    assert value < 1e-12 and steps < 10 and torch.allclose(x, torch.ones(2, dtype=torch.float64))
    y = torch.tensor([1.0], dtype=torch.float64)
    fit.minimise(lambda: torch.log(y).sum(), [y], 999)  # falls without bound, then is not a number
    assert torch.isfinite(y).all()


def clip(frames, confidence=1.0, seen=None):
    """Frames and keypoints of which only BODY25's mean anything."""
    Rh, Th, poses, shapes = motion(frames)
    spool = Frames.spool("rgb")
    for _ in range(frames):
        spool.append(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    valid = np.ones(frames, bool) if seen is None else np.array(seen)
    keypoints = Keypoints(
        xy=np.zeros((frames, 133, 2), np.float32), confidence=np.full((frames, 133), confidence, np.float32),
        xyz=np.zeros((frames, 133, 3), np.float32), xyz_valid=np.zeros((frames, 133), bool),
        box=np.zeros((frames, 4), np.float32), valid=valid, quality={},
    )  # fmt: skip
    made = Frames(rgb=spool.finish(), timestamps=np.arange(frames) / 25, fps=25.0, quality={})
    return made, keypoints, (Rh, Th, poses, shapes)


def test_backend_reads_easymocaps_keypoints_and_pares_results(model, rows, tmp_path, monkeypatch):
    frames, keypoints, (Rh, Th, poses, shapes) = clip(4)
    np.savez(tmp_path / "body.npz", **model.arrays())
    np.save(tmp_path / "rows.npy", rows)
    monkeypatch.setattr(fit.layout, "WEIGHTS", tmp_path)
    seen = slow_keypoints(Rh, Th, poses, shapes, rows) @ K.T
    seen = seen[..., :2] / seen[..., 2:]
    for t in range(4):
        joints = [[x, y, 0.9] for x, y in seen[t].tolist()]
        people = [] if t == 2 else [{"personID": 0, "bbox": [0, 0, 1, 1, 1], "keypoints": joints}]
        (tmp_path / f"{t:06d}.json").write_text(json.dumps({"annots": people}))
        if t:  # a gap at the start takes the first there is
            result = {"Rh": Rh[t].astype(np.float32), "poses": poses[t], "shapes": shapes, "Th": np.zeros(3)}
            (tmp_path / f"{t:06d}.pkl").write_bytes(pickle.dumps(result, 2))
    params = EasymocapFitParams(iterations=6, regressor="rows.npy", annotations=str(tmp_path), pare=str(tmp_path))
    body = fit.load(params, {"body_model": tmp_path / "body.npz"})(frames, keypoints)
    assert body.valid.tolist() == [True, True, False, True]
    np.testing.assert_allclose(body.intrinsics, K)
    np.testing.assert_allclose(body.betas, shapes, atol=1e-6)
    assert body.reprojection_error[body.valid].max() < 2 and body.quality["pose_prior"] == 0
    # The artifact's convention: a turn about the pelvis.
    posed, joints = nvr_example.lbs(nvr_example.body(), np.append(np.zeros(3), body.body_pose[1]), body.betas)
    turn = nvr_example.rodrigues(body.global_orient[1].astype(float))
    np.testing.assert_allclose(body.joints[1, 0], joints[0] + body.transl[1], atol=1e-5)
    points = rows @ ((posed - joints[0]) @ turn.T + joints[0] + body.transl[1]) @ K.T
    assert np.linalg.norm(points[:, :2] / points[:, 2:] - seen[1], axis=1).mean() < 3


def test_backend_begins_from_our_own_landmarks(tmp_path):
    body_model = bodies.free_body()
    frames, keypoints, _ = clip(2)
    rng = np.random.RandomState(6)
    poses = torch.from_numpy(0.15 * rng.randn(2, 69))
    orient = torch.tensor([[np.pi, 0.2, 0.0], [np.pi, 0.25, 0.0]], dtype=torch.float64)
    points = PosedPoints(body_model, keypoint_regressor(body_model), torch.float64)
    transl = torch.tensor([[0.1, 0.2, 3.5]] * 2, dtype=torch.float64)
    posed = points(pose_matrices(orient, poses), transl, torch.zeros(10, dtype=torch.float64))[0].numpy()
    seen = posed @ K.T
    keypoints.xy[:, :23] = seen[..., :2] / seen[..., 2:]
    keypoints.confidence[:, 23:] = 0
    keypoints.xyz[:, :23] = posed - posed[:, [11, 12]].mean(1, keepdims=True)
    keypoints.xyz_valid[:, :23] = True
    run = fit.load(EasymocapFitParams(iterations=4), {"body_model": bodies.free_body_file()})
    body = run(frames, keypoints)
    assert body.valid.all() and body.reprojection_error.max() < 2
    assert (
        np.linalg.norm(body.joints[:, 0] - transl.numpy()[:, None][:, 0] - body_model.joints_template[0], axis=-1).max()
        < 0.4
    )


def test_our_keypoints_become_body25():
    _, keypoints, _ = clip(2, seen=[True, False])
    keypoints.xy[0, :, 0] = np.arange(133)
    keypoints.confidence[0, 5], keypoints.confidence[0, 12] = 0.25, 0.5
    found = fit.observed(keypoints)
    order = [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]
    assert found[0, order, 0].tolist() == list(range(17)) and found[0, 19:, 0].tolist() == [17, 18, 19, 20, 21, 22]
    assert (found[0, 1, 0], found[0, 8, 0]) == (5.5, 11.5) and (found[0, 1, 2], found[0, 8, 2]) == (0.25, 0.5)
    assert not found[1, :, 2].any()


def test_nobody_to_see_is_a_rejection_and_a_missing_file_an_error(model, rows, tmp_path, monkeypatch):
    frames, keypoints, _ = clip(2, seen=[False, False])
    np.savez(tmp_path / "body.npz", **model.arrays())
    np.save(tmp_path / "rows.npy", rows)
    monkeypatch.setattr(fit.layout, "WEIGHTS", tmp_path)
    run = fit.load(EasymocapFitParams(regressor="rows.npy"), {"body_model": tmp_path / "body.npz"})
    with pytest.raises(Rejected, match="none of 2 frames"):
        run(frames, keypoints)
    with pytest.raises(ToolError, match="no such file"):
        fit.load(EasymocapFitParams(regressor="other.npy"), {"body_model": tmp_path / "body.npz"})
    with pytest.raises(ToolError, match="the clip has 2 frames"):
        fit.read_annotations(tmp_path, 2)
