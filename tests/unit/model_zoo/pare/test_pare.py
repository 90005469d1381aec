"""PARE: the published tree, and the same numbers as a formulation without modules."""

import numpy as np
import pytest
import torch

from model_zoo.hrnet.network import HrnetConfig
from model_zoo.pare.network import Pare, PareConfig, betas, published_names, rotations
from tests.plain_hrnet import PlainHrnet, randomised

SMALL = PareConfig(
    HrnetConfig(width=4, joints=24, bottlenecks=1, modules=(1, 1, 1), blocks=1, input_size=(64, 64)),
    filters=6,
    features=3,
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_the_published_sizes():
    with torch.device("meta"):
        network = Pare()
    state = network.state_dict()
    assert len(state) == 1905
    assert sum(p.numel() for p in network.parameters()) == 32_861_502
    for name, shape in {
        "backbone.conv1.weight": (64, 3, 3, 3),
        "backbone.stage4.2.fuse_layers.3.2.0.0.weight": (256, 128, 3, 3),
        "backbone.upsample_stage_2.1.weight": (64, 64, 3, 3),
        "backbone.upsample_stage_4.9.weight": (256, 256, 3, 3),
        "backbone.upsample_stage_4.10.running_var": (256,),
        "backbone.final_layer.weight": (24, 32, 1, 1),
        "head.keypoint_deconv_layers.0.weight": (128, 480, 3, 3),
        "head.keypoint_deconv_layers.4.num_batches_tracked": (),
        "head.smpl_deconv_layers.3.weight": (128, 128, 3, 3),
        "head.keypoint_final_layer.weight": (25, 128, 1, 1),
        "head.smpl_final_layer.bias": (64,),
        "head.temperature": (),
        "head.init_pose": (1, 144),
        "head.init_shape": (1, 10),
        "head.init_cam": (1, 3),
        "head.shape_mlp.weight": (10, 1536),
        "head.cam_mlp.bias": (3,),
        "head.pose_mlp.weight": (1, 6, 128, 24, 1, 1),
    }.items():
        assert tuple(state[name].shape) == shape, name


def resize_by_two(x):
    """Twice as large with aligned corners, by one matrix an axis."""
    size = x.shape[-1]
    matrix = torch.zeros(2 * size, size, dtype=x.dtype)
    for k in range(2 * size):
        at = k * (size - 1) / (2 * size - 1)
        low = min(int(at), size - 2) if size > 1 else 0
        matrix[k, low] += 1 - (at - low)
        if size > 1:
            matrix[k, low + 1] += at - low
    return matrix @ x @ matrix.T


def plain(state, x):
    """Pose (N, 24, 6), shape and camera, number by number where it matters."""
    hrnet = PlainHrnet(state, "backbone.")
    features = hrnet.features(x)
    joined = [features[0]]
    for branch in (1, 2, 3):
        y = features[branch]
        for step in range(branch):
            name = f"upsample_stage_{branch + 1}"
            y = hrnet.norm(hrnet.conv(resize_by_two(y), f"{name}.{4 * step + 1}"), f"{name}.{4 * step + 2}").clamp(
                min=0
            )
        joined.append(y)
    head = PlainHrnet(state, "head.")

    def branch(name):
        y = torch.cat(joined, 1)
        for step in range(2):
            y = head.norm(head.conv(y, f"{name}.{3 * step}"), f"{name}.{3 * step + 1}").clamp(min=0)
        return y

    parts = head.conv(branch("keypoint_deconv_layers"), "keypoint_final_layer")
    appearance = branch("smpl_deconv_layers")
    final = head.conv(appearance, "smpl_final_layer")
    poses, shapes, cameras = [], [], []
    for n in range(len(x)):
        attended, rest = [], []
        for joint in range(24):
            weight = parts[n, joint + 1].exp()
            weight = weight / weight.sum()
            attended.append((appearance[n] * weight).sum((1, 2)))
            rest.append((final[n] * weight).sum((1, 2)))
        flat = torch.stack(rest, 1).flatten()  # channel by channel, joints within
        poses.append(torch.stack([head.s["pose_mlp.weight"][0, :, :, j, 0, 0] @ attended[j] for j in range(24)]))
        shapes.append(head.s["shape_mlp.weight"] @ flat + head.s["shape_mlp.bias"])
        cameras.append(head.s["cam_mlp.weight"] @ flat + head.s["cam_mlp.bias"])
    return torch.stack(poses), torch.stack(shapes), torch.stack(cameras)


def test_the_network_computes_what_its_weights_say():
    network = randomised(Pare(SMALL)).double()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        rows = network(x)
        pose, shape, camera = plain(network.state_dict(), x)
    assert rows.shape == (2, 157)
    torch.testing.assert_close(rows[:, :144].reshape(2, 24, 6), pose, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(betas(rows), shape, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(rows[:, -3:], camera, rtol=1e-8, atol=1e-9)
    assert float(pose.std()) > 1e-3


def test_rotations_are_of_interleaved_columns():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2, 157))
    found = rotations(torch.from_numpy(rows)).numpy()
    for n in range(2):
        for joint in range(24):
            two = rows[n, 6 * joint : 6 * joint + 6].reshape(3, 2)
            first = two[:, 0] / np.linalg.norm(two[:, 0])
            second = two[:, 1] - first * (first @ two[:, 1])
            second /= np.linalg.norm(second)
            expected = np.stack([first, second, np.cross(first, second)], 1)
            np.testing.assert_allclose(found[n, joint], expected, atol=1e-12)


def test_names_of_the_published_checkpoint():
    state = {
        key: torch.ones(1) for key in ("model.backbone.conv1.weight", "model.smpl.smpl.betas", "loss.weight", "head.x")
    }
    assert list(published_names(state)) == ["backbone.conv1.weight", "head.x"]
