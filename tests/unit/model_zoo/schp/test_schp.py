"""SCHP: the published sizes, its normalisation, and fusion against a slow formulation and planted logits."""

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from model_zoo.schp.fusion import MEAN, STD, Window, fuse, look, person_window, separate
from model_zoo.schp.network import Abn, Schp, SchpConfig, published_names

SMALL = SchpConfig(classes=5, planes=4, layers=(1, 2, 1, 1), context=6, middle=8, low=3, size=65)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def randomised(network, seed=0):
    """Random weights, those of normalisations of both signs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            else:
                scale = 0.7 if tensor.ndim < 2 else (2 / tensor[0].numel()) ** 0.5
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale)
    return network.eval()


def test_the_published_sizes():
    with torch.device("meta"):
        network = Schp()
        logits = network(torch.empty(1, 3, 473, 473))
    assert logits.shape == (1, 20, 119, 119)
    state = network.state_dict()
    assert len(state) == 603
    assert sum(p.numel() for p in network.parameters()) == 66_723_928
    for name, shape in {
        "conv1.weight": (64, 3, 3, 3),
        "bn3.running_var": (128,),
        "layer1.0.downsample.1.bias": (256,),
        "layer3.22.conv3.weight": (1024, 256, 1, 1),
        "layer4.2.bn2.weight": (512,),
        "context_encoding.stages.3.1.weight": (512, 2048, 1, 1),
        "context_encoding.stages.3.2.running_mean": (512,),
        "context_encoding.bottleneck.0.weight": (512, 4096, 3, 3),
        "edge.conv3.0.weight": (256, 1024, 1, 1),
        "edge.conv4.bias": (2,),
        "edge.conv5.weight": (2, 6, 1, 1),
        "decoder.conv2.0.weight": (48, 256, 1, 1),
        "decoder.conv3.2.weight": (256, 256, 1, 1),
        "decoder.conv4.weight": (20, 256, 1, 1),
        "fushion.0.weight": (256, 1024, 1, 1),
        "fushion.3.weight": (20, 256, 1, 1),
    }.items():
        assert tuple(state[name].shape) == shape, name


def test_names_of_a_published_checkpoint():
    state = {"module.conv1.weight": torch.ones(1), "module.bn1.num_batches_tracked": torch.tensor(3)}
    assert list(published_names(state)) == ["conv1.weight"]
    assert list(published_names({"conv1.weight": torch.ones(1)})) == ["conv1.weight"]


def test_normalisation_is_that_of_inplace_abn():
    layer = randomised(Abn(6)).double()
    assert bool((layer.weight < 0).any())
    x = torch.randn(2, 6, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    w, b, mean, var = (
        value[:, None, None] for value in (layer.weight, layer.bias, layer.running_mean, layer.running_var)
    )
    y = (x - mean) * (var + 1e-5) ** -0.5 * (w.abs() + 1e-5) + b
    torch.testing.assert_close(layer(x), torch.where(y > 0, y, 0.01 * y))
    layer.active = False
    torch.testing.assert_close(layer(x), y)


class Plain:
    """The network written down from a state dict alone, without modules."""

    def __init__(self, state):
        self.s = {key: value.double() for key, value in state.items()}

    def conv(self, x, name, stride=1, dilation=1):
        kernel = self.s[f"{name}.weight"]
        pad = dilation * (kernel.shape[-1] // 2)
        return functional.conv2d(x, kernel, self.s.get(f"{name}.bias"), stride, pad, dilation)

    def norm(self, x, name, slope=None):
        weight = self.s[f"{name}.weight"].abs() + 1e-5
        scale = weight / (self.s[f"{name}.running_var"] + 1e-5).sqrt()
        shift = self.s[f"{name}.bias"] - self.s[f"{name}.running_mean"] * scale
        y = x * scale[:, None, None] + shift[:, None, None]
        return y if slope is None else torch.where(y > 0, y, slope * y)

    def pair(self, x, name, first=0):
        """Convolution and leaky normalisation in a row of layers."""
        return self.norm(self.conv(x, f"{name}.{first}"), f"{name}.{first + 1}", 0.01)

    def block(self, x, name, stride, dilation):
        y = self.norm(self.conv(x, f"{name}.conv1"), f"{name}.bn1").clamp(min=0)
        y = self.norm(self.conv(y, f"{name}.conv2", stride, dilation), f"{name}.bn2").clamp(min=0)
        y = self.norm(self.conv(y, f"{name}.conv3"), f"{name}.bn3")
        if f"{name}.downsample.0.weight" in self.s:
            x = self.norm(self.conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
        return (x + y).clamp(min=0)

    def layer(self, x, name, stride, dilation=1):
        k = 0
        while f"{name}.{k}.conv1.weight" in self.s:
            x = self.block(x, f"{name}.{k}", stride if k == 0 else 1, dilation)
            k += 1
        return x

    @staticmethod
    def resize(x, like):
        """Bilinear with aligned corners, by two matrices."""

        def matrix(inputs, outputs):
            made = torch.zeros(outputs, inputs, dtype=torch.float64)
            for k in range(outputs):
                at = k * (inputs - 1) / (outputs - 1)
                low = min(int(at), inputs - 1)
                made[k, low] += 1 - (at - low)
                made[k, min(low + 1, inputs - 1)] += at - low
            return made

        rows, columns = matrix(x.shape[2], like.shape[2]), matrix(x.shape[3], like.shape[3])
        return torch.einsum("oh,nchw,pw->ncop", rows, x, columns)

    def __call__(self, x):
        for k, stride in ((1, 2), (2, 1), (3, 1)):
            x = self.norm(self.conv(x, f"conv{k}", stride), f"bn{k}").clamp(min=0)
        x = functional.max_pool2d(functional.pad(x, [1] * 4, value=-torch.inf), 3, 2)
        x2 = self.layer(x, "layer1", 1)
        x3 = self.layer(x2, "layer2", 2)
        x4 = self.layer(x3, "layer3", 2)
        x5 = self.layer(x4, "layer4", 1, 2)
        parts = []
        for k, cells in enumerate((1, 2, 3, 6)):
            pooled = functional.adaptive_avg_pool2d(x5, cells)
            parts.append(self.resize(self.pair(pooled, f"context_encoding.stages.{k}", 1), x5))
        context = self.pair(torch.cat([*parts, x5], 1), "context_encoding.bottleneck")
        low = self.pair(x2, "decoder.conv2")
        both = torch.cat([self.resize(self.pair(context, "decoder.conv1"), low), low], 1)
        parsing = self.pair(self.pair(both, "decoder.conv3"), "decoder.conv3", 2)
        edges = [self.pair(x, f"edge.conv{k}") for k, x in enumerate((x2, x3, x4), start=1)]
        edge = torch.cat([edges[0], self.resize(edges[1], low), self.resize(edges[2], low)], 1)
        return self.conv(self.pair(torch.cat([parsing, edge], 1), "fushion"), "fushion.3")


def test_the_network_computes_what_its_weights_say():
    network = randomised(Schp(SMALL)).double()
    x = torch.randn(2, 3, 65, 65, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        found, expected = network(x), Plain(network.state_dict())(x)
    assert found.shape == (2, 5, 17, 17)
    assert float(expected.std()) > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


# --- windows and fusion ----------------------------------------------------------------------------------------


def test_the_window_of_a_person_follows_the_contract():
    def slow(box, width, height):
        x0, y0, x1, y1 = box
        ex, ey = (x1 - x0) * (1.2 - 1) / 2, (y1 - y0) * (1.2 - 1) / 2
        return (
            int(0 if x0 - ex < 0 else np.round(x0 - ex)), int(0 if y0 - ey < 0 else np.round(y0 - ey)),
            int(width - 1 if x1 + ex > width - 1 else np.round(x1 + ex)),
            int(height - 1 if y1 + ey > height - 1 else np.round(y1 + ey)),
        )  # fmt: skip

    rng = np.random.default_rng(0)
    for _ in range(50):
        low = rng.uniform(0, 60, 2)
        box = np.array([*low, *(low + rng.uniform(5, 80, 2))])
        window = person_window(box, 120, 90)
        assert (window.x0, window.y0, window.x1, window.y1) == slow(box, 120, 90)


@pytest.mark.parametrize(("width", "height"), [(200, 100), (60, 131), (473, 473)])
def test_the_network_sees_the_window_centred(width, height):
    window = Window(0, 0, width - 1, height - 1)
    matrix = window.square_from_image(473)
    scale = 472 / max(width - 1, height - 1)
    centre = np.array([(width - 1) / 2, (height - 1) / 2, 1])
    np.testing.assert_allclose(matrix @ centre, (236, 236))
    np.testing.assert_allclose(matrix[:, :2], np.eye(2) * scale)
    rng = np.random.default_rng(1)
    rgb = cv2.GaussianBlur(rng.integers(0, 256, (height, width, 3), np.uint8), (0, 0), 2)
    seen = look(rgb, window, 473)
    values = (seen * STD[:, None, None] + MEAN[:, None, None]) * 255
    for x, y in ((0, 0), (width - 1, height - 1), (width // 2, height // 3)):
        u, v = np.rint(matrix @ (x, y, 1)).astype(int)
        back = (np.array([u, v]) - matrix[:, 2]) / scale
        i, j = np.clip(np.floor(back).astype(int), 0, (width - 2, height - 2))
        a, b = back - (i, j)
        p = rgb[j : j + 2, i : i + 2].astype(float)
        expected = (p[0, 0] * (1 - a) + p[0, 1] * a) * (1 - b) + (p[1, 0] * (1 - a) + p[1, 1] * a) * b
        np.testing.assert_allclose(values[:, v, u], expected[::-1], atol=8)  # blue first; OpenCV's steps of 1/32 px
    if width != height:  # black beside it
        np.testing.assert_allclose(values[:, 0, 236] if width > height else values[:, 236, 0], 0, atol=1e-3)


def enlarge(logits, window, width, height):
    """The original's way in double precision: to 473 x 473 with aligned corners, then back to the window's pixels."""
    side = logits.shape[-1]
    big = functional.interpolate(
        torch.from_numpy(logits)[None].double(), (side - 1) * 4 + 1, mode="bilinear", align_corners=True
    )[0].numpy()
    size = big.shape[-1]
    matrix = window.square_from_image(size)
    out = np.zeros((len(logits), window.y1 - window.y0 + 1, window.x1 - window.x0 + 1))
    for row in range(out.shape[1]):
        for column in range(out.shape[2]):
            u, v = matrix @ (window.x0 + column, window.y0 + row, 1)
            i, j = (min(max(int(np.floor(value + 1e-9)), 0), size - 2) for value in (u, v))
            a, b = u - i, v - j
            p = big[:, j : j + 2, i : i + 2]
            out[:, row, column] = (p[:, 0, 0] * (1 - a) + p[:, 0, 1] * a) * (1 - b) + (
                p[:, 1, 0] * (1 - a) + p[:, 1, 1] * a
            ) * b
    return out


def slow_fusion(whole, persons, width, height):
    """The fusion as the contract states it, in full arrays."""
    everything = enlarge(whole, Window(0, 0, width - 1, height - 1), width, height)
    local, count = np.zeros(everything.shape), np.zeros((height, width))
    local[0] = np.inf
    for logits, w in persons:
        crop = enlarge(logits, w, width, height)
        at = np.s_[w.y0 : w.y1 + 1, w.x0 : w.x1 + 1]
        local[1:][(slice(None), *at)] += crop[1:]
        count[at] += 1
        local[0][at] = np.minimum(local[0][at], crop[0])
    local[1:] /= np.maximum(count, 1)
    return everything + local


@pytest.mark.parametrize(("width", "height"), [(41, 30), (26, 45)])
def test_fusion_follows_the_contract(width, height):
    rng = np.random.default_rng(width)
    whole = rng.normal(size=(20, 11, 11)).astype(np.float32)
    windows = [Window(2, 3, 17, 28), Window(10, 5, 25, 20), Window(20, 25, 22, 29)]
    persons = [(rng.normal(size=(20, 11, 11)).astype(np.float32), window) for window in windows]
    labels, margins = fuse(whole, persons, width, height)
    expected = slow_fusion(whole, persons, width, height)
    np.testing.assert_array_equal(labels, expected.argmax(0))
    wanted = expected[1:].max(0) - expected[0]
    np.testing.assert_allclose(margins[np.isfinite(wanted)], wanted[np.isfinite(wanted)], atol=1e-4)
    assert (margins[~np.isfinite(wanted)] == -np.inf).all()
    assert 0 < (labels == 0).mean() < 1
    # Only a part of it.
    region = Window(5, 6, 19, 22)
    part, _ = fuse(whole, persons, width, height, region)
    inside = np.zeros((height, width), bool)
    inside[6:23, 5:20] = True
    np.testing.assert_array_equal(part, np.where(inside, labels, 0))


def test_nobody_is_background():
    labels, margins = fuse(np.ones((20, 11, 11), np.float32), [], 12, 9)
    assert labels.shape == (9, 12)
    assert not labels.any()
    assert (margins == -np.inf).all()


def test_planted_logits_give_the_planted_labels():
    """Linear logits stay linear under bilinear sampling, so borders lie where they are put."""
    ramp = np.linspace(0, 40, 11, dtype=np.float32)[None, :].repeat(11, 0)
    whole = np.zeros((20, 11, 11), np.float32)
    crop = np.full((20, 11, 11), -100, np.float32)
    crop[0], crop[5], crop[9] = 0, ramp - 10, ramp.T - 20  # across and down the crop
    window = Window(10, 20, 50, 60)  # 41 px: a pixel is one unit of the ramp
    labels, margins = fuse(whole, [(crop, window)], 80, 90)
    y, x = np.mgrid[:90, :80]
    shirt, trousers = (x - 10) - 10, (y - 20) - 20
    expected = np.where((shirt <= 0) & (trousers <= 0), 0, np.where(shirt >= trousers, 5, 9))
    expected[(x < 10) | (x > 50) | (y < 20) | (y > 60)] = 0
    np.testing.assert_array_equal(labels, expected)
    at = (slice(20, 61), slice(10, 51))
    np.testing.assert_allclose(margins[at], np.maximum(shirt, trousers)[at], atol=1e-4)


def test_instances_are_taken_in_order_of_score():
    masks = np.zeros((5, 10, 10), bool)
    masks[0, :6] = True
    masks[1, 4:9] = True  # 40 % taken already
    masks[2, 2:8] = True  # all taken
    masks[4, 9] = True  # not sure
    chosen, owner = separate(list(masks), [0.9, 0.8, 0.7, 0.6, 0.4])
    assert chosen == [0, 1]
    np.testing.assert_array_equal(owner[:, 0], [1] * 6 + [2] * 3 + [0])
    assert separate([], [])[0] == []
