import dataclasses

import numpy as np
import pytest

from tools.catalog import clips, scan, shots
from workflow import catalog
from workflow.catalog import Note, Video

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


def video(number=0, frames=100, **note):
    return Video(f"{number:064x}", frames=frames, fps="25/1", width=8, height=8, note=Note(**note))


def seen(frames, *cuts):
    return shots.Scan(np.arange(frames) * 40_000, cuts, ())


def limits(**changed):
    return scan.Settings(["x"], **changed)


def test_parts_are_nearly_equal_and_cover_the_span():
    assert clips.parts(10, 20, 10) == [(10, 20)]
    assert clips.parts(0, 301, 300) == [(0, 150), (150, 301)]
    for length in range(1, 60):
        found = clips.parts(5, 5 + length, 7)
        sizes = [end - start for start, end in found]
        assert max(sizes) <= 7
        assert max(sizes) - min(sizes) <= 1
        assert [edge for part in found for edge in part][1:-1:2] == [end for _, end in found[:-1]]
        assert (found[0][0], found[-1][1]) == (5, 5 + length)


def test_shots_become_clips_with_times_and_ids():
    rows = clips.cut(video(frames=100), seen(100, 30, 31), "train", limits(max_clip_frames=40))
    assert [(row.clip.start, row.clip.end, row.shot, row.status) for row in rows] == [
        (0, 30, 0, "active"),
        (30, 31, 1, "rejected"),
        (31, 65, 2, "active"),
        (65, 100, 2, "active"),
    ]
    assert rows[1].reason == "too short: shot 1 has 1 frame, a clip needs 2"
    assert rows[2].id == "000000000000-000031-000065"
    assert (rows[2].clip.first_us, rows[2].clip.last_us) == (31 * 40_000, 64 * 40_000)
    assert {row.split for row in rows} == {"train", ""}


def test_disordered_times_are_not_trusted():
    scan_ = shots.Scan(np.zeros(100, np.int64), (), ())
    (row,) = clips.cut(video(), scan_, "train", limits())
    assert row.clip.first_us is None


def test_unreadable_video_is_a_row():
    (row,) = clips.cut(dataclasses.replace(video(frames=0), reason="the file is empty"), None, "val", limits())
    assert (row.status, row.reason, row.shard, row.split) == ("rejected", "the file is empty", "", "")


def test_one_clip_for_every_subject_at_once_or_later():
    at_once = clips.cut(video(), seen(100), "train", limits(subjects=3))
    assert [row.id[-3:] for row in at_once] == ["100", "-s1", "-s2"]
    later = clips.of_more_subjects(at_once[:1], 3)
    assert [row.clip for row in later] == [row.clip for row in at_once[1:]]
    assert clips.of_more_subjects(at_once, 3) == []


def test_split_follows_table_then_subject_then_content():
    assert clips.split_of(video(split="val", subject="ann"), SHARES) == "val"
    same = {clips.split_of(video(number, subject="ann"), SHARES) for number in range(20)}
    assert len(same) == 1
    found = [clips.split_of(video(number), SHARES) for number in range(2000)]
    for name, share in SHARES.items():
        assert found.count(name) / 2000 == pytest.approx(share, abs=0.04)
    assert {clips.split_of(video(number), {"train": 0, "val": 2}) for number in range(50)} == {"val"}


def test_shards_are_filled_in_order_and_hold_one_split():
    rows = [
        row
        for number, split in enumerate(["train", "test", "train", "train", "test"])
        for row in clips.cut(video(number), seen(100), split, limits())
    ]
    packed = clips.pack(rows, shard_frames=200, next_shard=7)
    assert [(row.clip.sha256[-1], row.shard, row.split) for row in packed] == [
        ("0", "s00007", "train"),
        ("2", "s00007", "train"),
        ("3", "s00008", "train"),
        ("1", "s00009", "test"),
        ("4", "s00009", "test"),
    ]
    assert len({row.shard for row in clips.pack(rows, shard_frames=10, next_shard=0)}) == 5


def test_rejected_rows_get_no_shard():
    rows = clips.cut(video(frames=1), seen(1), "train", limits())
    assert [row.shard for row in clips.pack(rows, 100, 0)] == [""]
    assert rows[0].status == catalog.REJECTED
