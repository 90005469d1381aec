import dataclasses
import json
import os
from pathlib import Path

import pytest

from workflow import catalog, footage, layout
from workflow.catalog import Catalog, Clip, Note, Row, Seen, Video
from workflow.errors import ConfigError, ContractError, ToolError
from workflow.stage import File
from workflow.stages import PIPELINE
from workflow.stages.frames import Frames

FACTS = {"fps": "25/1", "width": 64, "height": 48, "codec": "h264 yuv420p"}


def make(number=0, shard="s00000", split="train", status="active", reason=""):
    """Events of one video with one clip, and the clip's row."""
    sha = f"{number:x}" * 64
    video = Video(sha, bytes=1, frames=9, **FACTS)
    shared = {name: getattr(video, name) for name in {f.name for f in dataclasses.fields(Clip)} if hasattr(video, name)}
    clip = Clip(id=catalog.clip_id(sha, 0, 9), start=0, end=9, subject=0, first_us=0, last_us=320_000, **shared)
    row = Row(clip, 0, split, shard, status, reason)
    events = [
        catalog.file_event(f"f/{number}.mp4", Seen(1, 2, sha)),
        catalog.video_event(video),
        catalog.clip_event(row),
    ]
    return events, row


def test_ids_come_from_content_span_and_subject():
    assert catalog.clip_id("3f2a9c1b04d7" + "0" * 52, 0, 240) == "3f2a9c1b04d7-000000-000240"
    assert catalog.clip_id("3f2a9c1b04d7" + "0" * 52, 7, 240, 1) == "3f2a9c1b04d7-000007-000240-s1"


def test_the_log_folds_to_what_was_written(tmp_path):
    events, row = make()
    log = tmp_path / "catalog" / "clips.jsonl"
    catalog.append(log, events[:1])
    catalog.append(log, events[1:])
    catalog.append(log, [catalog.note_event(row.clip.sha256, Note(licence="CC0", subject="ann"))])
    state = catalog.read(log)
    assert state.rows == {row.id: row}
    (video,) = state.videos.values()
    assert (video.paths, video.note.licence, video.frames) == (("f/0.mp4",), "CC0", 9)
    assert state.next_shard == 1
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()] == ["file", "video", "clip", "note"]


def test_folding_in_steps_is_folding_at_once():
    events = [event for number in range(4) for event in make(number, f"s{number:05d}")[0]]
    events.append(catalog.file_event("f/0.mp4", Seen(3, 4, "1" * 64)))
    events.append(catalog.settings_event({"subjects": 1}))
    at_once = catalog.fold(events)
    for cut in range(len(events)):
        assert catalog.fold(events[cut:], catalog.fold(events[:cut])) == at_once
    assert at_once.paths("0" * 64) == ()
    assert at_once.paths("1" * 64) == ("f/1.mp4", "f/0.mp4")


def test_no_log_is_an_empty_catalog(tmp_path):
    assert catalog.read(tmp_path / "none.jsonl") == Catalog()
    assert Catalog().shards() == {}


@pytest.mark.parametrize("line", ['{"event":"fi', '{"event":"dance"}', '{"event":"clip"}', "[]"])
def test_a_damaged_log_is_an_error_that_says_where(tmp_path, line):
    log = tmp_path / "clips.jsonl"
    catalog.append(log, make()[0])
    with log.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ContractError, match="line 4|another version"):
        catalog.read(log)


def test_append_is_all_or_nothing_and_cleans_up(tmp_path, monkeypatch):
    log = tmp_path / "clips.jsonl"
    catalog.append(log, make()[0])
    before = log.read_bytes()
    (tmp_path / ".clips.jsonl.1.partial").write_text("half a li")

    def fail(fd):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="disk full"):
            catalog.append(log, make(1)[0])
    assert log.read_bytes() == before
    catalog.append(log, make(1)[0])
    assert log.read_bytes().startswith(before)
    assert [path.name for path in tmp_path.iterdir()] == ["clips.jsonl"]


def test_the_lock_is_exclusive(tmp_path):
    def waiting():
        raise TimeoutError

    with catalog.locked(tmp_path, waiting), pytest.raises(TimeoutError), catalog.locked(tmp_path, waiting):
        pass
    with catalog.locked(tmp_path, waiting):
        pass


def test_shards_come_in_order_and_one_that_lost_its_last_clip_stays():
    events = [*make(0, "s00001")[0], *make(1, "s00000", "val")[0], *make(2, "s00002", "test")[0]]
    events += make(3, "", "", "rejected", "empty")[0]
    gone = make(2)[1].id
    state = catalog.fold([*events, catalog.status_event(gone, "withdrawn", "asked")])
    assert list(state.shards().items()) == [("s00000", "val"), ("s00001", "train"), ("s00002", "test")]
    assert state.members()["s00002"] == []
    assert {shard: len(rows) for shard, rows in state.members().items()} == {"s00000": 1, "s00001": 1, "s00002": 0}
    assert state.next_shard == 3


def test_manifests_hold_no_name_and_are_left_alone_when_equal(tmp_path):
    events, row = make()
    state = catalog.fold(events)
    (path,) = catalog.write_manifests(state, tmp_path)
    assert path == tmp_path / "work/s00000/clips.json"
    manifest = catalog.read_manifest(path)
    assert (manifest.shard, manifest.split, manifest.clips) == ("s00000", "train", (row.clip,))
    assert "f/0.mp4" not in path.read_text()
    os.utime(path, ns=(5, 5))
    noted = catalog.fold(
        [catalog.note_event(row.clip.sha256, Note("CC0")), catalog.file_event("other", Seen(1, 2, row.clip.sha256))],
        state,
    )
    assert catalog.write_manifests(noted, tmp_path) == []
    assert path.stat().st_mtime_ns == 5
    path.unlink()
    assert catalog.write_manifests(noted, tmp_path) == [path]


def test_a_withdrawal_rewrites_its_own_manifest_only(tmp_path):
    state = catalog.fold([*make(0, "s00000")[0], *make(1, "s00000")[0], *make(2, "s00001")[0]])
    catalog.write_manifests(state, tmp_path)
    after = catalog.fold([catalog.status_event(make(0)[1].id, "withdrawn", "asked")], state)
    assert catalog.write_manifests(after, tmp_path) == [tmp_path / "work/s00000/clips.json"]
    assert [clip.sha256[0] for clip in catalog.read_manifest(tmp_path / "work/s00000/clips.json").clips] == ["1"]
    emptied = catalog.fold([catalog.status_event(make(2)[1].id, "withdrawn", "asked")], after)
    assert catalog.write_manifests(emptied, tmp_path) == [tmp_path / "work/s00001/clips.json"]
    assert catalog.read_manifest(tmp_path / "work/s00001/clips.json").clips == ()


def test_a_foreign_manifest_is_an_error(tmp_path):
    path = tmp_path / "clips.json"
    for text in ("{", "{}", '{"shard": "s00000", "split": "train", "clips": [{"id": "x"}]}'):
        path.write_text(text)
        with pytest.raises(ContractError, match="not a manifest"):
            catalog.read_manifest(path)


def test_columns_join_clip_video_and_note():
    events, row = make()
    state = catalog.fold([*events, catalog.note_event(row.clip.sha256, Note("CC0", "yes", "ann", "fine", "synthetic"))])
    columns = state.columns(row.id)
    assert (columns["clip"], columns["video"], columns["shard"], columns["fps"]) == (
        row.id,
        "f/0.mp4",
        "s00000",
        "25/1",
    )
    assert (columns["subject"], columns["subject_name"], columns["source"]) == (0, "ann", "synthetic")
    json.dumps(columns)


# --- files ------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    names = [
        "f/a.mp4",
        "f/deep/b.MOV",
        "f/.hidden.mp4",
        "f/.cache/c.mp4",
        "f/notes.txt",
        "f/x[1].mkv",
        "work/out.mp4",
        "train/sample.mp4",
        "synthetic/walk.mp4",
        "training/e.mp4",
        "d.mp4",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "f/videos.csv").write_text("file\n")
    return tmp_path


def test_find_takes_folders_globs_and_files(tree):
    assert footage.find(["f"], tree) == (["f/a.mp4", "f/deep/b.MOV", "f/x[1].mkv"], ["f/videos.csv"])
    assert footage.find(["f/*.mp4"], tree)[0] == ["f/a.mp4"]
    assert footage.find(["f/**/*"], tree)[0] == ["f/a.mp4", "f/deep/b.MOV", "f/x[1].mkv"]
    assert footage.find(["**/*.mp4"], tree)[0] == ["d.mp4", "f/a.mp4", "training/e.mp4"]
    assert footage.find(["f/x[1].mkv", "d.mp4", "d.mp4"], tree)[0] == ["d.mp4", "f/x[1].mkv"]
    assert footage.find(["."], tree)[0] == ["d.mp4", "f/a.mp4", "f/deep/b.MOV", "f/x[1].mkv", "training/e.mp4"]
    assert footage.find(["synthetic", "train/*.mp4"], tree)[0] == ["synthetic/walk.mp4", "train/sample.mp4"]
    assert footage.find(["../" + tree.name + "/d.mp4"], tree)[0] == ["d.mp4"]
    outside = footage.find([str(tree / "d.mp4")], tree / "f")[0]
    assert outside == [str(tree / "d.mp4")]


def test_what_stages_write_is_no_footage():
    """The working directory may be given as footage: a sampled video in it is not."""
    paths = [port.path for stage in PIPELINE for port in stage.outputs if isinstance(port, File)]
    paths += [layout.artifact(Frames), layout.log("a", "b"), layout.benchmark("a", "b")]
    paths += [str(path) for path in (layout.CATALOG, layout.SNAPSHOT, layout.manifest("s"), layout.SYNTHETIC / "x")]
    assert {path.split("/")[0] for path in paths} == footage.OUTPUT_FOLDERS
    ignored = set((layout.repository / ".gitignore").read_text().splitlines())
    assert {f"/{folder}/" for folder in footage.OUTPUT_FOLDERS} <= ignored


def test_find_says_where_it_looked(tree):
    with pytest.raises(ConfigError) as caught:
        footage.find(["f", "g", "f/*.avi", "work/../f/.cache"], tree)
    assert len([line for line in str(caught.value).splitlines() if "looked at" in line]) == 2
    assert f"looked at {tree}/g" in str(caught.value)
    with pytest.raises(ConfigError, match="is empty"):
        footage.find([], tree)


def recorded(tree):
    files, tables = footage.find(["f"], tree)
    events = []
    for name in [*files, *tables]:
        stat = (tree / name).stat()
        make_event = catalog.table_event if name.endswith("csv") else catalog.file_event
        events.append(make_event(name, Seen(stat.st_size, stat.st_mtime_ns, footage.digest(tree / name))))
    return catalog.fold(events)


def test_pending_names_what_is_new_or_changed(tree):
    assert len(catalog.pending(["f"], Catalog(), tree)) == 4
    state = recorded(tree)
    assert catalog.pending(["f"], state, tree) == []
    (tree / "f/new.avi").touch()
    os.utime(tree / "f/a.mp4", ns=(1, 1))
    (tree / "f/videos.csv").write_text("file,licence\n")
    assert catalog.pending(["f"], state, tree) == [Path("f/a.mp4"), Path("f/new.avi"), Path("f/videos.csv")]


def test_locate_trusts_what_is_unchanged_and_reads_what_is_not(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("abc")
    sha = footage.digest(path)
    seen = Seen(3, path.stat().st_mtime_ns, sha)
    video = [catalog.video_event(Video(sha, **FACTS))]
    state = catalog.fold([catalog.file_event("gone.mp4", seen), catalog.file_event("a.mp4", seen), *video])
    assert state.locate(sha, tmp_path) == path
    os.utime(path, ns=(1, 1))
    assert state.locate(sha, tmp_path) == path
    path.write_text("abd")
    with pytest.raises(ToolError) as caught:
        state.locate(sha, tmp_path)
    assert "gone.mp4: No such file" in str(caught.value)
    assert "a.mp4: holds other bytes" in str(caught.value)
    with pytest.raises(ToolError, match="no path is known"):
        state.locate("f" * 64, tmp_path)


def test_the_snapshot_says_the_same_and_forgets_times(tmp_path):
    events = [*make(0, "s00001")[0], *make(1, "s00000", "val")[0]]
    state = catalog.fold([*events, catalog.status_event(make(0)[1].id, "withdrawn", "asked")])
    again = catalog.fold(catalog.snapshot(state))
    assert again.rows == state.rows
    assert again.videos == state.videos
    catalog.write_snapshot(state, tmp_path)
    before = (tmp_path / "catalog" / "current.jsonl").stat().st_mtime_ns
    path, seen = next(iter(state.files.items()))
    catalog.write_snapshot(catalog.fold([catalog.file_event(path, seen._replace(mtime_ns=99))], onto=state), tmp_path)
    assert (tmp_path / "catalog" / "current.jsonl").stat().st_mtime_ns == before
    catalog.write_snapshot(catalog.fold([catalog.file_event("else.mp4", seen)], onto=state), tmp_path)
    assert "else.mp4" in (tmp_path / "catalog" / "current.jsonl").read_text()
