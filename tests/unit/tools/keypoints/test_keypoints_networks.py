"""DWPose and Sapiens on frames, with stand-ins for their networks that the tests make."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not in this environment", exc_type=ImportError)
torch = pytest.importorskip("torch", reason="torch is not in this environment", exc_type=ImportError)

from onnx import TensorProto, helper, numpy_helper

from model_zoo.dwpose.region import region_of
from model_zoo.dwpose.yolox import _CELLS, _STRIDES
from tests import real_clips
from tools.keypoints import dwpose, sapiens
from tools.keypoints.boxes import Person
from tools.keypoints.topdown import box_of, bridged, find
from workflow.errors import Rejected, ToolError
from workflow.stages.keypoints import DwposeParams, Keypoints, SapiensParams

torch.set_num_threads(1)
SIZE = (180, 240)
BOX = np.array([90.0, 20, 150, 170])


def save(path, nodes, inputs, outputs, initializers):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("input", TensorProto.FLOAT, inputs)],
        [value(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def detector(path, boxes, size=SIZE, only_bright=True):
    """YOLOX that sees the boxes (with score) in a picture whose top left pixel is bright, and nobody in a dark one."""
    zoom = min(640 / size[0], 640 / size[1])
    out = np.zeros((1, 8400, 85), np.float32)
    for row, box in zip(range(100, 8000, 777), boxes):
        middle = (box[:2] + box[2:4]) / 2 * zoom
        out[0, row, :2] = middle / _STRIDES[row, 0] - _CELLS[row]
        out[0, row, 2:4] = np.log((box[2:4] - box[:2]) * zoom / _STRIDES[row, 0])
        out[0, row, 4], out[0, row, 5] = (box[4] if len(box) > 4 else 0.9), 1.0
    gain = np.ones((1, 1, 85), np.float32)
    nodes = [
        helper.make_node("Slice", ["input", "from", "to", "axes"], ["corner"]),
        helper.make_node("Greater", ["corner", "half"], ["is_bright"]),
        helper.make_node("Cast", ["is_bright"], ["bright"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["bright", "shape"], ["sight"]),
        helper.make_node("Max", ["sight", "always"], ["seen"]),
        helper.make_node("Mul", ["gain", "seen"], ["factor"]),
        helper.make_node("Mul", ["boxes", "factor"], ["output"]),
    ]
    constants = {
        "from": np.array([0, 0, 0, 0]), "to": np.array([1, 1, 1, 1]), "axes": np.array([0, 1, 2, 3]),
        "half": np.array(64.0, np.float32), "shape": np.array([1, 1, 1]), "gain": gain, "boxes": out,
        "always": np.array([[[0.0 if only_bright else 1.0]]], np.float32),
    }  # fmt: skip
    return save(path, nodes, [1, 3, 640, 640], {"output": [1, 8400, 85]}, constants)


def poser(path, points, scores, batch=None):
    """DWPose that gives the same joints, px of its input, for every picture."""
    x, y = np.zeros((1, 133, 576), np.float32), np.zeros((1, 133, 768), np.float32)
    for k, (point, score) in enumerate(zip(points, scores)):
        x[0, k, int(point[0] * 2)], y[0, k, int(point[1] * 2)] = score, score
    nodes = [
        helper.make_node("Shape", ["input"], ["count"], end=1),
        helper.make_node("Concat", ["count", "ones"], ["times"], axis=0),
        helper.make_node("Tile", ["x", "times"], ["simcc_x"]),
        helper.make_node("Tile", ["y", "times"], ["simcc_y"]),
    ]
    outputs = {"simcc_x": [batch or "n", 133, 576], "simcc_y": [batch or "n", 133, 768]}
    return save(path, nodes, [batch or "n", 3, 384, 288], outputs, {"ones": np.array([1, 1]), "x": x, "y": y})


POINTS = np.stack([np.linspace(20, 260, 133), np.linspace(20, 360, 133)], 1).round()
EXPECTED = POINTS / (288, 384) * region_of(BOX).scale + region_of(BOX).centre - region_of(BOX).scale / 2


def clip(bright=(1, 1, 1, 1, 1), size=SIZE, subject=0):
    frames = np.zeros((len(bright), *size, 3), np.uint8)
    frames[:, :8, :8] = np.array(bright, np.uint8)[:, None, None, None] * 255
    rgb = _Frames(list(frames))
    return SimpleNamespace(rgb=rgb, timestamps=np.arange(len(bright)) / 25, fps=25.0, subject=subject)


class _Frames(list):
    @property
    def frame_shape(self):
        return self[0].shape


def test_dwpose_finds_the_planted_joints(tmp_path):
    files = {
        "yolox-l": detector(tmp_path / "y.onnx", [BOX]),
        "dwpose-l-384": poser(tmp_path / "p.onnx", POINTS, np.full(133, 0.8)),
    }
    found = dwpose.load(DwposeParams(device="cpu", batch=2), files)(clip())
    assert type(found) is Keypoints and found.valid.all()
    seen = found.confidence[2] > 0
    inside = ((EXPECTED >= -0.5) & (np.array([SIZE[1], SIZE[0]]) - 0.5 >= EXPECTED)).all(1)
    assert np.array_equal(seen, inside) and seen[:17].all()
    assert np.abs(found.xy[2][seen] - EXPECTED[seen]).max() < 2e-3
    assert np.allclose(found.confidence[2][seen], 0.8)
    assert np.abs(found.box[0] - BOX).max() < 1e-2
    assert not found.xyz_valid.any()
    assert found.quality["people"] == 1 and found.quality["valid_share"] == 1


def test_width_is_width_and_height_is_height():
    """Of a wide picture, at whose right the person stands; in a tall one he would be beyond its border."""
    height, width = SIZE
    box = np.array([190.0, 30, 230, 120, 0.9])
    joints = np.column_stack([np.full(133, 210.0), np.full(133, 75.0), np.full(133, 0.8)])
    found = find(
        lambda rgb: box[None], lambda pictures, boxes: np.stack([joints] * len(boxes)), clip(),
        min_confidence=0.3, min_valid_share=0.2, batch=2,
    )  # fmt: skip
    np.testing.assert_allclose(found.box[0], box[:4])
    np.testing.assert_allclose(found.confidence[0], 0.8, rtol=1e-6)
    off = (210 - (width - 1) / 2) / (width / 2)
    assert found.quality["prominence"] == pytest.approx(90 / height * (1 - 0.5 * off) * 0.9)


@pytest.mark.parametrize("batch", [None, 1])
def test_the_file_decides_how_many_go_in_at_once(tmp_path, batch):
    files = {
        "yolox-l": detector(tmp_path / "y.onnx", [BOX]),
        "dwpose-l-384": poser(tmp_path / "p.onnx", POINTS, np.full(133, 0.8), batch),
    }
    assert dwpose.load(DwposeParams(device="cpu", batch=4), files)(clip()).valid.all()


def test_a_short_gap_is_bridged_and_a_long_one_is_not(tmp_path):
    files = {
        "yolox-l": detector(tmp_path / "y.onnx", [BOX]),
        "dwpose-l-384": poser(tmp_path / "p.onnx", POINTS, np.full(133, 0.8)),
    }
    work = dwpose.load(DwposeParams(device="cpu"), files)
    assert work(clip((1, 1, 0, 1, 1))).valid.all()
    assert work(clip((1,) * 5 + (0,) * 15 + (1,) * 5)).valid.sum() == 10


def test_bridging_goes_straight_from_box_to_box():
    person = Person([0, 4], [np.array([0.0, 0, 10, 10, 0.9]), np.array([40.0, 0, 50, 10, 0.9])])
    found = bridged(person, np.arange(5) / 25)
    assert found[1].tolist() == [10, 0, 20, 10] and len(found) == 5
    assert len(bridged(person, np.arange(5.0))) == 2


def test_nobody_detected_means_the_whole_picture(tmp_path):
    whole = region_of(np.array([0, 0, SIZE[1], SIZE[0]]))
    expected = POINTS / (288, 384) * whole.scale + whole.centre - whole.scale / 2
    files = {
        "yolox-l": detector(tmp_path / "y.onnx", []),
        "dwpose-l-384": poser(tmp_path / "p.onnx", POINTS, np.full(133, 0.8)),
    }
    found = dwpose.load(DwposeParams(device="cpu"), files)(clip())
    seen = found.confidence[0] > 0
    assert seen.sum() > 30
    assert np.abs(found.xy[0][seen] - expected[seen]).max() < 1e-3
    assert found.quality["people"] == 0
    with pytest.raises(Rejected, match="no person found"):
        dwpose.load(DwposeParams(device="cpu"), files)(clip(subject=1))


def test_doubtful_joints_are_no_person(tmp_path):
    files = {
        "yolox-l": detector(tmp_path / "y.onnx", [BOX]),
        "dwpose-l-384": poser(tmp_path / "p.onnx", POINTS, np.full(133, 0.1)),
    }
    with pytest.raises(Rejected, match="seen in 0% of the frames"):
        dwpose.load(DwposeParams(device="cpu"), files)(clip())


def test_the_subject_is_the_one_asked_for(tmp_path):
    small = np.array([10.0, 100, 40, 170, 0.8])
    files = {
        "yolox-l": detector(tmp_path / "y.onnx", [small, BOX]),
        "dwpose-l-384": poser(tmp_path / "p.onnx", POINTS, np.full(133, 0.8)),
    }
    work = dwpose.load(DwposeParams(device="cpu"), files)
    assert np.abs(work(clip()).box[0] - BOX).max() < 1e-2
    assert np.abs(work(clip(subject=1)).box[0] - small[:4]).max() < 1e-2
    with pytest.raises(Rejected, match="person 3 asked for, 2 found"):
        work(clip(subject=2))


def test_other_files_are_refused(tmp_path):
    files = {"yolox-l": detector(tmp_path / "y.onnx", [BOX]), "dwpose-l-384": detector(tmp_path / "p.onnx", [BOX])}
    with pytest.raises(ToolError, match="keypoints/dwpose: "):
        dwpose.load(DwposeParams(device="cpu"), files)(clip())
    files["yolox-l"].write_bytes(b"cut")
    with pytest.raises(ToolError, match="keypoints/dwpose: .*not a readable ONNX network"):
        dwpose.load(DwposeParams(device="cpu"), files)


class RedIsWhere(torch.nn.Module):
    """Sapiens: all joints lie where the picture is red; joint k has k thousandths less confidence."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heat = torch.nn.functional.avg_pool2d(x[:, :1] - x[:, 1:2], 4)
        heat = heat.clamp(min=0) / (heat.amax(dim=(2, 3), keepdim=True) + 1e-6)
        return heat * (0.9 - torch.arange(133).to(x).reshape(1, 133, 1, 1) / 1000)


def script(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(path))
    return path


def spot(frames, centre):
    """A red spot with a soft edge in every frame."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    red = 255 * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 32)
    for frame in frames.rgb:
        frame[..., 0] = np.maximum(frame[..., 0], red.astype(np.uint8))
    return frames


def test_sapiens_finds_what_its_network_marks(tmp_path):
    frames = spot(clip((1, 1, 1)), (117, 88))
    files = {
        "yolox-l": detector(tmp_path / "y.onnx", [BOX]),
        "sapiens-pose-133-0.3b": script(RedIsWhere(), tmp_path / "s.pt2"),
    }
    found = sapiens.load(SapiensParams(size="0.3b", batch=2, device="cpu"), files)(frames)
    assert found.valid.all()
    # Pooling takes the middle of four pixels for the first: 1.5 px of the network's picture, under 0.4 px here.
    assert np.abs(found.xy - (117, 88)).max() < 0.8
    assert np.allclose(found.confidence[1], 0.9 - np.arange(133) / 1000, atol=2e-3)


def test_another_number_of_joints_is_another_network(tmp_path):
    class Seventeen(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(x.shape[0], 17, 256, 192)

    files = {
        "yolox-l": detector(tmp_path / "y.onnx", [BOX]),
        "sapiens-pose-133-0.3b": script(Seventeen(), tmp_path / "s.pt2"),
    }
    with pytest.raises(ToolError, match=r"gives \(1, 17, 256, 192\), expected \(1, 133, h, w\)"):
        sapiens.load(SapiensParams(size="0.3b", device="cpu", batch=1), files)(clip((1, 1)))


def test_settings_that_cannot_work_are_said():
    assert len(SapiensParams(size="5b", batch=0, device="x", min_confidence=2).faults()) == 4
    assert len(DwposeParams(min_detection=-1, device="x").faults()) == 2


def test_a_box_of_joints_has_room():
    joints = np.array([[10.0, 20, 0.9], [30, 60, 0.8], [500, 500, 0.1]])
    assert box_of(joints).tolist() == [8, 16, 32, 64]


# How the planted networks for real frames weigh a pixel: blue over red above 90 for even joints, red over blue above
# 50 for odd ones, 0 to 255. Each such joint lies at the centroid of the weights in what the network sees.
COLOURS = np.array([(-1.0, 0.0, 1.0), (1.0, 0.0, -1.0)], np.float32)
LEAST = np.array([90.0, 50.0], np.float32)
SUBJECT, BYSTANDER = real_clips.TENNIS_SUBJECT, np.array([2.0, 330, 58, 560])


def centroids(rgb, box):
    """Where the planted networks' two joints are in a picture, (2, 2), px, from its own pixels."""
    region = region_of(box)
    low, high = region.centre - region.scale / 2, region.centre + region.scale / 2
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    seen = (x >= low[0]) & (x < high[0]) & (y >= low[1]) & (y < high[1])
    weights = np.maximum(rgb.astype(np.float64) @ COLOURS.T - LEAST, 0) * seen[..., None]
    return np.stack([(weights * axis[..., None]).sum((0, 1)) / weights.sum((0, 1)) for axis in (x, y)], 1)


def centroid_poser(path):
    """DWPose whose joints are the centroids of colours in its input, 0.8 sure."""
    mean, std = np.array((123.675, 116.28, 103.53)), np.array((58.395, 57.12, 57.375))
    constants = {
        # On the normalised input: the colour's weights times the deviations, and the threshold less the means.
        "kernel": (COLOURS * std).astype(np.float32)[..., None, None],
        "bias": (COLOURS @ mean - LEAST).astype(np.float32),
        "joints": np.arange(133) % 2, "two": np.array(2.0, np.float32), "sure": np.array(0.8, np.float32),
        "slope": np.array(0.01, np.float32), "last": np.array([-1]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["input", "kernel", "bias"], ["raw"]),
        helper.make_node("Relu", ["raw"], ["weights"]),
    ]
    for name, size, over in (("x", 288, 2), ("y", 384, 3)):
        constants |= {
            f"over_{name}": np.array([over]),
            f"pixels_{name}": np.arange(size, dtype=np.float32),
            f"bins_{name}": np.arange(2 * size, dtype=np.float32),
        }
        for kind, inputs, output in (
            ("ReduceSum", ["weights", f"over_{name}"], "profile"),
            ("Mul", ["profile", f"pixels_{name}"], "moments"),
            ("ReduceSum", ["moments", "last"], "moment"),
            ("ReduceSum", ["profile", "last"], "mass"),
            ("Div", ["moment", "mass"], "middle"),
            ("Mul", ["middle", "two"], "bin"),
            ("Sub", [f"bins_{name}", "bin"], "offset"),
            ("Abs", ["offset"], "distance"),
            ("Mul", ["distance", "slope"], "doubt"),
            ("Sub", ["sure", "doubt"], "found"),
        ):
            own = ("profile", "moments", "moment", "mass", "middle", "bin", "offset", "distance", "doubt")
            inputs = [f"{value}_{name}" if value in own else value for value in inputs]
            keep = {"keepdims": 1 if output in ("moment", "mass") else 0} if kind == "ReduceSum" else {}
            nodes.append(helper.make_node(kind, inputs, [f"{output}_{name}"], **keep))
        nodes.append(helper.make_node("Gather", [f"found_{name}", "joints"], [f"simcc_{name}"], axis=1))
    outputs = {"simcc_x": ["n", 133, 576], "simcc_y": ["n", 133, 768]}
    return save(path, nodes, ["n", 3, 384, 288], outputs, constants)


class Centroids(torch.nn.Module):
    """Sapiens whose joints are the centroids of colours: heatmaps with a Gaussian there; joint k is k thousandths less
    sure."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        red = x[:, 0] * 58.5 + 123.5
        blue = x[:, 2] * 57.5 + 103.5
        weights = torch.stack([blue - red - 90.0, red - blue - 50.0], 1).clamp(min=0)
        mass = weights.sum(dim=(2, 3))
        across = torch.arange(768).to(x)
        down = torch.arange(1024).to(x)
        # From border pixel to border pixel of what it sees, to a share of the heatmap.
        u = (weights.sum(dim=2) * across).sum(dim=2) / mass / 767 * 192
        v = (weights.sum(dim=3) * down).sum(dim=2) / mass / 1023 * 256
        gap = (torch.arange(192).to(x) - u[:, :, None])[:, :, None] ** 2
        gap = gap + (torch.arange(256).to(x) - v[:, :, None])[:, :, :, None] ** 2
        joint = torch.arange(133)
        return torch.exp(-gap / 18.0)[:, joint % 2] * (0.9 - joint.to(x).reshape(1, 133, 1, 1) / 1000)


@pytest.mark.real
@pytest.mark.parametrize("kind", ["dwpose", "sapiens"])
def test_real_frames_have_their_colours_where_they_are(tmp_path, kind):
    """Boxes of the player and of a bystander; in each, joints at the centroids of the frame's own blue and skin."""
    frames = real_clips.frames("tennis.mp4", (0, 4, 8))
    height, width = frames.rgb.frame_shape[:2]
    yolox = detector(tmp_path / "y.onnx", [BYSTANDER, SUBJECT], (height, width), only_bright=False)
    if kind == "dwpose":
        files = {"yolox-l": yolox, "dwpose-l-384": centroid_poser(tmp_path / "p.onnx")}
        work, sure = dwpose.load(DwposeParams(device="cpu", batch=2), files), np.full(133, 0.8)
        reach = 1.0  # px; a pixel of the network's input is 1.6 px of the frame, a bin half of that
    else:
        files = {"yolox-l": yolox, "sapiens-pose-133-0.3b": script(Centroids(), tmp_path / "s.pt2")}
        work = sapiens.load(SapiensParams(size="0.3b", device="cpu", batch=2), files)
        sure, reach = 0.9 - np.arange(133) / 1000, 0.3  # px
    found = work(frames)
    assert type(found) is Keypoints and found.valid.all()
    np.testing.assert_allclose(found.box, np.tile(SUBJECT, (3, 1)), atol=0.01)
    assert found.quality["people"] == 2
    for t, rgb in enumerate(frames.rgb):
        expected = centroids(rgb, SUBJECT)
        assert np.abs(found.xy[t] - expected[np.arange(133) % 2]).max() < reach
        np.testing.assert_allclose(found.confidence[t], sure, atol=0.03)
    drift = found.xy[:, 0, 0] - found.xy[0, 0, 0]
    assert drift[1] < -10 and drift[2] < drift[1]  # he moves to the left
