"""Posing: our numpy and torch functions against smplx and against each other; reading; what is refused."""

import numpy as np
import pytest
import torch

from model_zoo.body.smpl import SmplModel, easymocap_translation, kinematics, posed_from_rest, rodrigues
from model_zoo.body.torch_smpl import PosedPoints, TorchSmpl, pose_matrices

TOLERANCE = 1e-5


def tensors(motion, dtype=torch.float32):
    return {key: torch.tensor(value, dtype=dtype) for key, value in motion.items()}


def smplx_forward(model, motion):
    package = pytest.importorskip(
        "model_zoo.body.package", reason="smplx is not in this environment", exc_type=ImportError
    )
    given = tensors(motion)
    given["betas"] = given["betas"].expand(5, -1)
    with torch.no_grad():
        output = package.to_smplx(model, batch_size=5)(**given)
    return output.vertices.numpy(), output.joints.numpy()


@pytest.mark.parametrize("which", ["toy", "free_body"])
def test_agrees_with_smplx(which, motion, request):
    model = request.getfixturevalue(which)
    vertices, joints = smplx_forward(model, motion)
    assert joints.shape == (5, 24, 3)
    poser = model.poser(motion["betas"])
    pose = {key: motion[key] for key in ("global_orient", "body_pose", "transl")}
    np.testing.assert_allclose(poser.vertices(**pose), vertices, atol=TOLERANCE)
    np.testing.assert_allclose(poser.joints(**pose), joints, atol=TOLERANCE)
    body, given = TorchSmpl(model), tensors(motion)
    np.testing.assert_allclose(body.vertices_posed(**given).numpy(), vertices, atol=TOLERANCE)
    np.testing.assert_allclose(body.joints_posed(**given).numpy(), joints, atol=TOLERANCE)


def test_pose_correctives_matter(toy, motion):
    given = tensors(motion)
    with_them = TorchSmpl(toy).vertices_posed(**given)
    arrays = toy.arrays() | {"posedirs": np.zeros_like(toy.posedirs)}
    without = TorchSmpl(SmplModel.from_arrays(arrays)).vertices_posed(**given)
    torch.testing.assert_close(with_them[0], without[0])  # no rotation in this frame
    assert (with_them[1] - without[1]).abs().max() > 0.01


def test_no_pose_is_the_shaped_template(toy):
    betas = np.linspace(-1, 1, 10)
    zero = np.zeros((1, 69))
    vertices = toy.poser(betas).vertices(zero[:, :3], zero, np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_allclose(vertices[0], toy.vertices_rest(betas) + [1, 2, 3], atol=TOLERANCE)


def test_shape_per_frame(toy, motion):
    given = tensors(motion)
    betas = torch.stack([given["betas"] * k for k in range(5)])
    body = TorchSmpl(toy)
    together = body.vertices_posed(given["global_orient"], given["body_pose"], given["transl"], betas)
    joints = body.joints_posed(given["global_orient"], given["body_pose"], given["transl"], betas)
    for t in range(5):
        one = {key: given[key][t : t + 1] for key in ("global_orient", "body_pose", "transl")}
        torch.testing.assert_close(body.vertices_posed(**one, betas=betas[t])[0], together[t], atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(body.joints_posed(**one, betas=betas[t])[0], joints[t], atol=TOLERANCE, rtol=0)


def test_gradcheck_of_kinematics_alone(toy, motion):
    body = TorchSmpl(toy, dtype=torch.float64)
    given = {key: value[1:2] if key != "betas" else value for key, value in tensors(motion, torch.float64).items()}
    for value in given.values():
        value.requires_grad_()
    assert torch.autograd.gradcheck(
        body.joints_posed, tuple(given[k] for k in ("global_orient", "body_pose", "transl", "betas"))
    )


def test_posed_points_of_single_vertices_are_those_vertices(toy, motion):
    chosen = [3, 41, 17]
    rows = np.eye(60)[chosen]
    given = tensors(motion)
    matrices = pose_matrices(given["global_orient"], given["body_pose"])
    points, joints = PosedPoints(toy, rows)(matrices, given["transl"], given["betas"])
    body = TorchSmpl(toy)
    torch.testing.assert_close(points, body.vertices_posed(**given)[:, chosen], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(joints, body.joints_posed(**given), atol=TOLERANCE, rtol=0)


def test_easymocap_turns_about_the_origin(toy, motion):
    poser = toy.poser(motion["betas"])
    ours = poser.vertices(motion["global_orient"], motion["body_pose"], motion["transl"])
    still = np.zeros((5, 3))
    inner = poser.vertices(still, motion["body_pose"], still)
    # EasyMocap poses with a root rotation of zero, but correctives of joints 1 to 23 only: the same here.
    turned = np.einsum("tij,tvj->tvi", rodrigues(motion["global_orient"]), inner)
    shift = easymocap_translation(motion["global_orient"], motion["transl"], poser.joints_rest[0])
    np.testing.assert_allclose(turned + shift[:, None], ours, atol=TOLERANCE)


def test_skinning_transforms_keep_joints_at_their_place(toy, motion):
    joints = toy.joints_rest(motion["betas"])
    pose = np.concatenate([motion["global_orient"], motion["body_pose"]], 1).reshape(5, 24, 3)
    chain = kinematics(rodrigues(pose), joints)
    transforms = posed_from_rest(chain, joints)
    moved = np.einsum("tjkl,jl->tjk", transforms[..., :3, :3], joints) + transforms[..., :3, 3]
    np.testing.assert_allclose(moved, chain[..., :3, 3], atol=1e-9)


def test_npz_round_trip(toy, tmp_path):
    np.savez(tmp_path / "body.npz", **toy.arrays())
    again = SmplModel.load(tmp_path / "body.npz")
    for key, array in toy.arrays().items():
        np.testing.assert_array_equal(again.arrays()[key], array)


def test_more_betas_are_cut_to_ten(toy_arrays):
    toy_arrays["shapedirs"] = np.concatenate([toy_arrays["shapedirs"], np.ones((60, 3, 290))], axis=2)
    assert SmplModel.from_arrays(toy_arrays).shapedirs.shape == (60, 3, 10)


def test_all_faults_at_once(toy_arrays):
    toy_arrays["weights"] = toy_arrays["weights"][:, :23]
    toy_arrays["v_template"][4, 1] = np.nan
    toy_arrays["f"][0, 0] = 60
    with pytest.raises(ValueError, match=r"weights has shape \(60, 23\).*points outside.*v_template has values"):
        SmplModel.from_arrays(toy_arrays)


def test_missing_arrays_are_named(toy_arrays):
    del toy_arrays["posedirs"], toy_arrays["f"]
    with pytest.raises(ValueError, match="no posedirs, f"):
        SmplModel.from_arrays(toy_arrays)


def test_another_skeleton_is_refused(toy_arrays):
    toy_arrays["kintree_table"][0, 5] = 1
    with pytest.raises(ValueError, match="kintree_table has parents"):
        SmplModel.from_arrays(toy_arrays)


def test_npz_with_objects_is_refused(toy_arrays, tmp_path):
    toy_arrays["weights"] = np.array([{}], dtype=object)
    np.savez(tmp_path / "body.npz", **toy_arrays)
    with pytest.raises(ValueError, match="body.npz.*not a readable body model"):
        SmplModel.load(tmp_path / "body.npz")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "body.obj").write_text("v 0 0 0")
    with pytest.raises(ValueError, match="an .npz or a .pkl"):
        SmplModel.load(tmp_path / "body.obj")
    (tmp_path / "body.npz").write_text("not a zip")
    with pytest.raises(ValueError, match="not a readable body model"):
        SmplModel.load(tmp_path / "body.npz")
