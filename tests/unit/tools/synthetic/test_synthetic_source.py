"""Rendered clips as a source of footage."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from tests import bodies
from workflow.config import SYNTHETIC_SHARES, Synthetic

render = pytest.importorskip("tools.synthetic.render", reason="anny is not in this environment", exc_type=ImportError)

SMALL = dataclasses.asdict(Synthetic(clips=2, seconds=0.2, fps=10.0, height=96, width=80, cameras=2, seed=4))


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "a"
    render.render(SMALL, folder, bodies.free_body())
    return folder


def test_the_folder_holds_videos_truth_and_a_table(made):
    found = files(made)
    videos = [name for name in found if name.endswith(".mp4")]
    assert len(videos) == 4 and json.loads(found[".settings.json"])["settings"] == SMALL
    rows = found["videos.csv"].decode().splitlines()
    assert len(rows) == 5 and all(row.endswith(",synthetic") for row in rows[1:])
    subjects = [row["subject"] for row in csv.DictReader(rows)]
    assert subjects[0] == subjects[1] != subjects[2], "views of one motion belong together"
    for name in videos:
        with np.load(made / "truth" / name.replace(".mp4", ".npz")) as truth:
            assert truth["keypoints"].shape == (2, 23, 2) and truth["body_normal"].shape == (2, 96, 80, 3)
            assert truth["keypoints_visible"].shape == (2, 23) and truth["global_orient"].shape == (2, 3)


@pytest.mark.parametrize("cores", [1, 3, 6])
def test_the_same_settings_give_the_same_bytes_on_any_number_of_cores(made, tmp_path, monkeypatch, cores):
    monkeypatch.setattr(render.os, "sched_getaffinity", lambda pid: set(range(cores)))
    render.render(SMALL, tmp_path / "b", bodies.free_body())
    assert files(made) == files(tmp_path / "b")


def test_a_clip_that_fails_stops_the_rest_and_leaves_nothing_half_done(tmp_path, monkeypatch):
    whole = render.film

    def broken(take, everything, threads):
        for number, frame in enumerate(whole(take, everything, threads)):
            if "00001-view-0" in take.recipe.name and number == 1:
                raise OSError("no room")
            yield frame

    monkeypatch.setattr(render, "film", broken)
    with pytest.raises(OSError, match="no room"):
        render.render(SMALL, tmp_path / "d", bodies.free_body())
    names = {path.stem for path in (tmp_path / "d").glob("*.mp4")}
    assert not [name for name in names if "00001-view-0" in name] and len(names) < 4
    assert names <= {path.stem for path in (tmp_path / "d" / "truth").glob("*.npz")}
    assert not (tmp_path / "d" / ".settings.json").exists()
    monkeypatch.undo()
    render.render(SMALL, tmp_path / "d", bodies.free_body())
    assert len(list((tmp_path / "d").glob("*.mp4"))) == 4


def test_only_what_changed_is_rendered_and_the_rest_removed(made, tmp_path):
    folder = tmp_path / "c"
    render.render({**SMALL, "clips": 1}, folder, bodies.free_body())
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*.mp4")}
    mine = folder / "holiday.mp4"
    mine.write_bytes(b"not ours")
    render.render(SMALL, folder, bodies.free_body())
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(folder.glob("clip-*.mp4"))) == 4
    render.render({**SMALL, "clips": 1, "seed": 5}, folder, bodies.free_body())
    assert len(list(folder.glob("clip-*.mp4"))) == 2 and len(list((folder / "truth").iterdir())) == 2
    assert not any(path.exists() for path in kept) and mine.exists()


def test_shares_are_kept():
    none = render.recipes({**SMALL, "clips": 40, "cameras": 1, **dict.fromkeys(SYNTHETIC_SHARES, 0.0)})
    every = render.recipes({**SMALL, "clips": 40, "cameras": 1, **dict.fromkeys(SYNTHETIC_SHARES, 1.0)})
    assert {(r.place, r.camera, r.occluder, r.company, r.crf, r.exposure) for r in none} == {
        ("room", "static", "none", "none", 16, 1.0)
    }
    assert {r.place for r in every} == {"street"} and "static" not in {r.camera for r in every}
    assert "none" not in {r.occluder for r in every} | {r.company for r in every}
    assert all(r.focal in (0.8, 2.2) for r in every)
    assert not [fault for r in none + every for fault in r.faults()]
    half = render.recipes({**SMALL, "clips": 400, "cameras": 1, "occluded": 0.5})
    assert 160 < sum(r.occluder != "none" for r in half) < 240


def test_more_clips_leave_the_first_ones_alone():
    few, many = (render.recipes({**SMALL, "clips": n}) for n in (3, 7))
    assert many[: len(few)] == few


def test_views_of_a_motion_share_everything_but_the_camera():
    first, second = render.recipes(SMALL)[:2]
    assert (first.azimuth_deg, second.azimuth_deg) == (-70.0, 70.0)
    same = {"name": "", "camera": "static", "azimuth_deg": 0.0}
    assert first.at(**same) == second.at(**same)


def test_recorded_motions_are_taken_from_their_folder(tmp_path):
    poses = np.zeros((31, 156))
    poses[:, 0] = np.pi / 2  # AMASS's z up
    (tmp_path / "m" / "a").mkdir(parents=True)
    np.savez(
        tmp_path / "m" / "a" / "stand.npz",
        poses=poses,
        trans=np.zeros((31, 3)),
        mocap_framerate=30.0,
        betas=np.zeros(16),
    )
    np.savez(tmp_path / "m" / "a" / "shape.npz", gender="neutral")
    settings = {**SMALL, "clips": 1, "motions": str(tmp_path / "m"), "everything": True}
    render.render(settings, tmp_path / "out", bodies.free_body())
    (first, second) = sorted((tmp_path / "out" / "truth").iterdir())
    with np.load(first) as truth:
        assert not truth["body_pose"].any()
        assert truth["flow"].shape == (2, 96, 80, 2) and truth["background"].shape == (2, 96, 80, 3)
        assert truth["kind"].max() == 4 and truth["depth"].dtype == np.float16
    with pytest.raises(render.ToolError, match="there is no .npz"):
        render.render({**settings, "motions": str(tmp_path / "out" / "nowhere")}, tmp_path / "x", bodies.free_body())
