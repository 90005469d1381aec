import numpy as np
import torch

from model_zoo.diffusion.posing import Poser, pack_camera, pack_pose, unpack_camera, unpack_pose, unpacked
from tests import examples


def test_rest_pose_is_the_template(poser):
    vertices = poser(torch.zeros(1, 10), torch.zeros(1, 2, 72), torch.zeros(1, 2, 3))
    assert torch.allclose(vertices[0, 1], poser.template, atol=1e-5)


def test_shape_translation_and_root_rotation(poser):
    body = examples.body_model()
    betas = torch.randn(2, 10)
    pose = torch.zeros(2, 1, 72)
    pose[:, 0, 0] = torch.pi
    transl = torch.randn(2, 1, 3)
    vertices = poser(betas, pose, transl)[:, 0]
    shaped = torch.from_numpy((body["v_template"] + body["shapedirs"] @ betas[1].double().numpy()).astype(np.float32))
    root = torch.from_numpy((body["J_regressor"][0] @ shaped.double().numpy()).astype(np.float32))
    expected = (shaped - root) * torch.tensor([1.0, -1, -1]) + root + transl[1]
    assert torch.allclose(vertices[1], expected, atol=1e-4)


def test_pose_blend_shapes_are_added():
    body = examples.body_model()
    body["posedirs"] = np.random.default_rng(0).normal(0, 0.01, body["posedirs"].shape)
    pose = torch.zeros(1, 1, 72)
    pose[..., 3 + 2] = 0.3
    plain = Poser(examples.body_model())(torch.zeros(1, 10), pose, torch.zeros(1, 1, 3))
    assert not torch.allclose(Poser(body)(torch.zeros(1, 10), pose, torch.zeros(1, 1, 3)), plain, atol=1e-4)
    still = Poser(body)(torch.zeros(1, 10), torch.zeros(1, 1, 72), torch.zeros(1, 1, 3))
    assert torch.allclose(still[0, 0], Poser(body).template, atol=1e-4)


def test_poser_adds_nothing_to_a_checkpoint(poser):
    assert not poser.state_dict() and not list(poser.parameters())


def test_packed_pose_round_trip():
    pose, transl = torch.randn(2, 5, 72), torch.randn(2, 5, 3)
    packed = pack_pose(pose, transl)
    assert packed.shape == (2, 5, 168)
    assert (packed[..., 66:165] == 0).all()
    found_pose, found_transl = unpack_pose(packed)
    assert torch.equal(found_pose[..., :66], pose[..., :66]) and (found_pose[..., 66:] == 0).all()
    assert torch.equal(found_transl, transl)


def test_packed_camera_projects_as_documented():
    intrinsics = torch.tensor([[500.0, 0, 31], [0, 510, 17], [0, 0, 1]])
    rotation = torch.linalg.qr(torch.randn(3, 3))[0]
    packed = pack_camera(rotation, torch.tensor([0.1, 0.2, 3.0]), intrinsics)
    assert packed.shape == (16,)
    found = unpack_camera(packed)
    assert torch.equal(found[0], rotation) and torch.equal(found[2], intrinsics)
    x = found[0] @ torch.tensor([0.1, -0.2, 0.3]) + found[1]
    u = packed[12] * x[0] / x[2] + packed[14]
    assert torch.allclose((found[2] @ x)[0] / x[2], u)


def test_packed_motion_is_the_body_before_the_camera(poser):
    generator = torch.Generator().manual_seed(2)
    pose = 0.2 * torch.randn(2, 3, 72, generator=generator)
    pose[..., 66:] = 0  # hands have no place
    transl, betas = torch.randn(2, 3, 3, generator=generator), torch.randn(1, 10, generator=generator)
    rotation = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]).expand(2, 3, 3, 3)  # a quarter turn about z
    translation = torch.tensor([0.1, 0.2, 3.0]).expand(2, 3, 3)
    intrinsics = torch.tensor([[50.0, 0, 31], [0, 60, 33], [0, 0, 1]]).expand(2, 3, 3, 3)
    found, camera = unpacked(poser, pack_pose(pose, transl), betas, pack_camera(rotation, translation, intrinsics))
    x, y, z = poser(betas.expand(2, -1), pose, transl).unbind(-1)
    assert torch.allclose(found, torch.stack([-y + 0.1, x + 0.2, z + 3], -1), atol=1e-5)
    assert torch.equal(camera, intrinsics)
