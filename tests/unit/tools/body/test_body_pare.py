"""body/pare through load and call: a stand-in network whose answer is known, taken as it is and refined."""

import sys
import types

import cv2
import numpy as np
import pytest
import torch

from model_zoo.body.smpl import SmplModel, pose_matrices, rodrigues
from model_zoo.hrnet.network import HrnetConfig
from model_zoo.pare.network import Pare, PareConfig
from tests import examples, real_clips
from tools.body import pare as backend
from tools.body import posed
from tools.body.chain import State
from tools.body.observations import OBSERVED
from workflow.errors import Rejected, ToolError
from workflow.stages.body import PareParams
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

NETWORK = PareConfig(
    HrnetConfig(width=2, joints=24, bottlenecks=1, modules=(1, 1, 1), blocks=1, input_size=(64, 64)),
    filters=3,
    features=2,
)
COUNT, HEIGHT, WIDTH = 6, 360, 480
TRANSL = np.array([0.2, 0.1, 4.0])


def truth():
    """Pose (24, 3) of somebody upright before the camera who waves, and his shape."""
    pose = np.zeros((24, 3))
    pose[0] = (np.pi * 0.98, 0.1, 0.2)
    pose[16], pose[17], pose[18] = (0, 0, -1.0), (0, 0, 1.0), (0, -0.7, 0)
    pose[1], pose[4] = (-0.5, 0, 0), (0.7, 0, 0)
    return pose, np.linspace(-0.5, 0.5, 10)


def planted():
    """PARE that answers with the truth whatever it sees."""
    pose, betas = truth()
    network = Pare(NETWORK)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not name.endswith("running_var"):
                tensor.zero_()
        network.head.smpl_deconv_layers[4].bias[0] = 1.0  # a feature that is 1 everywhere
        columns = rodrigues(pose)[:, :, :2].reshape(24, 6)
        network.head.pose_mlp.weight[0, :, 0, :, 0, 0] = torch.from_numpy(2.0 * columns.T)  # of any length
        network.head.shape_mlp.bias.copy_(torch.from_numpy(betas))
    return network


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "NETWORK", NETWORK)
    monkeypatch.setattr(backend, "SMPL_VERTICES", 144)  # the doll stands for SMPL
    monkeypatch.setattr(posed, "SMPL_VERTICES", 144)
    state = {f"model.{key}": value for key, value in planted().state_dict().items()}
    state["model.smpl.faces"] = torch.zeros(3)
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "pare.ckpt")
    np.savez(tmp_path / "body.npz", **examples.body_model())
    return {"pare-checkpoint": tmp_path / "pare.ckpt", "body_model": tmp_path / "body.npz"}


def observed(carried, betas):
    """The observed points (29, 3), m, at the true place."""
    pose, _ = truth()
    matrices = torch.from_numpy(pose_matrices(pose[None, 0], pose[None, 1:].reshape(1, 69)))
    points = (
        carried[0].first(len(OBSERVED)).posed(State(matrices, torch.from_numpy(TRANSL)[None], torch.from_numpy(betas)))
    )
    return points.points_TP3[0].numpy()


def clip(carried, betas, valid=None, confidence=0.9):
    spool = Frames.spool("rgb")
    for t in range(COUNT):
        spool.append(np.full((HEIGHT, WIDTH, 3), 30 * t, np.uint8))
    frames = Frames(rgb=spool.finish(), timestamps=np.arange(COUNT) / 25, fps=25.0)
    focal = 1.2 * HEIGHT
    points = observed(carried, betas)
    pixels = points[:, :2] / points[:, 2:] * focal + ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    xy, sure = np.zeros((COUNT, 133, 2), np.float32), np.zeros((COUNT, 133), np.float32)
    xy[:, :17] = pixels[:17]
    sure[:, :17] = confidence
    box = np.concatenate([pixels.min(0) - 10, pixels.max(0) + 10]).astype(np.float32)
    keypoints = Keypoints(
        xy=xy, confidence=sure, xyz=np.zeros((COUNT, 133, 3), np.float32), xyz_valid=np.zeros((COUNT, 133), bool),
        box=np.tile(box, (COUNT, 1)), valid=np.ones(COUNT, bool) if valid is None else np.array(valid),
    )  # fmt: skip
    return frames, keypoints


def test_the_network_s_answer_as_it_is(files, carried):
    pose, betas = truth()
    valid = [t != 2 for t in range(COUNT)]
    found = backend.load(PareParams(refine=False, device="cpu", batch=4), files)(*clip(carried, betas, valid))
    np.testing.assert_array_equal(found.valid, valid)
    np.testing.assert_allclose(found.betas, betas, atol=1e-5)
    np.testing.assert_allclose(rodrigues(found.global_orient), np.tile(rodrigues(pose[0]), (COUNT, 1, 1)), atol=1e-5)
    np.testing.assert_allclose(found.body_pose, np.tile(pose[1:].reshape(69), (COUNT, 1)), atol=1e-5)
    np.testing.assert_allclose(found.transl, np.tile(TRANSL, (COUNT, 1)), atol=1e-4)
    model = SmplModel.load(files["body_model"])
    expected = model.poser(betas).joints(pose[None, 0], pose[None, 1:].reshape(1, 69), TRANSL[None])[0]
    np.testing.assert_allclose(found.joints[0], expected, atol=1e-4)


def test_the_fit_begins_from_it(files, carried):
    """The doll's keypoints alone do not tell what is in front; with PARE's joints the fit finds the pose."""
    pose, betas = truth()
    frames, keypoints = clip(carried, betas)
    found = backend.load(PareParams(device="cpu"), files)(frames, keypoints)
    assert found.valid.all()
    model = SmplModel.load(files["body_model"])
    expected = model.poser(betas).joints(pose[None, 0], pose[None, 1:].reshape(1, 69), TRANSL[None])[0]
    limbs = [1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21]
    relative = found.joints - found.joints[:, :1]
    wanted = expected - expected[:1]
    assert np.linalg.norm(relative[:, limbs] - wanted[limbs], axis=-1).mean() < 0.06
    assert found.quality["reprojection_share"] < 0.02


def test_another_body_keeps_its_shape(files, carried, monkeypatch):
    monkeypatch.setattr(backend, "SMPL_VERTICES", 6890)
    monkeypatch.setattr(posed, "SMPL_VERTICES", 6890)
    with pytest.raises(ToolError, match="set stages.body_model.backend to smpl"):
        backend.load(PareParams(refine=False, device="cpu"), files)
    seen = {}
    monkeypatch.setattr(backend.smplify, "fit", lambda carried, keypoints, *rest: seen.update(keypoints=keypoints))
    backend.load(PareParams(device="cpu"), files)(*clip(carried, np.zeros(10)))
    expected = observed(carried, np.zeros(10))
    expected -= expected[[11, 12]].mean(0)
    at = list(OBSERVED)
    np.testing.assert_allclose(seen["keypoints"].xyz[3, at], expected, atol=1e-5)
    assert seen["keypoints"].xyz_valid[:, at].all()
    assert seen["keypoints"].xyz_valid.sum() == COUNT * len(at)


def test_translation_is_the_weighted_least_squares_of_the_contract():
    rng = np.random.default_rng(0)
    points, confidence = rng.normal(0, 0.5, (3, 17, 3)), rng.uniform(0.5, 1, (3, 17))
    confidence[2] = 0.3  # sums to less than 7.5
    camera = np.array([[400.0, 0, 240], [0, 400, 180], [0, 0, 1]])
    xy = (points + (0.1, -0.2, 4))[..., :2] / (points + (0.1, -0.2, 4))[..., 2:] * 400 + (240, 180)
    xy += rng.normal(0, 3, xy.shape)
    found, placed = backend.place(points, xy, confidence, camera)
    np.testing.assert_array_equal(placed, [True, True, False])
    for t in range(2):
        rows, right = [], []
        body = [(points[t, j], xy[t, j], confidence[t, j]) for j in (0, *range(5, 17))]
        for a, b in ((5, 6), (11, 12)):
            body.append(
                ((points[t, a] + points[t, b]) / 2, (xy[t, a] + xy[t, b]) / 2, min(confidence[t, a], confidence[t, b]))
            )
        assert len(body) == 15
        for (x, y, z), (u, v), c in body:
            rows += [c * np.array([1, 0, -(u - 240) / 400]), c * np.array([0, 1, -(v - 180) / 400])]
            right += [c * (z * (u - 240) / 400 - x), c * (z * (v - 180) / 400 - y)]
        a, b = np.array(rows), np.array(right)
        np.testing.assert_allclose(found[t], np.linalg.inv(a.T @ a) @ a.T @ b, rtol=1e-8)
    assert not found[2].any()


def test_no_keypoints_are_a_rejection(files, carried):
    _, betas = truth()
    work = backend.load(PareParams(refine=False, device="cpu"), files)
    with pytest.raises(Rejected, match="no frame has keypoints"):
        work(*clip(carried, betas, [False] * COUNT))
    with pytest.raises(Rejected, match="add up to 7.5"):
        work(*clip(carried, betas, confidence=0.2))


def test_a_checkpoint_of_another_form_is_told(files):
    torch.save(planted().state_dict(), files["pare-checkpoint"])
    with pytest.raises(ToolError, match="holds no 'state_dict'"):
        backend.load(PareParams(device="cpu"), files)
    torch.save({"state_dict": {"model.backbone.conv1.weight": torch.ones(2)}}, files["pare-checkpoint"])
    with pytest.raises(ToolError, match="another architecture"):
        backend.load(PareParams(device="cpu"), files)


class CfgNode(dict):
    """Settings as the training framework keeps them."""


class ModelCheckpoint:
    """A callback, by whose class its state is filed."""


def test_settings_beside_the_tensors_are_read_past(files, carried, monkeypatch):
    names = {CfgNode: "yacs.config", ModelCheckpoint: "pytorch_lightning.callbacks.model_checkpoint"}
    for kind, name in names.items():
        module = types.ModuleType(name)
        setattr(module, kind.__name__, kind)
        monkeypatch.setattr(kind, "__module__", name)
        parts = name.split(".")
        for k in range(1, len(parts)):
            monkeypatch.setitem(sys.modules, ".".join(parts[:k]), types.ModuleType(".".join(parts[:k])))
        monkeypatch.setitem(sys.modules, name, module)
    content = torch.load(files["pare-checkpoint"], weights_only=True)
    settings = CfgNode(lr=1e-4, model=CfgNode(layers=[1, 2]))
    settings.__dict__["frozen"] = True
    content |= {"hyper_parameters": settings, "callbacks": {ModelCheckpoint: {"best": np.float64(3)}}}
    torch.save(content, files["pare-checkpoint"])
    for name in names.values():
        monkeypatch.delitem(sys.modules, name)
    found = backend.load(PareParams(refine=False, device="cpu"), files)(*clip(carried, truth()[1]))
    assert found.valid.all()


SEEN_SHAPE, SEEN_JOINT, SEEN_POSE = 3.0, 5, 6.0  # how much the colours tell


def planted_on_colours():
    """PARE as planted, but its first shape coefficient and one joint's rotation follow the crop's colours.

    HRNet passes on red and green of every fourth pixel, normalised, where they are above 0; the head takes their means.
    """
    network = planted()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(1.0)
        body, head = network.backbone, network.head
        for conv in (body.conv1, body.conv2, body.transition1[0][0]):
            for colour in range(2):
                conv.weight[colour, colour, 1, 1] = 1.0
        for colour in range(2):
            body.layer1[0].downsample[0].weight[colour, colour, 0, 0] = 1.0
            head.smpl_deconv_layers[0].weight[1 + colour, colour, 1, 1] = 1.0
            head.smpl_deconv_layers[3].weight[1 + colour, 1 + colour, 1, 1] = 1.0
            head.smpl_final_layer.weight[colour, 1 + colour, 0, 0] = 1.0
        red, green = 0, 1
        head.shape_mlp.weight[0, red] = SEEN_SHAPE
        head.pose_mlp.weight[0, 4, 1 + green, SEEN_JOINT, 0, 0] = SEEN_POSE
    return network


def colours_in(rgb, box):
    """Means (2,) of red and green, normalised and not below 0, of every fourth pixel of PARE's crop of a box."""
    side = 1.1 * max(box[2] - box[0], box[3] - box[1])
    at = (np.arange(0, 64, 4) - 32) * side / 64
    x, y = np.meshgrid(at + (box[0] + box[2]) / 2, at + (box[1] + box[3]) / 2)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    values = np.zeros((*x.shape, 2))
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        i, j = top + row, left + column
        inside = (i >= 0) & (i < rgb.shape[0]) & (j >= 0) & (j < rgb.shape[1])
        weight = (1 - np.abs(y - i)) * (1 - np.abs(x - j)) * inside
        values += weight[..., None] * rgb[i.clip(0, rgb.shape[0] - 1), j.clip(0, rgb.shape[1] - 1), :2]
    return np.maximum((values / 255 - (0.485, 0.456)) / (0.229, 0.224), 0).mean((0, 1))


@pytest.mark.real
def test_real_frames_are_seen_in_the_subject_s_square(files, carried):
    """Shape and pose tell the mean colours of the square round the player's box, which reaches beyond the picture."""
    state = {f"model.{key}": value for key, value in planted_on_colours().state_dict().items()}
    torch.save({"state_dict": state}, files["pare-checkpoint"])
    frames = real_clips.frames("tennis.mp4", (0, 4, 8))
    height, width = frames.rgb.frame_shape[:2]
    boxes = real_clips.TENNIS_SUBJECT + np.array([[0, 0, 0, 0], [-25, -5, -25, -5], [-180, 30, -180, 60]])
    pose, betas = truth()
    colours = np.stack([colours_in(rgb, box) for rgb, box in zip(frames.rgb, boxes)])
    betas[0] += SEEN_SHAPE * colours[:, 0].mean()
    poses = np.tile(pose, (3, 1, 1))
    for t in range(3):  # its six numbers are two columns, of any length and not upright to each other
        columns = 2.0 * rodrigues(pose[SEEN_JOINT])[:, :2]
        columns[2, 0] += SEEN_POSE * colours[t, 1]
        first = columns[:, 0] / np.linalg.norm(columns[:, 0])
        second = columns[:, 1] - first * (first @ columns[:, 1])
        second /= np.linalg.norm(second)
        poses[t, SEEN_JOINT] = cv2.Rodrigues(np.stack([first, second, np.cross(first, second)], 1))[0][:, 0]
    matrices = torch.from_numpy(pose_matrices(poses[:, 0], poses[:, 1:].reshape(3, 69)))
    place = torch.from_numpy(np.tile(TRANSL, (3, 1)))
    posed_points = carried[0].first(len(OBSERVED)).posed(State(matrices, place, torch.from_numpy(betas)))
    points = posed_points.points_TP3.numpy()[:, :17]
    xy, sure = np.zeros((3, 133, 2), np.float32), np.zeros((3, 133), np.float32)
    xy[:, :17] = points[..., :2] / points[..., 2:] * 1.2 * 720 + ((width - 1) / 2, (height - 1) / 2)
    sure[:, :17] = 0.9
    keypoints = Keypoints(
        xy=xy, confidence=sure, xyz=np.zeros((3, 133, 3), np.float32), xyz_valid=np.zeros((3, 133), bool),
        box=boxes.astype(np.float32), valid=np.ones(3, bool),
    )  # fmt: skip
    found = backend.load(PareParams(refine=False, device="cpu", batch=2), files)(frames, keypoints)
    assert found.valid.all()
    np.testing.assert_allclose(found.betas, betas, atol=2e-3)
    np.testing.assert_allclose(
        rodrigues(found.body_pose.reshape(-1, 3)), rodrigues(poses[:, 1:].reshape(-1, 3)), atol=1e-3
    )
    np.testing.assert_allclose(found.transl, np.tile(TRANSL, (3, 1)), atol=0.01)
    np.testing.assert_allclose(
        found.intrinsics, [[864, 0, (width - 1) / 2], [0, 864, (height - 1) / 2], [0, 0, 1]], rtol=1e-6
    )
