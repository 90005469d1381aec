"""HRNet: the published tree, and the same numbers as a formulation without modules."""

import cv2
import numpy as np
import pytest
import torch

from model_zoo.hrnet.crop import MEAN, POSE_MARGIN, STD, apply, crop_from_image, cut, invert
from model_zoo.hrnet.decode import decode
from model_zoo.hrnet.network import HrnetConfig, PoseHrnet
from tests.plain_hrnet import PlainHrnet, randomised

SMALL = HrnetConfig(width=4, joints=3, bottlenecks=2, modules=(1, 2, 1), blocks=1)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_the_published_sizes():
    with torch.device("meta"):
        network = PoseHrnet()
    state = network.state_dict()
    assert len(state) == 1754
    assert sum(p.numel() for p in network.parameters()) == 63_595_745
    # Names and shapes as in pose_hrnet_w48_384x288.pth.
    for name, shape in {
        "conv1.weight": (64, 3, 3, 3),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer1.3.bn3.num_batches_tracked": (),
        "transition1.0.0.weight": (48, 256, 3, 3),
        "transition1.1.0.0.weight": (96, 256, 3, 3),
        "transition2.2.0.0.weight": (192, 96, 3, 3),
        "transition3.3.0.1.running_mean": (384,),
        "stage2.0.fuse_layers.0.1.0.weight": (48, 96, 1, 1),
        "stage2.0.fuse_layers.1.0.0.0.weight": (96, 48, 3, 3),
        "stage3.3.branches.2.3.conv2.weight": (192, 192, 3, 3),
        "stage4.1.fuse_layers.3.0.2.0.weight": (384, 48, 3, 3),
        "stage4.2.fuse_layers.0.3.1.weight": (48,),
        "final_layer.weight": (17, 48, 1, 1),
        "final_layer.bias": (17,),
    }.items():
        assert tuple(state[name].shape) == shape, name
    assert not any(name.startswith("stage4.2.fuse_layers.1") for name in state)  # the last unit gives one branch


def test_the_network_computes_what_its_weights_say():
    network = randomised(PoseHrnet(SMALL)).double()
    x = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        expected = PlainHrnet(network.state_dict())(x)
        found = network(x)
    assert found.shape == (2, 3, 16, 8)
    assert float(expected.std()) > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


# --- crop and decoding, against the contract's numbers written out slowly ---------------------------------------


@pytest.mark.parametrize("box", [(100.0, 50.0, 180.0, 350.0), (20.0, 30.0, 400.0, 90.0), (-30.5, -10.2, 55.3, 200.9)])
def test_the_crop_shows_the_grown_box(box):
    matrix = crop_from_image(np.array([*box, 0.9]), (288, 384), POSE_MARGIN)
    width, height = box[2] - box[0], box[3] - box[1]
    grown = max(width, height * 3 / 4) * 1.25  # to 3:4, never smaller
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    assert matrix[0, 0] == pytest.approx(288 / grown, rel=1e-6)
    np.testing.assert_allclose(matrix[:, :2], np.eye(2) * 288 / grown, atol=1e-6)  # no rotation
    np.testing.assert_allclose(apply(matrix, centre), (144, 192), atol=1e-3)
    np.testing.assert_allclose(apply(invert(matrix), apply(matrix, centre)), centre, atol=1e-9)


def test_the_crop_is_a_bilinear_sample_on_black():
    rng = np.random.default_rng(2)
    rgb = cv2.GaussianBlur(rng.integers(0, 256, (60, 80, 3), np.uint8), (0, 0), 2)
    size = (24, 32)
    matrix = crop_from_image(np.array([50.0, 10.0, 76.0, 58.0]), size, POSE_MARGIN)
    found = cut(rgb, matrix, size)
    assert found.shape == (3, 32, 24)
    back = invert(matrix)
    padded = np.pad(rgb.astype(float), ((1, 1), (1, 1), (0, 0)))
    black = 0
    for v in range(0, 32, 3):
        for u in range(0, 24, 2):
            x, y = back @ np.array([u, v, 1.0])
            i, j = int(np.floor(x)), int(np.floor(y))
            if not (-1 <= i < 80 and -1 <= j < 60):
                value, black = np.zeros(3), black + 1
            else:
                a, b = x - i, y - j
                p = padded[j + 1 : j + 3, i + 1 : i + 3]
                value = (p[0, 0] * (1 - a) + p[0, 1] * a) * (1 - b) + (p[1, 0] * (1 - a) + p[1, 1] * a) * b
            # OpenCV works in steps of 1/32 px and of one grey level.
            np.testing.assert_allclose(found[:, v, u] * STD + MEAN, value / 255, atol=4 / 255)
    assert black > 5


def slow_decode(heatmap):
    """One heatmap, number by number."""
    height, width = heatmap.shape
    peak, px, py = -np.inf, 0, 0
    for y in range(height):
        for x in range(width):
            if heatmap[y, x] > peak:
                peak, px, py = heatmap[y, x], x, y
    if peak <= 0:
        return (0.0, 0.0), peak
    fx, fy = float(px), float(py)
    if 1 < px < width - 1 and 1 < py < height - 1:
        right, left = heatmap[py, px + 1], heatmap[py, px - 1]
        fx += 0.25 if right > left else -0.25 if right < left else 0.0
        below, above = heatmap[py + 1, px], heatmap[py - 1, px]
        fy += 0.25 if below > above else -0.25 if below < above else 0.0
    return (fx * 4, fy * 4), peak


def test_decoding_follows_the_contract():
    rng = np.random.default_rng(3)
    heatmaps = rng.normal(size=(3, 17, 96, 72)).astype(np.float32)
    heatmaps[0, 0] = -1.0  # no positive value
    heatmaps[0, 1] = 0.0
    for k, (x, y) in enumerate([(0, 5), (1, 50), (2, 2), (71, 40), (70, 94), (30, 95), (30, 1), (36, 48)]):
        heatmaps[1, k, y, x] = 9.0
    heatmaps[2, 0] = 0
    heatmaps[2, 0, 50, 30] = 1.0  # symmetric: stays
    heatmaps[2, 1, 40, 20:22] = 9.0  # two equal peaks: the first
    positions, confidences = decode(heatmaps)
    for n in range(3):
        for j in range(17):
            xy, peak = slow_decode(heatmaps[n, j])
            np.testing.assert_array_equal(positions[n, j], xy)
            assert confidences[n, j] == np.float32(peak)
    np.testing.assert_array_equal(positions[2, 0], (120, 200))
    np.testing.assert_array_equal(positions[0, 0], (0, 0))
    assert confidences[0, 0] == -1
