"""One row for every clip that was ever catalogued."""

import hashlib

import pyarrow.parquet as pq
import pytest

from tests import examples
from tools.index import parquet
from workflow import catalog
from workflow.shard_reader import Shard, root_attributes
from workflow.stages.shards import ParquetParams


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    examples.shard(root, lengths=(9, 7))
    examples.shard(root, lengths=(5,), rejected=(), seed=20, name="s00001", split="val")
    examples.index(root)
    return root


def rows_of(path):
    return {row["id"]: row for row in pq.read_table(path).to_pylist()}


def rebuilt(root, tmp_path, events, shards=None):
    """Index after more events happened to the catalog."""
    log = tmp_path / "clips.jsonl"
    log.write_bytes((root / "catalog" / "clips.jsonl").read_bytes())
    catalog.append(log, events)
    shards = sorted(root.glob("shards/*/*.zarr/zarr.json")) if shards is None else shards
    parquet.run(ParquetParams(), {"catalog": log, "shards": shards}, {"index": tmp_path / "index.parquet"})
    return rows_of(tmp_path / "index.parquet")


def test_stored_clips_say_where_they_lie(root):
    rows = rows_of(root / "shards" / "index.parquet")
    for split, name in (("train", "s00000"), ("val", "s00001")):
        shard = Shard(root / "shards" / split / f"{name}.zarr")
        for clip in shard.clips:
            row = rows.pop(clip.id)
            assert (row["status"], row["shard"], row["split"]) == ("stored", name, split)
            assert (row["start"], row["length"], row["fps"]) == (clip.start, clip.length, clip.fps)
            assert (row["height"], row["width"]) == (shard.height, shard.width)
            assert row["clip_digest"] == clip.digest
            assert row["shard_digest"] == shard.attributes["digest"]
            assert row["licence"] == "CC0-1.0"
            figures = {
                key.removeprefix("quality."): value
                for key, value in row.items()
                if key.startswith("quality.") and value is not None
            }
            assert figures == dict(clip.quality)
    (rejected,) = rows.values()
    assert (rejected["status"], rejected["stage"], rejected["start"]) == ("rejected", "layers", None)
    assert rejected["reason"] == "example of a clip rejected by layers"
    assert rejected["quality.body.reprojection_error"] is None


def test_same_inputs_same_bytes(root, tmp_path):
    rebuilt(root, tmp_path, [])
    digests = {
        hashlib.sha256(p.read_bytes()).hexdigest()
        for p in (root / "shards" / "index.parquet", tmp_path / "index.parquet")
    }
    assert len(digests) == 1


def test_withdrawn_unreadable_and_pending_clips_are_rows(root, tmp_path):
    known = catalog.read(root / "catalog" / "clips.jsonl")
    stored = [row for row in known.rows.values() if row.shard == "s00000"][0]
    broken = catalog.Video("f" * 64, bytes=10, reason="not a video")
    rows = rebuilt(
        root,
        tmp_path,
        [
            catalog.status_event(stored.id, catalog.WITHDRAWN, "asked for"),
            catalog.video_event(broken),
            catalog.file_event("videos/broken.mp4", catalog.Seen(10, 1, broken.sha256)),
        ],
        shards=[root / "shards" / "train" / "s00000.zarr" / "zarr.json"],
    )
    withdrawn = rows[stored.id]
    assert (withdrawn["status"], withdrawn["stage"], withdrawn["reason"]) == ("withdrawn", "catalog", "asked for")
    assert withdrawn["start"] is None
    unread = rows["f" * 12]
    assert (unread["status"], unread["stage"], unread["reason"]) == ("rejected", "catalog", "not a video")
    assert unread["paths"] == ["videos/broken.mp4"]
    assert [row["status"] for row in rows.values() if row["shard"] == "s00001"] == ["pending"]


def test_an_empty_catalog_gives_an_empty_table(tmp_path):
    log = tmp_path / "clips.jsonl"
    log.touch()
    parquet.run(ParquetParams(), {"catalog": log, "shards": []}, {"index": tmp_path / "index.parquet"})
    table = pq.read_table(tmp_path / "index.parquet")
    assert len(table) == 0
    assert table.schema.names[:2] == ["id", "status"]


def test_the_dataset_digest_follows_the_shards(root, tmp_path):
    rebuilt(root, tmp_path, [], shards=[root / "shards" / "train" / "s00000.zarr" / "zarr.json"])
    digests = [
        pq.read_schema(p).metadata[b"dataset_digest"]
        for p in (tmp_path / "index.parquet", root / "shards" / "index.parquet")
    ]
    assert digests[0] != digests[1]


def test_the_index_says_whose_layers_are_the_truth(root, tmp_path):
    shards = [root_attributes(path) for path in sorted(root.glob("shards/*/*.zarr/zarr.json"))]
    known = catalog.read(root / "catalog" / "clips.jsonl")
    exact = shards[0]["clips"][0]["id"]
    shards[0]["provenance"] = {"keypoints": {"truth": {exact: "0"}}, "crop": {}}
    rows = {row["id"]: row for row in parquet.build(known, shards).to_pylist()}
    stored = {name: row["annotations"] for name, row in rows.items() if row["status"] == "stored"}
    assert stored.pop(exact) == "truth" and set(stored.values()) == {"estimated"}
    assert {row["annotations"] for row in rows.values() if row["status"] != "stored"} <= {None}
