"""keypoints/hrnet through load and call, with stand-in weights that give known answers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from model_zoo.hrnet.network import HrnetConfig, PoseHrnet
from model_zoo.yolov4.network import ANCHORS, Yolov4, Yolov4Config
from model_zoo.yolov4.weights import save_darknet
from tests import real_clips
from tests.plain_hrnet import randomised
from tools.keypoints import hrnet as backend
from workflow.errors import Rejected, ToolError
from workflow.stages.frames import Frames
from workflow.stages.keypoints import HrnetParams, Keypoints

POSE = HrnetConfig(width=4, joints=17, bottlenecks=1, modules=(1, 1, 1), blocks=1)
DETECTOR = Yolov4Config(size=32, width=4, blocks=(1, 1, 1, 1, 1))  # one cell on the coarsest scale
HEIGHT, WIDTH = 240, 160
BOX = (0.4, 0.8)  # width and height of the planted box, of the square


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def heads(network):
    """Last convolutions of the three scales."""
    outs = [k for k, layer in enumerate(network.plan) if layer.kind == "out"]
    return [next(network.models[k - 1].children()) for k in outs]


def silent_detector():
    """A detector that sees nothing: all weights 0, objectness far below 0."""
    network = Yolov4(DETECTOR)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not name.endswith("running_var"):
                tensor.zero_()
        for head in heads(network):
            head.bias.fill_(-20.0)
    return network


def planted_detector(box=BOX, score=5.0):
    """A detector that sees one person in the middle of the square, of a given size."""
    network = silent_detector()
    with torch.no_grad():
        bias = heads(network)[2].bias
        bias[0:2] = 0.0  # the middle of the only cell
        bias[2] = np.log(box[0] * 32 / ANCHORS[6][0])
        bias[3] = np.log(box[1] * 32 / ANCHORS[6][1])
        bias[4], bias[5] = score, score
    return network


def planted_pose():
    """HRNet that passes on colours: joint j's heatmap is channel j % 3 of every fourth pixel of the crop."""
    network = PoseHrnet(POSE)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and not name.endswith("running_var"):
                tensor.zero_()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.fill_(1.0)
        for conv in (network.conv1, network.conv2, network.transition1[0][0]):
            for colour in range(3):
                conv.weight[colour, colour, 1, 1] = 1.0
        for colour in range(3):
            network.layer1[0].downsample[0].weight[colour, colour, 0, 0] = 1.0
        for joint in range(17):
            network.final_layer.weight[joint, joint % 3, 0, 0] = 0.4
    return network


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "DETECTOR", DETECTOR)
    monkeypatch.setattr(backend, "POSE", POSE)
    save_darknet(planted_detector(), tmp_path / "yolov4.weights")
    torch.save(planted_pose().state_dict(), tmp_path / "hrnet.pth")
    return {"yolov4": tmp_path / "yolov4.weights", "hrnet-w48": tmp_path / "hrnet.pth"}


def clip(pictures, subject=0):
    spool = Frames.spool("rgb")
    for picture in pictures:
        spool.append(picture)
    return Frames(rgb=spool.finish(), timestamps=np.arange(len(pictures)) / 25, fps=25.0, subject=subject)


def dots(places, radius=5):
    """Black picture with a soft red, green and blue dot at (x, y) px."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    channels = [255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * radius**2)) for u, v in places]
    return np.stack(channels, 2).astype(np.uint8)


PLACES = [(80.0, 70.0), (60.0, 120.0), (95.0, 160.0)]


def test_prominence_is_measured_by_the_pictures_own_width_and_height():
    """Of a tall picture, at whose right the person stands."""
    box = np.array([110.0, 60, 150, 160, 0.9])
    found = backend.find(
        lambda pictures: [box[None]] * len(pictures),
        lambda pictures, boxes: np.stack([np.tile([130.0, 100, 0.8], (17, 1))] * len(boxes)),
        clip([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 5),
        HrnetParams(device="cpu"),
    )
    off = (130 - (WIDTH - 1) / 2) / (WIDTH / 2)
    assert found.quality["prominence"] == pytest.approx(100 / HEIGHT * (1 - 0.5 * off) * 0.9)


def test_planted_networks_give_the_planted_answers(files):
    pictures = [dots([(u + t, v) for u, v in PLACES]) for t in range(5)]
    params = HrnetParams(device="cpu", batch=2)
    found = backend.load(params, files)(clip(pictures))
    assert isinstance(found, Keypoints)
    assert found.valid.all()
    # The detector's box: centred, of the square round the picture.
    side = HEIGHT
    x = side / 2 - (32 - 21) // 2 * side / 32  # the picture is int(160 / 240 * 32) = 21 px of the square's 32 wide
    expected = (x - BOX[0] * side / 2, 120 - BOX[1] * side / 2, x + BOX[0] * side / 2, 120 + BOX[1] * side / 2)
    np.testing.assert_allclose(found.box, np.tile(expected, (5, 1)), atol=1e-3)
    # One heatmap pixel is 1/72 of the grown box wide.
    pixel = max(BOX[0] * side, BOX[1] * side * 3 / 4) * 1.25 / 72
    for t in range(5):
        for joint in range(17):
            u, v = PLACES[joint % 3]
            assert np.abs(found.xy[t, joint] - (u + t, v)).max() < 0.5 * pixel + 0.3
    peaks = [0.4 * (1 - m) / s for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    np.testing.assert_allclose(found.confidence[:, :3], np.tile(peaks, (5, 1)).clip(0, 1), atol=0.05)
    assert not found.confidence[:, 17:].any()
    assert not found.xyz_valid.any()
    assert found.quality["people"] == 1
    assert found.quality["detection_score"] == pytest.approx((1 / (1 + np.exp(-5))) ** 2, abs=1e-4)


def test_batches_do_not_change_the_result(files):
    pictures = [dots([(u + 2 * t, v) for u, v in PLACES]) for t in range(4)]
    one, many = (backend.load(HrnetParams(device="cpu", batch=n), files)(clip(pictures)) for n in (1, 3))
    np.testing.assert_array_equal(one.xy, many.xy)
    np.testing.assert_array_equal(one.confidence, many.confidence)


def test_nobody_is_a_rejection(files):
    save_darknet(silent_detector(), files["yolov4"])
    with pytest.raises(Rejected, match="no person found"):
        backend.load(HrnetParams(device="cpu"), files)(clip([dots(PLACES)] * 3))


def test_a_subject_who_is_not_there_is_a_rejection(files):
    with pytest.raises(Rejected, match="person 2 asked for, 1 found"):
        backend.load(HrnetParams(device="cpu"), files)(clip([dots(PLACES)] * 3, subject=1))


@pytest.mark.parametrize(
    ("name", "spoil", "told"),
    [
        ("yolov4", lambda data: data[:-8], "truncated"),
        ("hrnet-w48", lambda data: data[: len(data) // 2], "not a readable checkpoint"),
    ],
)
def test_damaged_weights_are_told(files, name, spoil, told):
    files[name].write_bytes(spoil(files[name].read_bytes()))
    with pytest.raises(ToolError, match=told):
        backend.load(HrnetParams(device="cpu"), files)


def test_weights_of_another_network_are_told(files):
    torch.save(
        PoseHrnet(HrnetConfig(width=8, bottlenecks=1, modules=(1, 1, 1), blocks=1)).state_dict(), files["hrnet-w48"]
    )
    with pytest.raises(ToolError, match="another architecture"):
        backend.load(HrnetParams(device="cpu"), files)


def test_a_gpu_that_is_not_there_is_told(files, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ToolError, match="no GPU is visible"):
        backend.load(HrnetParams(device="cuda"), files)


def test_out_of_memory_halves_the_batch(caplog):
    sizes = []

    class Hungry(torch.nn.Module):
        def forward(self, x):
            sizes.append(len(x))
            if len(x) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return x[:, 0, :17, :12].reshape(len(x), 1, 17, 12).expand(-1, 17, -1, -1)

    network = Hungry()
    network.config = SimpleNamespace(input_size=(72, 96))
    pose = backend.Poser(network, HrnetParams(device="cpu", batch=8))
    found = pose([dots(PLACES)] * 5, [np.array([40.0, 20, 120, 220, 1])] * 5)
    assert found.shape == (5, 17, 3)
    assert sizes == [5, 4, 2, 2, 1]
    assert "out of GPU memory" in caplog.text


def test_settings_that_cannot_work_are_told():
    params = HrnetParams(min_confidence=2, batch=0, device="tpu")
    assert [fault.split(":")[0] for fault in params.faults()] == ["min_confidence", "batch", "device"]
    assert HrnetParams().faults() == []


@pytest.mark.real
def test_real_frames_through_random_joints(files):
    """The planted box, and joints of random heatmaps: whatever they are, they lie in the crop of the box."""
    torch.save(randomised(PoseHrnet(POSE)).state_dict(), files["hrnet-w48"])
    frames = real_clips.frames("tennis.mp4", (0, 3, 6))
    found = backend.load(HrnetParams(device="cpu", batch=2), files)(frames)
    height, width = frames.rgb.frame_shape[:2]
    assert found.valid.all()
    middle, size = (found.box[:, :2] + found.box[:, 2:]) / 2, found.box[:, 2:] - found.box[:, :2]
    np.testing.assert_allclose(middle, np.tile(((width - 1) / 2, (height - 1) / 2), (3, 1)), atol=0.05 * width)
    assert found.confidence[:, :17].any(1).all()
    for t in range(3):
        seen = found.confidence[t] > 0
        reach = np.maximum(size[t], size[t].max() * np.array([0.75, 1.0])) * 1.25
        assert (np.abs(found.xy[t, seen] - middle[t]) <= reach).all()
