"""Cuts, lenses and photographs as the configuration asks for them."""

import dataclasses

import cv2
import numpy as np
import pytest

from tests import bodies
from tools.catalog import scan
from tools.truth import records
from workflow import catalog, layout
from workflow.config import Synthetic

render = pytest.importorskip("tools.synthetic.render", reason="anny is not in this environment", exc_type=ImportError)

PLAIN = dict.fromkeys(("moving", "occluded", "company", "hard", "focal"), 0.0)
MADE = Synthetic(clips=3, seconds=1.0, fps=12.0, height=160, width=160, seed=5, cut=1.0, **PLAIN)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(**changes):
    settings = dataclasses.asdict(dataclasses.replace(MADE, **changes))
    render.render(settings, layout.SYNTHETIC, bodies.free_body())
    return settings


def test_the_catalog_splits_at_the_cut_and_the_truth_goes_along(place):
    made()
    scan.sync(scan.Settings(videos=["synthetic"]))
    known = catalog.read(layout.CATALOG)
    spans = {}
    for row in known.rows.values():
        spans.setdefault(row.clip.sha256, []).append((row.clip.start, row.clip.end))
    assert [sorted(found) for found in spans.values()] == [[(0, 6), (6, 12)]] * 3
    truths = records.of(list(known.rows))
    assert len(truths) == 6
    for record in truths.values():
        poses = record.of_frames("world_from_camera")
        assert len(poses) == 6 and np.ptp(poses, axis=0).max() == 0, "one view each"
    first, second = (r.of_frames("world_from_camera")[0] for r in list(truths.values())[:2])
    assert np.abs(first - second).max() > 0.5


def test_photographs_come_from_their_folder_and_other_bytes_make_another_clip(place):
    rng = np.random.default_rng(0)
    (place / "views" / "far").mkdir(parents=True)
    path = place / "views" / "far" / "hill.PNG"
    cv2.imwrite(str(path.with_suffix(".png")), rng.integers(0, 255, (1500, 1800, 3), np.uint8))
    path.with_suffix(".png").rename(path)
    settings = made(clips=1, cut=0.0, backgrounds="views", distorted=1.0)
    (before,) = (place / "synthetic").glob("*.mp4")
    with np.load(place / "synthetic" / "truth" / f"{before.stem}.npz") as truth:
        assert np.abs(truth["distortion"]).max() > 0.01
    assert render.photo(path).shape == (1024, 1229, 3) and render.photo(path).max() <= 1
    sane = render.recipes(settings, photos=render.photographs("views"))
    assert [recipe.photo for recipe in sane] == ["far/hill.PNG"]
    cv2.imwrite(str(path.with_suffix(".jpg")), np.full((80, 80, 3), 200, np.uint8))
    path.unlink()
    made(clips=1, cut=0.0, backgrounds="views", distorted=1.0)
    (after,) = (place / "synthetic").glob("*.mp4")
    assert after != before
    (place / "views" / "far" / "hill.jpg").write_bytes(b"no picture")
    with pytest.raises(render.ToolError, match="hill.jpg cannot be read as a picture"):
        made(clips=1, cut=0.0, backgrounds="views")
    with pytest.raises(render.ToolError, match="there is no picture"):
        made(clips=1, backgrounds="nowhere")
