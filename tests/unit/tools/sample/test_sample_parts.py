import subprocess

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from tests import examples
from tools import mp4
from tools.sample import clips
from tools.sample.sheet import sheet
from workflow.errors import ToolError


@pytest.mark.parametrize(
    ("mask", "frames", "start"), [("..####.", 3, 2), ("#..##", 2, 3), ("###", 9, 0), (".#.#", 2, 0)]
)
def test_best_start(mask, frames, start):
    assert clips.best_start(np.array([letter == "#" for letter in mask]), frames) == start


def test_held_out_order(tmp_path):
    shards = [
        examples.shard(tmp_path, split=split, name=f"s0000{i}", lengths=(4,), rejected=(), height=16, width=16, seed=i)
        for i, split in enumerate(("train", "test", "val"))
    ]
    sources = clips.every(shards)
    assert clips.held_out(sources).split == "val"
    assert clips.held_out([source for source in sources if source.split != "val"]).split == "test"
    assert clips.find(sources, sources[1].clip.id) is sources[1]
    with pytest.raises(ToolError, match="has a valid frame"):
        clips.held_out([])


def test_sheet_has_a_tile_per_moment():
    frames = np.zeros((10, 8, 12, 3), np.uint8)
    frames[:, :, :, 0] = np.arange(10)[:, None, None] * 20
    picture = sheet({"one": frames[:1], "many": frames}, 4, "two\nlines")
    assert picture.dtype == np.uint8 and picture.shape[0] > 2 * 160
    row = picture[2 * 24 + 4 + 160 + 4 + 80]
    reds = {int(value) for value in row[130:, 0]} - {255}
    assert {0, 60, 120, 180} <= reds


def test_enlarged_by_whole_factors():
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 40, 3), np.uint8)
    assert mp4.enlarged(frames, 256).shape == (2, 256, 160, 3)
    assert mp4.enlarged(frames, 65).shape == (2, 128, 80, 3)
    assert mp4.enlarged(frames, 64) is frames


def test_video_keeps_frames_order_and_colours(tmp_path):
    frames = np.zeros((5, 32, 48, 3), np.uint8)
    frames[..., 0] = 200
    frames[..., 2] = np.arange(5)[:, None, None] * 40
    mp4.write(frames, 12.5, tmp_path / "x.mp4")
    reader = cv2.VideoCapture(str(tmp_path / "x.mp4"))
    assert reader.get(cv2.CAP_PROP_FPS) == pytest.approx(12.5)
    # OpenCV takes no notice of the colour matrix a file names; ffmpeg does.
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(tmp_path / "x.mp4")]
    data = subprocess.run(
        [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True
    ).stdout
    found = np.frombuffer(data, np.uint8).reshape(frames.shape)
    assert np.abs(found.mean((1, 2)) - frames.mean((1, 2))).max() < 4


def test_ffmpegs_own_words_are_passed_on(tmp_path):
    with pytest.raises(ToolError, match="(?s)ffmpeg ended with.*missing"):
        mp4.write(np.zeros((1, 32, 32, 3), np.uint8), 25, tmp_path / "missing" / "x.mp4")
