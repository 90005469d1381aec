"""parsing/schp through load and call, with stand-in weights that give known answers."""

import os
import sys

import numpy as np
import pytest
import torch

from model_zoo.schp.network import Abn, Schp, SchpConfig
from tests import real_clips
from tools.parsing import schp as backend
from tools.parsing.instances import Detectron, chosen
from workflow import layout
from workflow.errors import Rejected, ToolError
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.parsing import Parsing, SchpParams

NETWORK = SchpConfig(planes=4, layers=(1, 1, 1, 1), context=4, middle=4, low=2, size=129)
SHIRT, TROUSERS, COAT = 5, 9, 7
HEIGHT, WIDTH = 120, 160


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def planted():
    """A network that takes red for a shirt, green for trousers, blue for a coat, and anything dark for background."""
    network = Schp(NETWORK)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if not name.endswith("running_var"):
                tensor.zero_()
        for module in network.modules():
            if isinstance(module, Abn):
                module.weight.fill_(-1.0)  # its sign does not count
        for conv in (network.conv1, network.conv2, network.conv3):
            for colour in range(3):
                conv.weight[colour, colour, 1, 1] = 1.0
        for colour in range(3):
            network.layer1[0].downsample[0].weight[colour, colour, 0, 0] = 1.0
            network.edge.conv1[0].weight[colour, colour, 0, 0] = 1.0
            network.fushion[0].weight[colour, NETWORK.middle + colour, 0, 0] = 1.0
        for label, colour in ((COAT, 0), (TROUSERS, 1), (SHIRT, 2)):  # blue first
            network.fushion[3].weight[label, colour, 0, 0] = 4.0
        network.fushion[3].bias[0] = 4.0
    return network


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "NETWORK", NETWORK)
    state = {f"module.{key}": value for key, value in planted().state_dict().items()}
    made = {name: tmp_path / f"{name}.pth" for name in ("schp-cihp-global", "schp-cihp-local")}
    for path in made.values():
        torch.save(state, path)
    return made


def picture(shift=0):
    """Somebody in red and green, an island of blue beside him, and somebody else in red at the right."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[20:60, 40 + shift : 70 + shift, 0] = 255
    rgb[60:100, 40 + shift : 70 + shift, 1] = 255
    rgb[22:32, 78 + shift : 84 + shift, 2] = 255
    rgb[20:100, 120:150, 0] = 255
    return rgb


def clip(pictures, valid=None, box=(34.0, 14.0, 90.0, 106.0)):
    spool = Frames.spool("rgb")
    for rgb in pictures:
        spool.append(rgb)
    count = len(pictures)
    frames = Frames(rgb=spool.finish(), timestamps=np.arange(count) / 25, fps=25.0)
    xy, confidence = np.zeros((count, 133, 2), np.float32), np.zeros((count, 133), np.float32)
    xy[:, 5], xy[:, 11], xy[:, 15] = (55, 30), (55, 62), (50, 90)
    confidence[:, [5, 11, 15]] = 0.9
    keypoints = Keypoints(
        xy=xy, confidence=confidence, xyz=np.zeros((count, 133, 3), np.float32),
        xyz_valid=np.zeros((count, 133), bool), box=np.tile(np.array(box, np.float32), (count, 1)),
        valid=np.ones(count, bool) if valid is None else np.array(valid),
    )  # fmt: skip
    return frames, keypoints, None  # the body is not used


def share(mask, other):
    return (mask & other).sum() / (mask | other).sum()


def test_planted_networks_give_the_planted_labels(files):
    frames, keypoints, body = clip([picture(0), picture(1), picture(2)], valid=[True, False, True])
    found = backend.load(SchpParams(device="cpu", batch=2), files)(frames, keypoints, body)
    assert isinstance(found, Parsing)
    np.testing.assert_array_equal(found.valid, [True, False, True])
    for t in range(3):
        labels, matte = found.labels[t], found.matte[t]
        np.testing.assert_array_equal(matte >= 128, labels > 0)
        if not found.valid[t]:
            assert not matte.any()
            continue
        truth = frames.rgb[t]
        own = np.arange(WIDTH)[None, :] < 75
        # The pooling of the stem widens everything by a cell, two pixels here.
        assert share(labels == SHIRT, (truth[..., 0] > 128) & own) > 0.75
        assert share(labels == TROUSERS, (truth[..., 1] > 128) & own) > 0.75
        assert not (labels == COAT).any()  # an island without a joint
        assert not labels[:, 91:].any()  # somebody else, outside the box
    assert found.quality["persons"] == 1
    assert found.quality["detected_share"] == 0


def test_the_cut_is_exact(files):
    frames, keypoints, body = clip([picture()], box=(45.9, 10.0, 64.2, 80.7))
    labels = backend.load(SchpParams(device="cpu"), files)(frames, keypoints, body).labels[0]
    rows, columns = np.nonzero(labels)
    assert (columns.min(), columns.max(), rows.max()) == (45, 63, 79)  # truncated, the end excluded
    assert backend.subject_region(np.array([-3.5, 4.9, 500, 50.2]), 160, 120) == backend.Window(0, 4, 159, 49)
    assert backend.subject_region(np.array([200.0, 4, 300, 50]), 160, 120) is None
    assert backend.subject_region(np.array([40.0, 40, 60, 80]), 160, 120, 0.1) == backend.Window(36, 36, 63, 83)


def test_nothing_to_see_is_a_rejection(files):
    dark = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with pytest.raises(Rejected, match="no person was parsed"):
        backend.load(SchpParams(device="cpu"), files)(*clip([dark, dark]))


def test_a_frame_without_the_subject_is_blank_and_told(files, caplog):
    dark = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    found = backend.load(SchpParams(device="cpu"), files)(*clip([picture(), dark]))
    np.testing.assert_array_equal(found.valid, [True, False])
    assert not found.labels[1].any()
    assert "nothing of the subject in 1 frames" in caplog.text


def test_weights_of_another_network_are_told(files):
    torch.save(
        Schp(SchpConfig(planes=2, layers=(1, 1, 1, 1), context=4, middle=4, low=2)).state_dict(),
        files["schp-cihp-local"],
    )
    with pytest.raises(ToolError, match="another architecture"):
        backend.load(SchpParams(device="cpu"), files)


def test_settings_that_cannot_work_are_told():
    assert SchpParams().faults() == []
    assert [fault.split(":")[0] for fault in SchpParams(instances="detectron2").faults()] == [
        "detectron2_python",
        "detectron2_weights",
    ]
    assert SchpParams(detectron2_python="python").faults() == [
        "detectron2_python: has no effect while instances is keypoints"
    ]


# --- detectron2, by a package that has its shape -----------------------------------------------------------------

PACKAGE = {
    "__init__.py": "",
    "model_zoo/__init__.py": "def get_config_file(name):\n    assert 'X_152' in name\n    return name\n",
    "config.py": """
class Node:
    def __getattr__(self, name):
        made = Node()
        setattr(self, name, made)
        return made
    def merge_from_file(self, path):
        self.path = path
def get_cfg():
    return Node()
""",
    "engine.py": """
import numpy as np
import torch
class Holder:
    def __init__(self, **values):
        self.__dict__.update(values)
    def to(self, device):
        return self
class DefaultPredictor:
    def __init__(self, cfg):
        assert cfg.MODEL.WEIGHTS == ""  # the package's own loader is not used
        self.model = torch.nn.Conv2d(1, 2, 1)
        self.model.register_buffer("pixel_mean", torch.zeros(3))
        assert cfg.MODEL.ROI_HEADS.NUM_CLASSES == 1 and cfg.MODEL.ROI_HEADS.NMS_THRESH_TEST == 0.95
        print("loaded")  # must not be taken for an answer
    def __call__(self, bgr):
        assert float(self.model.weight.sum()) == 14 and float(self.model.bias.sum()) == 6  # the file's
        if bgr.max() == 77:
            raise RuntimeError("a picture it does not like")
        bright = bgr.max(2) > 128
        right = (np.arange(bgr.shape[1]) >= 80)[None]
        masks = np.stack([bright & right, bright & ~right])
        boxes = []
        for mask in masks:
            rows, columns = np.nonzero(mask)
            boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        return {"instances": Holder(
            scores=np.array([0.7, 0.9]), pred_masks=masks, pred_boxes=Holder(tensor=np.array(boxes)))}
""",
}


CIHP = {"weight": torch.full((2, 1, 1, 1), 7.0), "bias": torch.full((2,), 3.0)}


@pytest.fixture
def detectron2(tmp_path, monkeypatch):
    for name, text in PACKAGE.items():
        path = tmp_path / "site" / "detectron2" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setattr(layout, "WEIGHTS", tmp_path)
    torch.save({"model": CIHP, "iteration": 7}, tmp_path / "cihp.pth")
    return SchpParams(
        device="cpu", instances="detectron2", detectron2_python=sys.executable, detectron2_weights="cihp.pth"
    )


def test_detectron2_knows_who_is_somebody_else(files, detectron2):
    # The box of the keypoints reaches over to the other person, who is red too and touches the subject's coat.
    rgb = picture()
    rgb[22:32, 70:120] = (0, 0, 255)
    frames, keypoints, body = clip([rgb], box=(38.0, 16.0, 110.0, 104.0))
    found = backend.load(detectron2, files)(frames, keypoints, body)
    labels = found.labels[0]
    assert found.quality["detected_share"] == 1
    assert found.quality["persons"] == 2
    assert (labels[22:32, 70:78] == COAT).mean() > 0.7
    assert not labels[:, 80:].any()  # the other's pixels, and beyond the subject's own box


def test_detectron2_that_does_not_start_is_told(detectron2, tmp_path):
    with pytest.raises(ToolError, match="cannot be started"):
        Detectron(str(tmp_path / "nothing"), tmp_path / "cihp.pth", "cpu")
    with pytest.raises(ToolError, match="FileNotFoundError"):
        Detectron(sys.executable, tmp_path / "absent.pth", "cpu")


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"model": {"weight": CIHP["weight"]}}, "another architecture: 1 missing, 0 of another shape, such as bias"),
        ({**CIHP, "bias": torch.zeros(3)}, "another architecture: 0 missing, 1 of another shape, such as bias"),
    ],
    ids=["missing", "shape"],
)
def test_weights_of_another_network_are_refused(detectron2, tmp_path, content, told):
    torch.save(content, tmp_path / "cihp.pth")
    with pytest.raises(ToolError, match=told):
        Detectron(sys.executable, tmp_path / "cihp.pth", "cpu")


def test_a_hostile_file_is_not_run_by_detectron2_either(detectron2, tmp_path):
    torch.save({"model": CIHP, "hooks": Hostile(tmp_path / "ran")}, tmp_path / "cihp.pth")
    with pytest.raises(ToolError, match="Weights only load failed"):
        Detectron(sys.executable, tmp_path / "cihp.pth", "cpu")
    assert not (tmp_path / "ran").exists()


def test_a_bare_state_dict_is_taken_too(detectron2, tmp_path):
    torch.save(CIHP, tmp_path / "cihp.pth")
    assert len(Detectron(sys.executable, tmp_path / "cihp.pth", "cpu")(picture())[0]) == 2


def test_detectron2_that_fails_on_the_way_is_told(detectron2, tmp_path):
    detector = Detectron(sys.executable, tmp_path / "cihp.pth", "cpu")
    boxes, scores, masks = detector(picture())
    assert boxes.shape == (2, 4)
    np.testing.assert_allclose(scores, (0.9, 0.7))  # surest first
    assert masks.shape == (2, HEIGHT, WIDTH)
    assert masks[0, 30, 50]
    with pytest.raises(ToolError, match="a picture it does not like"):
        detector(np.full((HEIGHT, WIDTH, 3), 77, np.uint8))


def test_a_python_without_detectron2_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(ToolError, match="No module named 'detectron2'"):
        Detectron(sys.executable, tmp_path / "x", "cpu")


def test_a_subject_nobody_detected_keeps_the_box_of_the_keypoints():
    masks = np.zeros((1, 40, 60), bool)
    masks[0, 5:30, 40:55] = True
    found = chosen(np.array([[40.0, 5, 55, 30]]), np.array([0.9]), masks, np.array([2.0, 3, 20, 35]))
    assert not found.detected
    assert found.subject == 1
    np.testing.assert_array_equal(found.boxes, [[40, 5, 55, 30], [2, 3, 20, 35]])
    empty = chosen(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 40, 60), bool), np.array([2.0, 3, 20, 35]))
    np.testing.assert_array_equal(empty.boxes, [[2, 3, 20, 35]])


@pytest.mark.real
def test_real_frames_are_parsed_by_colour(files):
    """The planted network calls red what is redder than it is green or blue; so does this test, pixel by pixel."""
    frames = real_clips.frames("tennis.mp4", (0, 4))
    height, width = frames.rgb.frame_shape[:2]
    _, keypoints, _ = clip([picture()] * 2, box=(0.0, 0.0, width, height))
    found = backend.load(SchpParams(device="cpu", batch=2), files)(frames, keypoints, None)
    for t in range(2):
        labels = found.labels[t]
        assert labels.shape == (height, width)
        assert set(np.unique(labels)) <= {0, SHIRT, TROUSERS, COAT}
        np.testing.assert_array_equal(found.matte[t] >= 128, labels > 0)
        mean, std = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
        bright = (frames.rgb[t] / 255 - mean) / std
        for label, channel in ((SHIRT, 0), (TROUSERS, 1), (COAT, 2)):
            if (labels == label).sum() > 500:
                others = labels != label
                assert bright[labels == label][:, channel].mean() > bright[others][:, channel].mean()
