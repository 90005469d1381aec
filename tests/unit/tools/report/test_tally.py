"""The lines a run ends with."""

import shutil

import pytest

from tests import examples
from tools.__main__ import main as tools_main
from tools.report import tally
from workflow import catalog


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    examples.shard(root, lengths=(9, 7))
    examples.shard(root, lengths=(5,), rejected=("keypoints",) * 2, seed=20, name="s00001", split="val")
    examples.index(root)
    return root


@pytest.fixture
def root(made, tmp_path):
    """What the tally reads of the data set, to be changed at will."""
    for path in (*made.glob("shards/*/*.zarr/zarr.json"), made / "catalog" / "clips.jsonl"):
        copy = tmp_path / path.relative_to(made)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return tmp_path


def test_clips_frames_and_reasons_are_counted(root):
    told = tally.lines(root)
    assert told[0] == "3 clips (train 2, val 1) in 2 shards: 21 frames, 0.0 minutes"
    assert told[1:4] == [
        "3 clips or files rejected:",
        "      2 keypoints: example of a clip rejected by keypoints",
        "      1 layers: example of a clip rejected by layers",
    ]
    assert told[4:] == ["shards  shards"]


def test_an_empty_folder_says_so_and_is_no_failure(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tally.main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Nothing is there yet") and out.count("\n") == 1


def test_what_exists_is_named(root):
    for path in ("reports/index.html", "train/model.safetensors", "train/sample.mp4"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).touch()
    assert tally.lines(root)[-3:] == [
        "report  reports/index.html",
        "shards  shards",
        "model   train/model.safetensors, train/sample.mp4",
    ]


def test_what_the_catalog_knows_counts_too(root):
    log = root / "catalog" / "clips.jsonl"
    stored = catalog.read(log).members()["s00000"][0]
    lost = examples.span(77, 6, 8, 8)
    catalog.append(
        log,
        [
            catalog.status_event(stored.id, catalog.WITHDRAWN, "asked for"),
            catalog.video_event(catalog.Video("e" * 64, reason="is not a video")),
            catalog.video_event(catalog.Video(lost.sha256)),
            catalog.clip_event(catalog.Row(lost, 0, "train", "s00009")),
        ],
    )
    told = tally.lines(root)
    assert told[0].startswith("2 clips (train 1, val 1)")
    assert "      1 catalog: is not a video" in told
    assert "1 clip withdrawn, 1 clip not in a shard yet" in told


def test_shards_without_a_catalog_are_counted(root):
    (root / "catalog" / "clips.jsonl").unlink()
    assert tally.lines(root)[0].startswith("3 clips (train 2, val 1)")


def test_a_catalog_without_shards_is_counted(tmp_path):
    log = tmp_path / "catalog" / "clips.jsonl"
    log.parent.mkdir()
    catalog.append(log, [catalog.video_event(catalog.Video("e" * 64, reason="is not a video"))])
    assert tally.lines(tmp_path) == [
        "No clip is in the data set.",
        "1 clip or file rejected:",
        "      1 catalog: is not a video",
    ]


def test_many_reasons_stay_few_lines(tmp_path):
    log = tmp_path / "catalog" / "clips.jsonl"
    log.parent.mkdir()
    videos = [catalog.Video(f"{n:064x}", reason=f"reason {n} " + "long " * 60) for n in range(9)]
    catalog.append(log, [catalog.video_event(video) for video in videos])
    told = tally.lines(tmp_path)
    assert len(told) == 2 + 3 + 1
    assert told[-1] == "      6 for 6 other reasons"
    assert max(map(len, told)) <= 120


def test_it_is_a_command(root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    assert tools_main(["tally"]) == 0
    assert "3 clips" in capsys.readouterr().out
