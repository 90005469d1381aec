"""YOLOv4: the published sizes, the weight file, decoding and selection against slow formulations."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from model_zoo.yolov4.network import ANCHORS, Yolov4, Yolov4Config, proposals
from model_zoo.yolov4.people import letterbox, select, to_pixels
from model_zoo.yolov4.weights import HEADER_BYTES, load_darknet, save_darknet

SMALL = Yolov4Config(size=64, classes=3, width=4, blocks=(1, 1, 2, 1, 1))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def randomised(network, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            elif tensor.is_floating_point():
                scale = 0.3 if tensor.ndim < 2 else (2 / tensor[0].numel()) ** 0.5
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale)
    return network.eval()


def test_the_published_sizes():
    with torch.device("meta"):
        network = Yolov4()
    state = network.state_dict()
    convolutions = [layer for layer in network.plan if layer.kind == "conv"]
    assert len(convolutions) == 110
    assert sum(p.numel() for p in network.parameters()) == 64_363_101
    floats = sum(t.numel() for name, t in state.items() if not name.endswith("num_batches_tracked"))
    assert HEADER_BYTES + 4 * floats == 257_717_640
    assert network.config.anchors == 22_743
    # Places in Darknet's yolov4.cfg.
    assert [k for k, layer in enumerate(network.plan) if layer.kind == "out"] == [139, 150, 161]
    assert tuple(state["models.0.conv1.weight"].shape) == (32, 3, 3, 3)
    assert tuple(state["models.104.conv72.weight"].shape) == (1024, 1024, 1, 1)
    assert tuple(state["models.138.conv94.weight"].shape) == (255, 256, 1, 1)
    assert tuple(state["models.160.conv110.bias"].shape) == (255,)


# Darknet's configuration of the small network, written out: c filters size stride activation, r(oute), s(hortcut),
# m(axpool), u(psample), y(olo).
CFG = """
c 4 3 1 m|c 8 3 2 m|c 8 1 1 m|r -2|c 8 1 1 m|c 4 1 1 m|c 8 3 1 m|s -3|c 8 1 1 m|r -1 -7|c 8 1 1 m
c 16 3 2 m|c 8 1 1 m|r -2|c 8 1 1 m|c 8 1 1 m|c 8 3 1 m|s -3|c 8 1 1 m|r -1 -7|c 16 1 1 m
c 32 3 2 m|c 16 1 1 m|r -2|c 16 1 1 m|c 16 1 1 m|c 16 3 1 m|s -3
c 16 1 1 m|c 16 3 1 m|s -3|c 16 1 1 m|r -1 -10|c 32 1 1 m
c 64 3 2 m|c 32 1 1 m|r -2|c 32 1 1 m|c 32 1 1 m|c 32 3 1 m|s -3|c 32 1 1 m|r -1 -7|c 64 1 1 m
c 128 3 2 m|c 64 1 1 m|r -2|c 64 1 1 m|c 64 1 1 m|c 64 3 1 m|s -3|c 64 1 1 m|r -1 -7|c 128 1 1 m
c 64 1 1 l|c 128 3 1 l|c 64 1 1 l|m 5|r -2|m 9|r -4|m 13|r -1 -3 -5 -6|c 64 1 1 l|c 128 3 1 l|c 64 1 1 l
c 32 1 1 l|u|r 43|c 32 1 1 l|r -1 -3|c 32 1 1 l|c 64 3 1 l|c 32 1 1 l|c 64 3 1 l|c 32 1 1 l
c 16 1 1 l|u|r 33|c 16 1 1 l|r -1 -3|c 16 1 1 l|c 32 3 1 l|c 16 1 1 l|c 32 3 1 l|c 16 1 1 l
c 32 3 1 l|c 24 1 1 -|y|r -4|c 32 3 2 l|r -1 -16|c 32 1 1 l|c 64 3 1 l|c 32 1 1 l|c 64 3 1 l|c 32 1 1 l
c 64 3 1 l|c 24 1 1 -|y|r -4|c 64 3 2 l|r -1 -37|c 64 1 1 l|c 128 3 1 l|c 64 1 1 l|c 128 3 1 l|c 64 1 1 l
c 128 3 1 l|c 24 1 1 -|y
"""


def plain(path, x):
    """The small network run from its weight file alone, as Darknet reads it."""
    values = torch.from_numpy(np.fromfile(path, np.float32, offset=20)).double()
    start, results, outputs = 0, [], []

    def take(*shape):
        nonlocal start
        count = int(np.prod(shape))
        start += count
        return values[start - count : start].reshape(shape)

    for line in "|".join(CFG.split("\n")).strip("|").split("|"):
        kind, *words = line.split()
        here = len(results)
        before = results[-1] if results else x
        if kind == "c":
            filters, size, stride, act = int(words[0]), int(words[1]), int(words[2]), words[3]
            bias = take(filters)
            if act == "-":
                y = functional.conv2d(before, take(filters, before.shape[1], size, size), bias, stride, size // 2)
            else:
                scale, mean, var = take(filters), take(filters), take(filters)
                y = functional.conv2d(before, take(filters, before.shape[1], size, size), None, stride, size // 2)
                y = (y - mean[:, None, None]) / (var + 1e-5).sqrt()[:, None, None] * scale[:, None, None]
                y = y + bias[:, None, None]
                y = y * torch.tanh(torch.log1p(y.exp())) if act == "m" else torch.where(y > 0, y, 0.1 * y)
        elif kind == "r":
            chosen = [int(word) + (here if int(word) < 0 else 0) for word in words]
            y = torch.cat([results[k] for k in chosen], 1)
        elif kind == "s":
            y = before + results[here + int(words[0])]
        elif kind == "m":
            size = int(words[0])
            y = functional.max_pool2d(functional.pad(before, [size // 2] * 4, value=-torch.inf), size, 1)
        elif kind == "u":
            y = before.repeat_interleave(2, 2).repeat_interleave(2, 3)
        else:
            y = before
            outputs.append(y)
        results.append(y)
    assert start == len(values)
    return outputs


def test_the_network_and_its_file_are_those_of_the_configuration(tmp_path):
    network = randomised(Yolov4(SMALL))
    path = tmp_path / "small.weights"
    save_darknet(network, path)
    again = Yolov4(SMALL).eval()
    load_darknet(again, path)
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        found = again.double()(x)
    for got, expected in zip(found, plain(path, x), strict=True):
        assert float(expected.std()) > 1e-3
        torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(("change", "told"), [(-4, "truncated"), (4, "another network")])
def test_a_file_of_another_size_is_refused(tmp_path, change, told):
    path = tmp_path / "bad.weights"
    save_darknet(Yolov4(SMALL), path)
    data = path.read_bytes()
    path.write_bytes(data[:change] if change < 0 else data + b"\0" * change)
    with pytest.raises(ValueError, match=told):
        load_darknet(Yolov4(SMALL), path)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "bad.weights"
    save_darknet(Yolov4(SMALL), path)
    data = bytearray(path.read_bytes())
    data[40:44] = np.float32(np.nan).tobytes()
    path.write_bytes(data)
    with pytest.raises(ValueError, match="not finite"):
        load_darknet(Yolov4(SMALL), path)


def test_decoding_follows_the_contract():
    rng = np.random.default_rng(0)
    raw = [torch.from_numpy(rng.normal(size=(1, 24, n, n)).astype(np.float32)) for n in (8, 4, 2)]
    boxes, scores, labels = (value[0].numpy() for value in proposals(raw, SMALL))
    assert boxes.shape == (SMALL.anchors, 4)

    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    row = 0
    for level, (values, stride, scale) in enumerate(zip(raw, (8, 16, 32), (1.2, 1.1, 1.05))):
        cells = values.shape[-1]
        for anchor in range(3):
            for y in range(cells):
                for x in range(cells):
                    t = values[0, anchor * 8 : anchor * 8 + 8, y, x].numpy().astype(float)
                    cx = (sigmoid(t[0]) * scale - (scale - 1) / 2 + x) / cells
                    cy = (sigmoid(t[1]) * scale - (scale - 1) / 2 + y) / cells
                    w = np.exp(t[2]) * ANCHORS[3 * level + anchor][0] / stride / cells
                    h = np.exp(t[3]) * ANCHORS[3 * level + anchor][1] / stride / cells
                    expected = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
                    np.testing.assert_allclose(boxes[row], expected, rtol=2e-5, atol=2e-6)
                    classes = [sigmoid(value) for value in t[5:]]
                    assert scores[row] == pytest.approx(sigmoid(t[4]) * max(classes), rel=1e-5)
                    assert labels[row] == int(np.argmax(classes))
                    row += 1
    assert row == len(boxes)


def test_selection_is_greedy_and_of_people_only():
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 0.6, (60, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.05, 0.4, (60, 2))], 1).astype(np.float32)
    scores, labels = rng.uniform(0.1, 1, 60).astype(np.float32), rng.integers(0, 2, 60)
    expected = []
    for index in sorted(range(60), key=lambda k: -scores[k]):
        if scores[index] <= 0.3 or labels[index] != 0:
            continue
        box, clear = boxes[index].astype(float), True
        for kept in expected:
            other = boxes[kept].astype(float)
            common = max(min(box[2], other[2]) - max(box[0], other[0]), 0) * max(
                min(box[3], other[3]) - max(box[1], other[1]), 0
            )
            area = (box[2] - box[0]) * (box[3] - box[1]) + (other[2] - other[0]) * (other[3] - other[1])
            clear &= common / (area - common) <= 0.5
        if clear:
            expected.append(index)
    found = select(boxes, scores, labels)
    assert 5 < len(expected) < int(((scores > 0.3) & (labels == 0)).sum())
    np.testing.assert_array_equal(found[:, :4], boxes[expected])
    np.testing.assert_array_equal(found[:, 4], scores[expected])
    assert select(boxes, scores * 0, labels).shape == (0, 5)


@pytest.mark.parametrize(("width", "height"), [(200, 100), (90, 160), (64, 64), (1921, 1079), (33, 5)])
def test_letterbox_and_back(width, height):
    size = 608
    square = letterbox(np.full((height, width, 3), 200, np.uint8), size)
    rows, columns = (np.flatnonzero(square[..., 0].any(axis)) for axis in (1, 0))
    inner = (size, int(height / width * size)) if width >= height else (int(width / height * size), size)
    assert (len(columns), len(rows)) == inner
    assert (columns[0], rows[0]) == ((size - inner[0]) // 2, (size - inner[1]) // 2)  # centred on black
    # The box of the picture within the square comes back as the picture, up to the truncation of its shorter side.
    box = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1, 0.9]]) / [size, size, size, size, 1]
    back = to_pixels(box, width, height, size)[0]
    np.testing.assert_allclose(back[:4], (0, 0, width, height), atol=max(width, height) / size + 1e-9)
    longer = max(width, height)
    moved = to_pixels(np.array([[0.2, 0.3, 0.6, 0.9, 0.5]]), width, height, size)[0]
    pad = (rows[0] if width >= height else columns[0]) * longer / size
    expected = np.array([0.2, 0.3, 0.6, 0.9]) * longer
    expected[[1, 3] if width >= height else [0, 2]] -= pad
    np.testing.assert_allclose(moved[:4], expected)
