"""HRNet: the published tree, and the same numbers as a formulation without modules."""

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from model_zoo.hrnet.crop import MEAN, POSE_MARGIN, STD, apply, crop_from_image, cut, invert
from model_zoo.hrnet.decode import decode
from model_zoo.hrnet.network import HrnetConfig, PoseHrnet

SMALL = HrnetConfig(width=4, joints=3, bottlenecks=2, modules=(1, 2, 1), blocks=1)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def randomised(network, seed=0):
    """Random weights with statistics of their own, so that nothing is hidden by ones and zeros."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            elif tensor.is_floating_point():
                scale = 0.3 if tensor.ndim < 2 else (2 / tensor[0].numel()) ** 0.5
                offset = 1.0 if tensor.ndim == 1 and name.endswith("weight") else 0.0
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale + offset)
    return network.eval()


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


class Plain:
    """HRNet written down from a state dict alone, without modules."""

    def __init__(self, state):
        self.s = {key: value.double() for key, value in state.items() if value.is_floating_point()}

    def conv(self, x, name, stride=1):
        kernel = self.s[f"{name}.weight"]
        return functional.conv2d(x, kernel, self.s.get(f"{name}.bias"), stride, kernel.shape[-1] // 2)

    def norm(self, x, name):
        scale = self.s[f"{name}.weight"] / (self.s[f"{name}.running_var"] + 1e-5).sqrt()
        shift = self.s[f"{name}.bias"] - self.s[f"{name}.running_mean"] * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def block(self, x, name):
        y, k = x, 1
        while f"{name}.conv{k}.weight" in self.s:
            y = self.norm(self.conv(y, f"{name}.conv{k}"), f"{name}.bn{k}")
            k += 1
            if f"{name}.conv{k}.weight" in self.s:
                y = y.clamp(min=0)
        if f"{name}.downsample.0.weight" in self.s:
            x = self.norm(self.conv(x, f"{name}.downsample.0"), f"{name}.downsample.1")
        return (x + y).clamp(min=0)

    def blocks(self, x, name):
        k = 0
        while f"{name}.{k}.conv1.weight" in self.s:
            x = self.block(x, f"{name}.{k}")
            k += 1
        return x

    def __call__(self, x):
        for k in (1, 2):
            x = self.norm(self.conv(x, f"conv{k}", 2), f"bn{k}").clamp(min=0)
        features = [self.blocks(x, "layer1")]
        for stage in (2, 3, 4):
            inputs = []
            for k in range(stage):
                last, name = features[-1], f"transition{stage - 1}.{k}"
                if f"{name}.0.weight" in self.s:
                    inputs.append(self.norm(self.conv(features[k], f"{name}.0"), f"{name}.1").clamp(min=0))
                elif f"{name}.0.0.weight" in self.s:
                    inputs.append(self.norm(self.conv(last, f"{name}.0.0", 2), f"{name}.0.1").clamp(min=0))
                else:
                    inputs.append(features[k])
            features, unit = inputs, 0
            while f"stage{stage}.{unit}.branches.0.0.conv1.weight" in self.s:
                features = self.unit(features, f"stage{stage}.{unit}")
                unit += 1
        return self.conv(features[0], "final_layer")

    def unit(self, features, name):
        inner = [self.blocks(x, f"{name}.branches.{k}") for k, x in enumerate(features)]
        outputs = []
        for target in range(len(inner)):
            if not any(key.startswith(f"{name}.fuse_layers.{target}.") for key in self.s):
                break
            total = inner[target]
            for source, x in enumerate(inner):
                link = f"{name}.fuse_layers.{target}.{source}"
                if source > target:
                    up = 2 ** (source - target)
                    x = self.norm(self.conv(x, f"{link}.0"), f"{link}.1")
                    total = total + x.repeat_interleave(up, 2).repeat_interleave(up, 3)
                elif source < target:
                    for k in range(target - source):
                        x = self.norm(self.conv(x, f"{link}.{k}.0", 2), f"{link}.{k}.1")
                        x = x.clamp(min=0) if k < target - source - 1 else x
                    total = total + x
            outputs.append(total.clamp(min=0))
        return outputs


def test_the_network_computes_what_its_weights_say():
    network = randomised(PoseHrnet(SMALL)).double()
    x = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        expected = Plain(network.state_dict())(x)
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
