import importlib.util
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not in this environment", exc_type=ImportError)

from model_zoo.lama.network import Lama
from tests import real_clips
from tools.scene.lama import load
from workflow.conventions import SCENE_INPAINTED, SCENE_OBSERVED
from workflow.errors import ToolError
from workflow.stages.crop import Crop
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import LamaParams

torch.set_num_threads(1)
_spec = importlib.util.spec_from_file_location("scene_clips", Path(__file__).with_name("test_temporal.py"))
clips = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(clips)
MEAN = "mean of what is known"


class MeanOfTheKnown(torch.nn.Module):
    """Fills a hole with the mean colour round it; knows the contract of LaMa's inputs."""

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        assert mask.dtype == torch.int64
        assert image.shape[2] % 8 == 0 and image.shape[3] % 8 == 0
        known = 1.0 - mask.to(image.dtype)
        mean = (image * known).sum(dim=(2, 3), keepdim=True) / known.sum()
        return image * known + mean * (1.0 - known)


class Constant(torch.nn.Module):
    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(image) * 0.5


class Wrong(torch.nn.Module):
    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return image[:, :1]


def script(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(path))
    return path


@pytest.mark.parametrize("size", [(50, 61), (64, 64), (9, 8), (3, 5)])
def test_the_output_has_the_size_of_the_input(tmp_path, size):
    lama = Lama(script(MeanOfTheKnown(), tmp_path / "l.pt"), torch.device("cpu"))
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    hole = np.zeros(size, bool)
    hole[1:3, 1:3] = True
    painted = lama(rgb, hole)
    assert painted.shape == rgb.shape
    # truncated, as the original does; float32 may lose one
    assert np.abs(painted[~hole].astype(int) - rgb[~hole]).max() <= 1


def test_the_mean_is_that_of_the_mirrored_picture(tmp_path):
    lama = Lama(script(MeanOfTheKnown(), tmp_path / "l.pt"), torch.device("cpu"))
    rgb = np.random.default_rng(1).integers(0, 256, (10, 13, 3), dtype=np.uint8)
    hole = np.zeros((10, 13), bool)
    hole[2:4, 5:9] = True
    padded = np.pad(rgb, ((0, 6), (0, 3), (0, 0)), mode="symmetric")
    unknown = np.pad(hole, ((0, 6), (0, 3)), mode="symmetric")
    expected = padded[~unknown].mean(0)
    assert np.abs(lama(rgb, hole)[hole] - expected).max() <= 1.0


def test_what_no_frame_shows_is_painted_and_the_rest_left_alone(tmp_path):
    inputs, _ = clips.clip(step=0.0)
    scene = load(LamaParams(device="cpu"), {"big-lama": script(Constant(), tmp_path / "l.pt")})(*inputs)
    before = clips.fill(inputs)
    hole = scene.origin[5] == SCENE_INPAINTED
    assert hole.any()
    assert (np.abs(scene.rgb[5][hole].astype(int) - 127) <= 1).all()
    np.testing.assert_array_equal(scene.origin[5], before.origin[5])
    np.testing.assert_array_equal(scene.rgb[5][~hole], before.rgb[5][~hole])
    kept = scene.origin[5] == SCENE_OBSERVED
    np.testing.assert_array_equal(scene.rgb[5][kept], inputs[2].rgb[5][kept])
    assert scene.quality["inpainted_share"] == before.quality["inpainted_share"]


def test_a_place_is_painted_once(tmp_path):
    inputs, _ = clips.clip(step=0.0)
    scene = load(LamaParams(device="cpu"), {"big-lama": script(MeanOfTheKnown(), tmp_path / "l.pt")})(*inputs)
    hole = scene.origin[2] == SCENE_INPAINTED
    for t in (7, 15):
        np.testing.assert_array_equal(scene.rgb[t][hole], scene.rgb[2][hole])
    assert scene.quality["painted_share"] == pytest.approx(1 / clips.FRAMES)


def test_a_painted_place_moves_with_the_camera(tmp_path):
    """Noise that the network invents differs from call to call: it must show the same thing again, moved."""
    inputs, _ = clips.clip(pan=3.0, step=3.0)  # the block stays at its place in the world
    calls = []

    def noise(rgb, hole):
        calls.append(int(hole.sum()))
        grid = np.indices(hole.shape).sum(0) // 8 % 2 * 180 + 20 * len(calls)
        return np.repeat(grid[..., None], 3, 2).astype(np.uint8)

    from tools.scene.lama import paint
    from tools.scene.motion import estimate

    before = clips.fill(inputs)
    scene = paint(noise, before, inputs[2], estimate(inputs[0].rgb, inputs[1].matte))
    assert len(calls) < clips.FRAMES and calls[0] == max(calls)
    last = scene.origin[15] == SCENE_INPAINTED
    assert last.any()
    both = last & (scene.origin[14] == SCENE_INPAINTED)
    assert np.abs(scene.rgb[15][both].astype(int) - scene.rgb[14][both]).mean() < 60  # the crop follows the block


def test_a_clip_that_shows_everything_needs_no_painting(tmp_path, monkeypatch):
    inputs, _ = clips.clip()
    work = load(LamaParams(device="cpu"), {"big-lama": script(Wrong(), tmp_path / "l.pt")})
    before = clips.fill(inputs)
    if before.quality["inpainted_share"]:
        with pytest.raises(ToolError, match="it is not LaMa"):
            work(*inputs)
    else:
        np.testing.assert_array_equal(work(*inputs).rgb[3], before.rgb[3])


def test_another_network_is_refused(tmp_path):
    inputs, _ = clips.clip(step=0.0)
    work = load(LamaParams(device="cpu"), {"big-lama": script(Wrong(), tmp_path / "l.pt")})
    with pytest.raises(ToolError, match=r"gives \(1, 1, 128, 128\), expected \(1, 3, 128, 128\); it is not LaMa"):
        work(*inputs)


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "l.pt").write_bytes(b"nothing")
    with pytest.raises(ToolError, match="scene/lama: .*not a TorchScript archive"):
        load(LamaParams(device="cpu"), {"big-lama": tmp_path / "l.pt"})


def test_cuda_without_a_gpu_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ToolError, match="no GPU is visible"):
        load(LamaParams(device="cuda"), {"big-lama": script(Constant(), tmp_path / "l.pt")})
    assert LamaParams(device="tpu").faults()


def real_clip(name, chosen, box, window):
    """Frames of a real clip, its subject a rectangle drawn by hand, the crop a window of it; x0, y0, x1, y1 px."""
    frames = real_clips.frames(name, chosen)
    count, (height, width) = len(chosen), frames.rgb.frame_shape[:2]
    matte = np.zeros((height, width), np.uint8)
    matte[box[1] : box[3], box[0] : box[2]] = 255
    part = (slice(window[1], window[3]), slice(window[0], window[2]))
    shape, valid = matte[part].shape, np.ones(count, bool)
    human, nothing = matte[part] > 0, np.zeros(shape, bool)
    matrix = np.array([[1.0, 0, -window[0]], [0, 1, -window[1]], [0, 0, 1]])

    def filled(kind, name, rasters):
        spool = kind.spool(name)
        for raster in rasters:
            spool.append(np.ascontiguousarray(raster))
        return spool.finish()

    def still(kind, name, raster):
        return filled(kind, name, [raster] * count)

    return (
        frames,
        Parsing(
            matte=still(Parsing, "matte", matte), labels=still(Parsing, "labels", (matte > 0).astype(np.uint8)),
            valid=valid,
        ),
        Crop(
            rgb=filled(Crop, "rgb", [rgb[part] for rgb in frames.rgb]), matte=still(Crop, "matte", matte[part]),
            labels=still(Crop, "labels", human.astype(np.uint8)), inside=still(Crop, "inside", ~nothing),
            crop_from_source=np.tile(matrix, (count, 1, 1)),
            intrinsics=np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
            keypoints=np.zeros((count, 133, 2), np.float32), confidence=np.zeros((count, 133), np.float32), valid=valid,
            source_height=height, source_width=width, fps=frames.fps,
        ),
        Layers(
            human=still(Layers, "human", human), occluder=still(Layers, "occluder", nothing),
            scene=still(Layers, "scene", ~human), matte=still(Layers, "matte", matte[part]), valid=valid,
        ),
    )  # fmt: skip


def grown(human):
    """What is removed: the human, wider by `dilate_px` of the default settings."""
    radius = round(LamaParams().dilate_px * max(human.shape) / 512)
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(human.astype(np.uint8), brush) > 0


@pytest.mark.real
def test_a_real_clip_gets_the_mean_of_what_it_shows(tmp_path):
    """The camera stands still and no frame shows what is behind: painted in the first frame, the same in all."""
    inputs = real_clip("juggle.mp4", (0, 3, 6), real_clips.JUGGLE_SUBJECT.astype(int), (360, 0, 1080, 720))
    files = {"big-lama": script(MeanOfTheKnown(), tmp_path / "l.pt")}
    scene = load(LamaParams(device="cpu"), files)(*inputs)
    crop, hole = inputs[2], grown(inputs[3].human[0])
    mean = crop.rgb[0][~hole].mean(0)
    for t in range(3):
        np.testing.assert_array_equal(scene.origin[t], np.where(hole, SCENE_INPAINTED, SCENE_OBSERVED))
        np.testing.assert_array_equal(scene.rgb[t][~hole], crop.rgb[t][~hole])
        assert np.abs(scene.rgb[t][hole] - mean).max() < 1.01  # truncated
        np.testing.assert_array_equal(scene.rgb[t][hole], scene.rgb[0][hole])
    assert scene.quality["static_camera"] == 1.0
    assert scene.quality["inpainted_share"] == pytest.approx(hole.mean())
    assert scene.quality["painted_share"] == pytest.approx(1 / 3)


@pytest.mark.real
def test_a_real_clip_whose_camera_turns_keeps_what_was_painted(tmp_path):
    """612 px are no multiple of 8: the network sees more, and the result has the crop's size."""
    inputs = real_clip("tennis.mp4", (0, 4, 8), real_clips.TENNIS_SUBJECT.astype(int), (50, 100, 662, 712))
    files = {"big-lama": script(Constant(), tmp_path / "l.pt")}
    scene = load(LamaParams(device="cpu"), files)(*inputs)
    crop, hole = inputs[2], grown(inputs[3].human[0])
    inner = cv2.erode(hole.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    assert scene.quality["static_camera"] == 0.0
    for t in range(3):
        np.testing.assert_array_equal(scene.origin[t], np.where(hole, SCENE_INPAINTED, SCENE_OBSERVED))
        np.testing.assert_array_equal(scene.rgb[t][~hole], crop.rgb[t][~hole])
        assert (scene.rgb[t][hole if t == 0 else inner] == 127).all()  # later, the rim shows what was beside it
    assert scene.quality["painted_share"] == pytest.approx(1 / 3)
