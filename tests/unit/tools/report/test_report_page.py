"""One self-contained page per shard."""

import base64
import html as escapes
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from tests import examples
from tools.report import html, sheet, skeleton, tiles
from tools.report.facts import provenance
from workflow.shard_reader import Shard
from workflow.stages.report import PageParams

PARAMS = PageParams(frames=3, tile_px=32, preview_frames=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return examples.shard(tmp_path_factory.mktemp("dataset"), lengths=(12, 9), height=64, width=48)


@pytest.fixture(scope="module")
def page(store, tmp_path_factory):
    path = tmp_path_factory.mktemp("reports") / "page.html"
    html.run(PARAMS, {"shard": store}, {"page": path})
    return path.read_text(encoding="utf-8")


def test_the_page_needs_nothing_but_itself(page):
    sources = re.findall(r'(?:src|srcset|href)="([^"]*)"', page)
    assert sources
    allowed = ("data:image/webp;base64,", "#", "../index.html")
    assert [source for source in sources if not source.startswith(allowed)] == []
    assert "http" not in re.sub(r"data:[^\"]*", "", page)
    assert "@import" not in page and "url(" not in page


def test_every_clip_shows_every_layer_at_every_moment(page, store):
    clips = Shard(store).clips
    for clip in clips:
        assert f'id="{clip.id}"' in page
    for kind in sheet.KINDS:
        alts = [escapes.unescape(alt) for alt in re.findall(r'alt="([^"]*)"', page)]
        assert sum(alt.startswith(f"{kind.title}, frame") for alt in alts) == len(clips) * PARAMS.frames, kind.title
    assert all(re.search(r"\balt=", tag) for tag in re.findall(r"<img [^>]*>", page))


def test_pictures_are_tiles_and_the_preview_moves(page):
    sizes, moving = set(), 0
    for data in re.findall(r'src="data:image/webp;base64,([^"]*)"', page):
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            if picture.n_frames > 1:
                moving += 1
                assert picture.n_frames <= PARAMS.preview_frames
            else:
                sizes.add(picture.size)
    assert moving == 2
    assert (24, 32) in sizes


def test_figures_faults_rejections_and_provenance_are_told(page):
    text = escapes.unescape(page)
    assert "example of a clip rejected by layers" in text
    assert "body.reprojection_error" in text
    assert "not valid: keypoints" in text  # the detector blinked in the middle of each clip
    assert "Backends, settings and versions" in text and "example v1" in text


def test_the_same_shard_gives_the_same_bytes(store, page, tmp_path):
    html.run(PARAMS, {"shard": store}, {"page": tmp_path / "again.html"})
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_thumbnails_can_be_taken_out_of_the_page(page, store):
    data = re.search(r'<script type="application/json" id="posters">(.*?)</script>', page).group(1)
    assert sorted(json.loads(data)) == sorted(clip.id for clip in Shard(store).clips)


def test_a_shard_of_rejected_clips_only_has_a_page(tmp_path):
    store = examples.shard(tmp_path, lengths=(), rejected=("keypoints",))
    html.run(PARAMS, {"shard": store}, {"page": tmp_path / "page.html"})
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "No clip of this shard was accepted." in text
    assert "example of a clip rejected by keypoints" in text


def test_names_are_escaped(store, tmp_path):
    attributes = {"provenance": {"frames": {"backend": "<b>", "version": 1, "settings": {"x": "<i>"}, "commit": "c"}}}
    assert provenance(attributes)[0].settings == 'x: "<i>"'
    root = json.loads(store.read_bytes())
    root["attributes"]["rejected"][0]["reason"] = "<script>alert(1)</script>"
    copy = tmp_path / "s00000.zarr"
    copy.mkdir()
    for path in store.parent.iterdir():
        if path != store:
            (copy / path.name).symlink_to(path)
    (copy / "zarr.json").write_text(json.dumps(root))
    html.run(PARAMS, {"shard": copy / "zarr.json"}, {"page": tmp_path / "page.html"})
    assert "<script>alert" not in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("length, count, expected", [(12, 3, [2, 6, 10]), (2, 6, [0, 1]), (1, 6, [0]), (0, 6, [])])
def test_moments_are_spread_over_the_clip(length, count, expected):
    assert sheet.spread(length, count) == expected


@pytest.mark.parametrize("length, fps", [(1, 24.0), (5, 24.0), (247, 24.0), (10_000, 50.0), (40, 2.0)])
def test_the_preview_stays_inside_the_clip(length, fps):
    frames = sheet.in_motion(length, fps, 12)
    assert frames[0] >= 0 and frames[-1] < length
    assert 1 <= len(frames) <= 12
    assert len(set(np.diff(frames))) <= 1


def test_only_the_moments_shown_are_decoded(store, monkeypatch):
    read = []
    original = Shard.read_window

    def watched(self, clip, start, length, *rest, **named):
        read.append((start, length))
        return original(self, clip, start, length, *rest, **named)

    monkeypatch.setattr(Shard, "read_window", watched)
    shard = Shard(store)
    sheet.contact_sheet(shard, shard.clips[0], frames=3, tile_px=32, preview_frames=0)
    assert sorted(read) == [(2, 1), (6, 1), (6, 1), (10, 1)]  # and the poster, from the middle


def moment(height=8, width=8):
    rgb = np.full((height, width, 3), 120, np.uint8)
    empty = np.zeros((height, width), bool)
    return {
        "rgb": rgb, "scene": rgb.copy(), "human": empty.copy(), "occluder": empty.copy(),
        "depth": np.zeros((height, width), np.float16), "metric_depth": np.array(True),
    }  # fmt: skip


def test_recomposition_marks_what_differs():
    made = moment()
    made["scene"][:4] = 0
    made["human"][:2] = True
    tile = tiles.recomposed(made, 8)
    assert tile.note == "25.0% differs"
    assert (tile.picture[:2] == 120).all()
    assert (tile.picture[2:4, :, 0] > tile.picture[2:4, :, 1] + 50).all()
    assert (tile.picture[4:] == 120).all()


def test_depth_tells_its_range():
    made = moment()
    assert tiles.depth(made, 8).note == "no depth"
    made["depth"][2:4] = 1.5
    made["depth"][4:6] = 2.25
    assert tiles.depth(made, 8).note == "1.50 to 2.25 m"
    made["metric_depth"] = np.array(False)
    assert tiles.depth(made, 8).note == "relative"


def test_the_skeleton_is_drawn_where_the_joints_are():
    picture = np.zeros((50, 50, 3), np.uint8)
    joints = np.zeros((133, 3), np.float32)
    joints[5] = (20.5, 40.5, 0.9)  # left shoulder
    joints[7] = (80.5, 40.5, 0.9)  # left elbow
    joints[6] = (50, 90, 0.1)  # right shoulder, hardly seen
    skeleton.draw(picture, joints, 0.5)
    assert picture[20, 25].tolist() == list(skeleton.LEFT)
    assert not picture[35:].any()
    rows = np.flatnonzero(picture.any(axis=(1, 2)))
    assert abs(rows.mean() - 20) < 1.5


def test_settings_that_cannot_work_are_named():
    faults = PageParams(frames=0, tile_px=5, preview_frames=-1).faults()
    assert [fault.partition(":")[0] for fault in faults] == ["frames", "tile_px", "preview_frames"]
    assert PageParams().faults() == []
