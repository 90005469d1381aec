import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.catalog import scan, shots
from workflow import catalog
from workflow.errors import ConfigError

ROOT = Path(__file__).parents[4]


def sync(**changed):
    return scan.sync(scan.Settings(**{"videos": ["footage"], "splits": {"train": 1.0}, **changed}))


def manifests():
    return {path: path.read_bytes() for path in sorted(Path("work").glob("*/clips.json"))}


def by_file(state):
    return {name: state.by_video().get(seen.sha256, []) for name, seen in state.files.items()}


def test_all_kinds_of_files_are_taken_in(footage):
    good = ["plain.mp4", "slow.mp4", "wide.mp4", "odd.mkv", "variable.mp4", "torn.mkv", "interlaced.mpg"]
    bad = {"empty.mp4": "empty", "text.mp4": "not a video", "headless.mp4": "moov", "sound.mp4": "audio"}
    for name in [*good, *bad, "one.mp4", "cut.mp4"]:
        footage(name)
    state = sync()
    rows = by_file(state)
    for name in good:
        (row,) = rows[f"footage/{name}"]
        assert (row.status, row.clip.start) == ("active", 0), name
        assert row.clip.frames == state.videos[row.clip.sha256].frames
    for name, reason in bad.items():
        (row,) = rows[f"footage/{name}"]
        assert (row.status, row.shard) == ("rejected", "")
        assert reason in row.reason
    (row,) = rows["footage/one.mp4"]
    assert row.reason == "too short: the video has 1 frame, a clip needs 2"
    assert [(row.clip.start, row.clip.end, row.shot) for row in rows["footage/cut.mp4"]] == [(0, 23, 0), (23, 40, 1)]
    (torn,) = rows["footage/torn.mkv"]
    assert torn.clip.damaged
    listed = {clip.id for path in manifests() for clip in catalog.read_manifest(path).clips}
    assert listed == {row.id for row in state.rows.values() if row.status == "active"}
    assert catalog.pending(["footage"], state) == []


@pytest.mark.parametrize(
    "name", ["a b.mp4", 'it\'s "quoted".mp4', "-dash.mp4", "n\u00e4me \u65e5\u672c.MP4", "a:b%03d[1]{}.mp4"]
)
def test_strange_names_work(footage, name):
    footage("plain.mp4", name)
    (row,) = sync().rows.values()
    assert (row.status, row.clip.frames) == ("active", 50)
    assert row.id == next(iter(catalog.read().rows))


def test_same_bytes_under_two_names_are_one_video(footage):
    footage("plain.mp4", "a.mp4")
    footage("plain.mp4", "b.mp4")
    state = sync()
    (video,) = state.videos.values()
    assert video.paths == ("footage/a.mp4", "footage/b.mp4")
    assert len(state.rows) == 1


def test_nothing_changes_when_nothing_happened_or_a_file_is_touched(footage):
    path = footage("plain.mp4")
    sync()
    before = manifests()
    log = catalog.LOG.read_bytes()
    sync()
    assert catalog.LOG.read_bytes() == log
    os.utime(path, ns=(1, 1))
    state = catalog.read()
    assert catalog.pending(["footage"], state) == [Path("footage/plain.mp4")]
    state = sync()
    assert catalog.pending(["footage"], state) == []
    assert catalog.LOG.read_bytes().startswith(log)
    assert catalog.LOG.read_bytes().count(b"\n") == log.count(b"\n") + 1
    assert manifests() == before


def test_a_renamed_or_deleted_file_changes_no_manifest(footage, caplog):
    path = footage("plain.mp4")
    sync()
    before = manifests()
    path.rename(path.with_name("new name.mp4"))
    state = sync()
    assert manifests() == before
    (video,) = state.videos.values()
    assert video.paths[-1] == "footage/new name.mp4"
    assert state.locate(video.sha256, Path()) == Path("footage/new name.mp4")
    path.with_name("new name.mp4").unlink()
    footage("other.mp4")
    sync()
    assert "footage/plain.mp4 or footage/new name.mp4 is no longer there" in caplog.text
    assert {path: data for path, data in manifests().items() if path in before} == before


def test_a_new_video_opens_a_new_shard(footage):
    footage("plain.mp4")
    sync()
    before = manifests()
    footage("other.mp4")
    state = sync()
    assert list(state.shards()) == ["s00000", "s00001"]
    assert {path: data for path, data in manifests().items() if path in before} == before


def test_a_replaced_file_withdraws_its_clips_and_comes_back(footage):
    footage("plain.mp4", "a.mp4")
    footage("odd.mkv")
    first = sync()
    (old,) = by_file(first)["footage/a.mp4"]
    footage("other.mp4", "a.mp4")
    state = sync()
    assert state.rows[old.id].status == "withdrawn"
    assert state.rows[old.id].reason == "replaced: footage/a.mp4 now holds other bytes"
    (new,) = by_file(state)["footage/a.mp4"]
    assert (new.status, new.shard) == ("active", "s00001")
    assert old.id not in {clip.id for clip in catalog.read_manifest(Path("work/s00000/clips.json")).clips}
    footage("plain.mp4", "a.mp4")
    state = sync()
    assert (state.rows[old.id].status, state.rows[old.id].shard) == ("active", "s00000")
    assert state.rows[new.id].status == "withdrawn"


def test_replacing_one_of_two_names_keeps_the_video(footage):
    footage("plain.mp4", "a.mp4")
    footage("plain.mp4", "b.mp4")
    (row,) = sync().rows.values()
    footage("other.mp4", "a.mp4")
    assert sync().rows[row.id].status == "active"


def table(*lines):
    Path("footage/videos.csv").write_text("\n".join(["file,licence,consent,subject,notes,split", *lines]) + "\n")


def test_notes_change_the_catalog_but_no_manifest(footage):
    footage("plain.mp4")
    sync()
    before = manifests()
    table("plain.mp4,CC0,written,,dancing,")
    assert catalog.pending(["footage"], catalog.read()) == [Path("footage/videos.csv")]
    state = sync()
    (columns,) = [state.columns(name) for name in state.rows]
    assert (columns["licence"], columns["consent"], columns["notes"]) == ("CC0", "written", "dancing")
    assert manifests() == before
    assert catalog.pending(["footage"], state) == []


def test_a_split_asked_for_later_moves_the_clips_to_a_new_shard(footage):
    footage("plain.mp4")
    footage("other.mp4")
    sync()
    table("other.mp4,,,,,test")
    state = sync()
    assert state.shards() == {"s00000": "train", "s00001": "test"}
    assert len(catalog.read_manifest(Path("work/s00000/clips.json")).clips) == 1
    log = catalog.LOG.read_bytes()
    sync()
    assert catalog.LOG.read_bytes() == log


def splits_of(state):
    return {Path(name).name: {row.split for row in rows} for name, rows in by_file(state).items()}


def test_all_videos_of_a_subject_go_to_one_split(footage):
    footage("plain.mp4")
    table("plain.mp4,,,anna,,")
    (first,) = splits_of(sync())["plain.mp4"]
    other = {"train": "val", "val": "train"}[first]
    footage("other.mp4")
    table("plain.mp4,,,anna,,", "other.mp4,,,anna,,")
    now = splits_of(sync(splits={other: 1.0}))
    assert now == {"plain.mp4": {first}, "other.mp4": {first}}  # not by the new shares
    table("plain.mp4,,,anna,,", f"other.mp4,,,anna,,{other}")
    assert splits_of(sync()) == {"plain.mp4": {other}, "other.mp4": {other}}  # what is asked for one holds for all
    table("plain.mp4,,,anna,,test", f"other.mp4,,,anna,,{other}")
    with pytest.raises(ConfigError, match="subject 'anna' is asked for in .*; all videos of one subject"):
        sync()


def test_a_shard_whose_clips_all_move_to_another_split_is_emptied(footage):
    """Otherwise a held-out clip would stay in a store of the split `train`."""
    footage("plain.mp4")
    (shown,) = sync().rows
    table("plain.mp4,,,,,val")
    state = sync()
    assert state.shards() == catalog.read().shards() == {"s00000": "train", "s00001": "val"}
    listed = [[clip.id for clip in catalog.read_manifest(path).clips] for path in manifests()]
    assert listed == [[], [shown]]


def test_settings_that_come_too_late_are_told(footage, caplog):
    footage("plain.mp4")
    before = sync()
    assert not caplog.messages or "was" not in caplog.text
    after = sync(max_clip_frames=10, subjects=2)
    assert "max_clip_frames is 10, was 300: holds for videos that are new from now on" in caplog.text
    assert "subjects is" not in caplog.text
    assert before.rows.items() <= after.rows.items()
    caplog.clear()
    sync(max_clip_frames=10, subjects=2)
    assert "was" not in caplog.text


def test_different_notes_about_the_same_bytes_are_a_fault(footage):
    footage("plain.mp4", "a.mp4")
    footage("plain.mp4", "b.mp4")
    table("a.mp4,CC0,,,,", "b.mp4,CC-BY,,,,")
    with pytest.raises(ConfigError, match="hold the same bytes"):
        sync()
    assert not catalog.LOG.exists()


def test_more_subjects_later_make_clips_in_new_shards(footage):
    footage("plain.mp4")
    sync()
    before = manifests()
    assert catalog.pending(["footage"], catalog.read(), subjects=2) == [Path("footage/plain.mp4")]
    state = sync(subjects=2)
    assert [row.clip.subject for row in state.rows.values()] == [0, 1]
    assert {path: data for path, data in manifests().items() if path in before} == before
    assert catalog.pending(["footage"], state, subjects=2) == []


def test_a_dry_run_writes_only_the_log_it_is_asked_for(footage, tmp_path):
    footage("plain.mp4")
    planned = scan.sync(scan.Settings(["footage"], splits={"train": 1.0}), into=tmp_path / "planned.jsonl")
    assert not catalog.LOG.exists()
    assert not Path("work").exists()
    assert catalog.read(tmp_path / "planned.jsonl") == planned
    assert sync() == planned


def test_a_killed_run_leaves_nothing_and_the_next_does_not_look_twice(footage, monkeypatch):
    footage("plain.mp4")
    footage("other.mp4")
    undisturbed = scan.sync(scan.Settings(["footage"], splits={"train": 1.0}), into=Path("undisturbed.jsonl"))
    looked = []
    whole = scan.look

    def look(path, *rest):
        looked.append(path.name)
        if path.name == "plain.mp4" and len(looked) < 3:
            raise KeyboardInterrupt
        return whole(path, *rest)

    scan._clear_cache(Path())
    monkeypatch.setattr(scan, "look", look)
    with pytest.raises(KeyboardInterrupt):
        sync()
    assert not catalog.LOG.exists()
    assert sync() == undisturbed
    assert looked.count("other.mp4") == 1
    assert not Path("catalog/scanned").exists()


def test_two_runs_at_once_take_turns(footage):
    for name in ("plain.mp4", "other.mp4", "cut.mp4", "odd.mkv", "text.mp4"):
        footage(name)
    command = [sys.executable, "-m", "tools", "catalog", "sync", "--settings", json.dumps({"videos": ["footage"]})]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    events = [json.loads(line) for line in catalog.LOG.read_text().splitlines()]
    clips = [event["id"] for event in events if event["event"] == "clip"]
    assert len(clips) == len(set(clips)) == 6
    assert sum(event["event"] == "video" for event in events) == 5


def test_long_shots_and_small_shards(footage):
    footage("plain.mp4")
    state = sync(max_clip_frames=20, shard_frames=40)
    assert [(row.clip.start, row.clip.end, row.shard) for row in state.rows.values()] == [
        (0, 16, "s00000"),
        (16, 33, "s00000"),
        (33, 50, "s00001"),
    ]


def test_nothing_matched_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError) as caught:
        sync(videos=["empty", "gone/*.mp4"])
    assert f"looked at {tmp_path}/empty" in str(caught.value)
    assert f"looked at {tmp_path}/gone/*.mp4" in str(caught.value)


def test_settings_are_checked_all_at_once():
    with pytest.raises(ConfigError) as caught:
        scan.Settings.from_json('{"videos": ["x"], "subjects": 0, "shard_frames": "many", "splits": {"dev": 1}}')
    for fault in ("subjects: is 0", "shard_frames: is 'many'", "splits: is {'dev': 1}"):
        assert fault in str(caught.value)
    for text in ("[", '{"videos": ["x"], "frames": 3}'):
        with pytest.raises(ConfigError, match="expected a JSON object with videos"):
            scan.Settings.from_json(text)


def test_a_long_video_reports_how_far_it_is(monkeypatch, caplog):
    clock = iter([0.0, 4.0, 20.0])
    monkeypatch.setattr(scan.time, "monotonic", lambda: next(clock))
    caplog.set_level(logging.INFO)
    tell = scan._Teller("walk.mp4", 100)
    tell(10)
    tell(50)
    assert [record.message for record in caplog.records] == [
        "catalog: walk.mp4: frame 50 of about 100, about 20 s left"
    ]


def test_looking_uses_the_decoders_count(media):
    video, found = scan.look(media / "variable.mp4", "0" * 64, 1)
    assert video.frames == len(found.times_us)
    assert video.variable
    assert isinstance(found, shots.Scan)
