import dataclasses
import warnings

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not in this environment", exc_type=ImportError)

from model_zoo.sapiens import dense
from model_zoo.sapiens.network import HEIGHT, MEAN, STD, WIDTH, prepare
from tests import examples, real_clips
from tools.surface import midas, sapiens
from workflow.errors import ToolError
from workflow.stages.crop import Crop
from workflow.stages.surface import MidasParams, SapiensParams

torch.set_num_threads(1)
FRAMES, SIDE = 5, (64, 48)


class MeanOfChannels(torch.nn.Module):
    """Relative depth: the mean over the channels, at a quarter of the size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(x, 4).mean(dim=1, keepdim=True)


class Facing(torch.nn.Module):
    """Normals, not of unit length: up and to the camera, in the network's axes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = torch.tensor([0.0, 3.0, 4.0]).to(x)
        return n.reshape(1, 3, 1, 1).expand(x.shape[0], 3, 64, 48)


class Red(torch.nn.Module):
    """MiDaS: the red channel as inverse depth."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0]


def script(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(path))
    return path


@pytest.fixture
def files(tmp_path):
    np.savez(tmp_path / "body.npz", **examples.body_model())
    return {
        "body_model": tmp_path / "body.npz",
        "sapiens-depth-0.3b": script(MeanOfChannels(), tmp_path / "d.pt2"),
        "sapiens-normal-0.3b": script(Facing(), tmp_path / "n.pt2"),
        "midas-small": script(Red(), tmp_path / "m.pt"),
    }


@pytest.fixture(scope="module")
def clip():
    """A clip whose pictures get brighter to the right and with time; frame 1 has no subject, frame 3 is not valid."""
    artifacts = examples.clip(FRAMES, *SIDE, seed=2)
    crop = artifacts["crop"]
    rgb, matte = Crop.spool("rgb"), Crop.spool("matte")
    for t in range(FRAMES):
        ramp = np.linspace(20, 180, SIDE[1]) + 10 * t
        rgb.append(np.repeat(np.broadcast_to(ramp, SIDE)[..., None], 3, 2).round().astype(np.uint8))
        cover = np.zeros(SIDE, np.uint8)
        if t != 1:
            cover[10:50, 8:40] = 255
        matte.append(cover)
    valid = np.array([True, True, True, False, True])
    crop = dataclasses.replace(crop, rgb=rgb.finish(), matte=matte.finish(), valid=valid)
    return artifacts["body"], crop


@pytest.fixture
def surface(files, clip):
    return sapiens.load(SapiensParams(size="0.3b", batch=2, device="cpu"), files)(*clip)


def test_the_input_is_what_the_original_feeds():
    x = prepare(np.full((50, 61, 3), (200, 100, 50), np.uint8))
    assert x.shape == (3, HEIGHT, WIDTH)
    expected = (np.array([200, 100, 50]) - MEAN) / STD
    np.testing.assert_allclose(x[:, 500, 300].numpy(), expected, rtol=1e-5)


def test_depth_is_ordered_and_scaled_over_the_clip(surface, clip):
    _, crop = clip
    assert not surface.metric
    seen = (crop.matte[0] >= 128) & crop.inside[0]
    first, last = surface.depth[0].astype(float), surface.depth[4].astype(float)
    assert (np.diff(first[20, 8:40]) >= 0).all()  # brighter to the right, and bright is far
    assert (last[seen] > first[seen]).all()
    assert min(first[seen].min(), last[seen].min()) == pytest.approx(2**-10)
    assert max(first[seen].max(), last[seen].max()) == 1.0
    # Between the clip's least and most bright seen pixel the scale is linear.
    grey = [crop.rgb[t][..., 0].astype(float) for t in range(FRAMES)]
    low, high = grey[0][20, 8], grey[4][20, 39]
    expected = (grey[2][20, 9:39] - low) / (high - low)
    assert np.abs(surface.depth[2][20, 9:39] - expected).max() < 0.02


def test_normals_are_turned_into_our_axes(surface, clip):
    seen = (clip[1].matte[0] >= 128) & clip[1].inside[0]
    normal = surface.normal[0][seen].astype(float) / 127
    assert np.abs(normal - [0.0, -0.6, -0.8]).max() < 0.01
    assert surface.quality["facing_share"] == 1.0


def test_the_other_axes_can_be_chosen(files, clip):
    surface = sapiens.load(SapiensParams(size="0.3b", device="cpu", normal_axes="opencv"), files)(*clip)
    normal = surface.normal[0][20, 20].astype(float) / 127
    assert np.abs(normal - [0.0, 0.6, 0.8]).max() < 0.01
    assert surface.quality["facing_share"] == 0.0


def test_what_is_not_the_subject_has_no_estimate(surface, clip):
    body, crop = clip
    assert surface.valid.tolist() == [True, False, True, False, True]
    for t in range(FRAMES):
        depth, normal = surface.depth[t], surface.normal[t]
        assert np.array_equal(depth > 0, normal.any(-1))
        if surface.valid[t]:
            seen = (crop.matte[t] >= 128) & crop.inside[t]
            assert (depth[seen] > 0).all()
            assert (depth > 0).sum() < depth.size
        else:
            assert not depth.any()


def test_a_covered_body_keeps_its_place(files, clip):
    """Where the body is and the matte is not, something stands before it: the layers need depth there."""
    body, crop = clip
    matte = Crop.spool("matte")
    for _ in range(FRAMES):
        part = np.zeros(SIDE, np.uint8)
        part[:4, :4] = 255
        matte.append(part)
    surface = sapiens.load(SapiensParams(size="0.3b", device="cpu"), files)(
        body, dataclasses.replace(crop, matte=matte.finish())
    )
    assert (surface.depth[0] > 0).sum() > 20


def test_batches_do_not_matter(files, clip):
    one = sapiens.load(SapiensParams(size="0.3b", batch=1, device="cpu"), files)(*clip)
    all_ = sapiens.load(SapiensParams(size="0.3b", batch=8, device="cpu"), files)(*clip)
    for t in range(FRAMES):
        np.testing.assert_array_equal(one.depth[t], all_.depth[t])


class Greedy(torch.nn.Module):
    """Has room for one picture at a time; TorchScript tells of it as it does of an operator's error."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return torch.nn.functional.avg_pool2d(x, 4).mean(dim=1, keepdim=True)


def test_out_of_memory_halves_the_batch_says_so_and_loses_nothing(files, clip, tmp_path, caplog):
    whole = sapiens.load(SapiensParams(size="0.3b", device="cpu"), files)(*clip)
    files["sapiens-depth-0.3b"] = script(Greedy(), tmp_path / "g.pt2")
    found = sapiens.load(SapiensParams(size="0.3b", batch=4, device="cpu"), files)(*clip)
    assert "going on with 2 at a time" in caplog.text and "going on with 1 at a time" in caplog.text
    for t in range(FRAMES):
        np.testing.assert_array_equal(found.depth[t], whole.depth[t])


class Hopeless(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")


def test_too_little_memory_for_one_picture_is_said(files, clip, tmp_path):
    files["sapiens-depth-0.3b"] = script(Hopeless(), tmp_path / "h.pt2")
    with pytest.raises(ToolError, match="surface/sapiens: the GPU has too little memory for a single picture"):
        sapiens.load(SapiensParams(size="0.3b", device="cpu"), files)(*clip)


def test_another_network_is_refused(files, clip):
    files["sapiens-depth-0.3b"] = files["sapiens-normal-0.3b"]
    with pytest.raises(ToolError, match=r"gives \(1, 3, 64, 48\), expected \(1, 1, h, w\); another network"):
        sapiens.load(SapiensParams(size="0.3b", batch=2, device="cpu"), files)(*clip)
    files["sapiens-depth-0.3b"] = files["midas-small"]
    with pytest.raises(ToolError, match="another network"):
        sapiens.load(SapiensParams(size="0.3b", batch=2, device="cpu"), files)(*clip)
    files["sapiens-depth-0.3b"].write_bytes(b"cut")
    with pytest.raises(ToolError, match="surface/sapiens: .*not a TorchScript archive"):
        sapiens.load(SapiensParams(size="0.3b", device="cpu"), files)


def test_settings_that_cannot_work_are_said():
    assert len(SapiensParams(size="3b", batch=0, device="tpu", normal_axes="x").faults()) == 4


def test_midas_is_turned_round(files, clip):
    surface = midas.load(MidasParams(device="cpu", batch=2), files)(*clip)
    first = surface.depth[0].astype(float)
    assert (np.diff(first[20, 10:38]) <= 0).all()  # bright is near
    assert surface.depth[4][20, 20] < surface.depth[0][20, 20]
    assert surface.valid.tolist() == [True, False, True, False, True]
    assert not surface.normal[0].any() and not surface.metric
    with pytest.raises(ToolError, match="surface/midas: .*another network"):
        files["midas-small"] = files["sapiens-normal-0.3b"]
        midas.load(MidasParams(device="cpu"), files)(*clip)


def test_constant_depth_divides_by_nothing():
    mask = np.ones((3, 4), bool)
    assert not dense.normalised(np.full((3, 4), 7.0), mask).any()
    assert not dense.normalised(np.full((3, 4), 7.0), ~mask).any()
    assert dense.depth_picture(np.full((3, 4), 7.0), ~mask, 100).tolist() == np.full((3, 4, 3), 100).tolist()


class Mixed(torch.nn.Module):
    """Sapiens' depth: red, twice green and four times blue on 0 to 255, at a quarter of the size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(x, 4)
        red, green, blue = small[:, 0] * 58.5 + 123.5, small[:, 1] * 57.0 + 116.5, small[:, 2] * 57.5 + 103.5
        return (red + 2.0 * green + 4.0 * blue)[:, None]


class Coloured(torch.nn.Module):
    """Sapiens' normals: red less green, green less blue, 50 more than blue, on 0 to 255, at a quarter of the size."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = torch.nn.functional.avg_pool2d(x, 4)
        red, green, blue = small[:, 0] * 58.5 + 123.5, small[:, 1] * 57.0 + 116.5, small[:, 2] * 57.5 + 103.5
        return torch.stack([red - green, green - blue, blue + 50.0], 1)


class Weighed(torch.nn.Module):
    """MiDaS: half of red, three tenths of green and two of blue on 0 to 1, as inverse depth."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        red, green, blue = x[:, 0] * 0.229 + 0.485, x[:, 1] * 0.224 + 0.456, x[:, 2] * 0.225 + 0.406
        return 0.5 * red + 0.3 * green + 0.2 * blue


def real_crop(height, width):
    """A doll's body, and the real juggler in a crop of that size with a matte drawn by hand; the last is not valid."""
    frames = real_clips.frames("juggle.mp4", (0, 3, 6))
    artifacts = examples.clip(3, height, width, seed=2)
    x0, top, x1, bottom = real_clips.JUGGLE_SUBJECT.astype(int)
    half = round((bottom - top) * width / height / 2)
    columns = slice((x0 + x1) // 2 - half, (x0 + x1) // 2 + half)
    rgb, matte, inside = Crop.spool("rgb"), Crop.spool("matte"), Crop.spool("inside")
    pictures, seen = [], np.zeros((height, width), bool)
    seen[height // 20 : -height // 20, width * 3 // 10 : width * 7 // 10] = True
    for picture in frames.rgb:
        part = cv2.resize(picture[top:bottom, columns], (width, height), interpolation=cv2.INTER_AREA)
        pictures.append(part)
        rgb.append(part)
        matte.append(np.where(seen, 255, 0).astype(np.uint8))
        inside.append(np.ones((height, width), bool))
    rgb, valid = rgb.finish(), np.array([True, True, False])
    crop = dataclasses.replace(
        artifacts["crop"], rgb=rgb, matte=matte.finish(), inside=inside.finish(), valid=valid, fps=frames.fps
    )
    return artifacts["body"], crop, [rgb[t].astype(np.float64) for t in range(3)], seen


def spread(values, seen):
    """Depth of the two valid frames as the artifact keeps it, from raw values (H, W), the nearest the least."""
    low = min(values[t][seen].min() for t in (0, 1))
    high = max(values[t][seen].max() for t in (0, 1))
    return {t: 2**-10 + (1 - 2**-10) * (values[t] - low) / (high - low) for t in (0, 1)}


@pytest.mark.real
def test_real_frames_get_the_depth_and_normals_of_their_colours(files, tmp_path):
    """A quarter of the network's size is the crop's: enlarged fourfold and averaged, a pixel keeps three quarters of
    itself and has an eighth of each neighbour, across and down."""
    body, crop, pictures, seen = real_crop(HEIGHT // 4, WIDTH // 4)
    files["sapiens-depth-0.3b"] = script(Mixed(), tmp_path / "mixed.pt2")
    files["sapiens-normal-0.3b"] = script(Coloured(), tmp_path / "coloured.pt2")
    found = sapiens.load(SapiensParams(size="0.3b", batch=2, device="cpu"), files)(body, crop)
    assert found.valid.tolist() == [True, True, False] and not found.metric
    kernel = np.array([0.125, 0.75, 0.125])
    smooth = [cv2.sepFilter2D(p, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE) for p in pictures]
    expected = spread([p @ (1.0, 2.0, 4.0) for p in smooth], seen)
    for t in (0, 1):
        assert np.abs(found.depth[t][seen] - expected[t][seen]).max() < 0.003
        red, green, blue = np.moveaxis(smooth[t][seen], -1, 0)
        raw = np.stack([red - green, blue - green, -blue - 50], -1)  # y and z turned round
        unit = raw / np.linalg.norm(raw, axis=-1, keepdims=True)
        assert np.abs(found.normal[t][seen] / 127.0 - unit).max() < 0.025
        assert (found.depth[t][:4] == 0).all() and not found.normal[t][:4].any()
    assert not found.depth[2].any() and not found.normal[2].any()
    assert found.quality["facing_share"] == 1.0


@pytest.mark.real
def test_real_frames_through_midas_are_near_where_they_are_bright(files, tmp_path):
    """The crop has the network's size, so every pixel's depth is known from that pixel."""
    body, crop, pictures, seen = real_crop(256, 256)
    files["midas-small"] = script(Weighed(), tmp_path / "weighed.pt")
    found = midas.load(MidasParams(device="cpu", batch=2), files)(body, crop)
    assert found.valid.tolist() == [True, True, False] and not found.metric
    expected = spread([-(p / 255) @ (0.5, 0.3, 0.2) for p in pictures], seen)
    for t in (0, 1):
        assert np.abs(found.depth[t][seen] - expected[t][seen]).max() < 0.001
        assert (found.depth[t][:4] == 0).all() and not found.normal[t].any()
    assert not found.depth[2].any()
