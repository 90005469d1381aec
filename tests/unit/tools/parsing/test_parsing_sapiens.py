import warnings
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not in this environment", exc_type=ImportError)

from model_zoo.sapiens.parts import CLASSES, TO_SCHP
from tests import real_clips
from tools.parsing.sapiens import load, subject_only, window_of
from workflow.conventions import PARSING_LABELS
from workflow.errors import Rejected, ToolError
from workflow.stages.parsing import Parsing, SapiensParams

torch.set_num_threads(1)
SIZE = (120, 160)


class ByColour(torch.nn.Module):
    """Red is Face_Neck, green is Upper_Clothing, blue is R_Shoe; everything else is background."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(x, 2)
        logits = torch.zeros(small.shape[0], 28, small.shape[2], small.shape[3])
        logits[:, 0] = 10.0
        logits[:, 2] = small[:, 0] * 20
        logits[:, 22] = small[:, 1] * 20
        logits[:, 17] = small[:, 2] * 20
        return logits


def script(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(path))
    return path


class _Frames(list):
    @property
    def frame_shape(self):
        return self[0].shape


def clip(count=3, invalid=()):
    """A person of three colours, and somebody else beside."""
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[20:40, 60:90] = (255, 0, 0)
    picture[40:80, 60:90] = (0, 255, 0)
    picture[80:100, 60:90] = (0, 0, 255)
    picture[30:90, 100:112] = (0, 255, 0)
    frames = SimpleNamespace(rgb=_Frames([picture] * count), subject=0)
    valid = np.ones(count, bool)
    valid[list(invalid)] = False
    xy, confidence = np.zeros((count, 133, 2), np.float32), np.zeros((count, 133), np.float32)
    xy[:, :3] = [(75, 30), (75, 60), (75, 90)]
    confidence[:, :3] = 0.9
    box = np.tile(np.array([60, 20, 90, 100], np.float32), (count, 1))
    return frames, SimpleNamespace(valid=valid, box=box, xy=xy, confidence=confidence)


@pytest.fixture
def files(tmp_path):
    return {"sapiens-seg-0.3b": script(ByColour(), tmp_path / "s.pt2")}


def test_parts_and_matte_come_back(files):
    frames, keypoints = clip(3, invalid=(1,))
    parsing = load(SapiensParams(size="0.3b", batch=2, device="cpu"), files)(frames, keypoints, None)
    assert type(parsing) is Parsing and parsing.valid.tolist() == [True, False, True]
    labels, matte = parsing.labels[0], parsing.matte[0]
    face, shirt, shoe = (PARSING_LABELS.index(name) for name in ("face", "upper-clothes", "right shoe"))
    for rows, label in ((slice(22, 38), face), (slice(42, 78), shirt), (slice(82, 98), shoe)):
        assert (labels[rows, 62:88] == label).all()
    assert (matte[22:98, 62:88] > 250).all()
    assert not matte[:, 98:].any() and not labels[:, 98:].any()  # somebody else
    assert np.array_equal(labels > 0, matte >= 128)
    inside = np.zeros(SIZE, bool)
    inside[20:100, 60:90] = True
    found = matte >= 128
    assert (found & inside).sum() / (found | inside).sum() > 0.93
    assert not parsing.matte[1].any()


def test_a_window_may_reach_beyond_the_picture(files):
    frames, keypoints = clip(1)
    keypoints.box[:] = [40, -30, 100, 130]
    parsing = load(SapiensParams(size="0.3b", device="cpu"), files)(frames, keypoints, None)
    assert (parsing.matte[0][45:75, 65:85] > 250).all()
    window = window_of(np.array([0, 0, 30, 80]))
    assert (window.width, window.height, window.left, window.top) == (75, 100, -23, -10)


def test_a_clip_without_anybody_is_rejected(files):
    frames, keypoints = clip(2)
    frames.rgb[:] = [np.zeros((*SIZE, 3), np.uint8)] * 2
    with pytest.raises(Rejected, match="no person"):
        load(SapiensParams(size="0.3b", device="cpu"), files)(frames, keypoints, None)
    frames, keypoints = clip(2, invalid=(0, 1))
    with pytest.raises(Rejected, match="no person"):
        load(SapiensParams(size="0.3b", device="cpu"), files)(frames, keypoints, None)


def test_another_network_is_refused(tmp_path):
    class Two(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :2]

    files = {"sapiens-seg-0.3b": script(Two(), tmp_path / "s.pt2")}
    with pytest.raises(ToolError, match=r"parsing/sapiens: .*expected \(1, 28, h, w\)"):
        load(SapiensParams(size="0.3b", device="cpu"), files)(*clip(1), None)
    assert SapiensParams(size="2b").faults()


def test_islands_without_a_joint_go_with_their_edges():
    matte = np.zeros((20, 40), np.uint8)
    matte[5:15, 5:15] = 255
    matte[5:15, 25:35] = 255
    matte[5:15, 24] = 60
    matte[5:15, 15] = 60
    joints, confidence = np.zeros((133, 2)), np.zeros(133)
    joints[0], confidence[0] = (10, 10), 0.9
    kept = subject_only(matte, joints, confidence, 0.02)
    assert (kept[5:15, 5:15] == 255).all() and (kept[5:15, 15] == 60).all()
    assert not kept[:, 22:].any()


def test_the_table_of_parts_is_complete():
    assert len(CLASSES) == 28 and TO_SCHP.shape == (28,)
    assert TO_SCHP[0] == 0 and (TO_SCHP[1:] > 0).all() and TO_SCHP.max() < len(PARSING_LABELS)
    for name, label in zip(CLASSES, TO_SCHP):
        other = PARSING_LABELS[label]
        if name.startswith(("L_", "R_")) and "Sock" not in name:
            assert other.startswith("left" if name.startswith("L_") else "right")
        if "Arm" in name or "Hand" in name:
            assert other.endswith("arm")


class BySaturation(torch.nn.Module):
    """On pixels 0 to 255: blue over red above 90 is Upper_Clothing, red over blue above 40 is Face_Neck."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(x, 2)
        excess = (small[:, 2] * 57.5 + 103.5) - (small[:, 0] * 58.5 + 123.5)
        logits = torch.full((x.shape[0], 28, small.shape[2], small.shape[3]), -50.0)
        logits[:, 0] = 0.0
        logits[:, 22] = excess - 90.0
        logits[:, 2] = -excess - 40.0
        return logits


@pytest.mark.real
def test_real_frames_are_parsed_by_the_network_s_rule(tmp_path):
    """Resizing and pooling only mix neighbours: where all of them are of one side of the rule, so is the label."""
    frames = real_clips.frames("tennis.mp4", (0, 4, 8))
    height, width = frames.rgb.frame_shape[:2]
    xy, confidence = np.zeros((3, 133, 2), np.float32), np.zeros((3, 133), np.float32)
    xy[:, 5:7] = [[(385, 310), (370, 215)], [(365, 313), (344, 215)], [(355, 312), (330, 215)]]  # shirt and face
    confidence[:, 5:7] = 0.9
    keypoints = SimpleNamespace(
        valid=np.ones(3, bool), box=np.tile(real_clips.TENNIS_SUBJECT, (3, 1)), xy=xy, confidence=confidence
    )
    files = {"sapiens-seg-0.3b": script(BySaturation(), tmp_path / "s.pt2")}
    found = load(SapiensParams(size="0.3b", batch=2, device="cpu"), files)(frames, keypoints, None)
    assert type(found) is Parsing and found.valid.all()
    window = window_of(real_clips.TENNIS_SUBJECT)
    inside = np.zeros((height, width), bool)
    inside[window.top : window.top + window.height, window.left : window.left + window.width] = True
    face, shirt = (PARSING_LABELS.index(name) for name in ("face", "upper-clothes"))
    for t, rgb in enumerate(frames.rgb):
        labels, matte = found.labels[t], found.matte[t]
        assert labels.shape == matte.shape == (height, width)
        np.testing.assert_array_equal(labels > 0, matte >= 128)
        assert not labels[~inside].any() and not matte[~inside].any()
        assert set(np.unique(labels)) == {0, face, shirt}
        excess = rgb[..., 2].astype(np.float32) - rgb[..., 0]
        low, high = (bound(excess, np.ones((5, 5), np.uint8)) for bound in (cv2.erode, cv2.dilate))
        # Of what is surely a part, the island with the joint on it.
        for label, sure, joint in ((shirt, low > 91, xy[t, 5]), (face, high < -41, xy[t, 6])):
            _, islands = cv2.connectedComponents((sure & inside).astype(np.uint8))
            own = islands == islands[int(joint[1]), int(joint[0])]
            assert islands[int(joint[1]), int(joint[0])] > 0 and own.sum() > 200
            assert (labels[own] == label).all()
        assert not labels[(high < 89) & (low > -39)].any()  # neither
        assert not (labels[high < 89] == shirt).any() and not (labels[low > -39] == face).any()
        # Islands that hold no joint, even at their widest, are gone.
        _, wide = cv2.connectedComponents((((high > 89) | (low < -39)) & inside).astype(np.uint8))
        apart = (wide > 0) & ~np.isin(wide, [wide[int(y), int(x)] for x, y in xy[t, 5:7]])
        assert (apart & ((low > 91) | (high < -41))).sum() > 100
        assert not matte[apart].any()
