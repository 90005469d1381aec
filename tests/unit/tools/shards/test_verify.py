"""Verification finds every fault and names the clips it touches."""

import json
import shutil

import pytest

from tests import examples
from tools.index import parquet
from tools.shards.cli import main
from tools.shards.verify import index_faults, shard_faults
from workflow import catalog
from workflow.errors import ToolError
from workflow.stages.shards import ParquetParams


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    examples.shard(root, lengths=(9, 7))
    examples.shard(root, lengths=(5,), seed=20, name="s00001", split="val")
    examples.index(root)
    return root


@pytest.fixture
def root(whole, tmp_path):
    shutil.copytree(whole / "shards", tmp_path / "shards")
    return tmp_path


@pytest.fixture
def store(root):
    return root / "shards" / "train" / "s00000.zarr"


def change(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(data)


def indexed(root):
    return list(index_faults(root / "shards" / "index.parquet", sorted(root.glob("shards/*/*.zarr"))))


def test_whole_shards_have_no_fault(root, store, monkeypatch):
    assert list(shard_faults(store)) == []
    assert indexed(root) == []
    monkeypatch.chdir(root)
    assert main(["verify"]) == 0
    assert main(["verify", str(store), str(root / "shards" / "index.parquet")]) == 0


def test_damage_is_found_and_names_the_clips(root, store):
    first, second = (clip["id"] for clip in json.loads((store / "zarr.json").read_text())["attributes"]["clips"])
    change(store / "rgb" / "c" / "0" / "0" / "0" / "0", 100)  # in the first chunk: frames 0 to 4, the first clip
    change(store / "joints" / "c" / "0" / "0" / "0", 50)  # the only chunk of both clips
    faults = list(shard_faults(store))
    assert len(faults) == 4
    assert sum("SHA-256 differs" in fault for fault in faults) == 2
    (rgb,) = [fault for fault in faults if "rgb: chunk 0 is damaged" in fault]
    assert "frames 0 to 4" in rgb
    assert first in rgb
    assert second not in rgb
    (joints,) = [fault for fault in faults if "joints: chunk 0 is damaged" in fault]
    assert first in joints
    assert second in joints
    assert main(["verify", str(root / "shards")]) == 1


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda s: (s / "human/c/0/0/0").unlink(), "human/c/0/0/0: is missing"),
        (lambda s: (s / "depth/zarr.json").unlink(), "depth/zarr.json: is missing"),
        (lambda s: (s / "stray").touch(), "stray: does not belong to the shard"),
        (lambda s: (s / "zarr.json").unlink(), "is not a shard"),
        (lambda s: (s / "betas/c/0/0").write_bytes(b""), "has 0 bytes, expected"),
        (lambda s: change(s / "rgb/c/0/0/0/0", -2), "the index is damaged"),
        (
            lambda s: (s / "zarr.json").write_text((s / "zarr.json").read_text().replace('"fps": 25.0', '"fps": 24.0')),
            "attributes were changed",
        ),
    ],
)  # fmt: skip
def test_every_kind_of_damage_is_told(store, harm, told):
    harm(store)
    faults = list(shard_faults(store))
    assert any(told in fault for fault in faults), faults


def test_an_index_that_disagrees_is_told(root, store):
    examples.shard(root, lengths=(9, 6))
    faults = indexed(root)
    assert any("length is 7, but 6" in fault or "is not in it" in fault for fault in faults), faults
    assert any("shard_digest" in fault for fault in faults)
    shutil.rmtree(root / "shards" / "val")
    assert any("shard val/s00001 is not there" in fault for fault in indexed(root))
    assert main(["verify", str(root / "shards")]) == 1


def test_a_withdrawn_clip_that_is_still_there_is_told(root, whole):
    log = root / "clips.jsonl"
    log.write_bytes((whole / "catalog" / "clips.jsonl").read_bytes())
    store = root / "shards" / "val" / "s00001.zarr"
    (clip,) = json.loads((store / "zarr.json").read_text())["attributes"]["clips"]
    catalog.append(log, [catalog.status_event(clip["id"], catalog.WITHDRAWN, "asked for")])
    paths = sorted(root.glob("shards/*/*.zarr/zarr.json"))
    parquet.run(ParquetParams(), {"catalog": log, "shards": paths}, {"index": root / "shards" / "index.parquet"})
    assert indexed(root) == [
        f"{store}: holds clip {clip['id']}, which was withdrawn; run snakemake, or delete the store"
    ]


def test_nothing_to_verify_is_an_error(tmp_path):
    with pytest.raises(ToolError, match="no shard and no index here"):
        main(["verify", str(tmp_path)])
    with pytest.raises(ToolError, match="no such file or folder"):
        main(["verify", str(tmp_path / "x")])
