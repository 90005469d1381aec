"""Artifact files: whole or absent, the same bytes for the same contents, damage is noticed."""

import numpy as np
import pytest

from workflow import store
from workflow.errors import ContractError
from workflow.stages.layers import Layers
from workflow.stages.surface import Surface

ZSTD = b"\x28\xb5\x2f\xfd"  # how a frame begins


def layers(length=9, seed=0):
    rng = np.random.default_rng(seed)
    spools = {name: Layers.spool(name) for name in ("human", "occluder", "scene", "matte")}
    frames = rng.random((length, 21, 34)) > 0.5
    for frame in frames:
        spools["human"].append(frame)
        spools["occluder"].append(np.zeros_like(frame))
        spools["scene"].append(~frame)
        spools["matte"].append(frame * np.uint8(255))
    return frames, Layers(**spools, valid=np.ones(length, bool), quality={"share": 0.5})


def write(path, seed=0):
    frames, artifact = layers(seed=seed)
    with store.writing(path, Layers, {"stage": "layers"}) as writer:
        writer.add("a", artifact)
        writer.reject("b", store.Rejection("keypoints", "no person"))
    return frames


def test_what_was_written_is_read(tmp_path):
    frames = write(tmp_path / "layers.zip")
    with store.Reader(tmp_path / "layers.zip", Layers) as reader:
        assert reader.clips == ("a", "b")
        found = reader.read("a")
        np.testing.assert_array_equal(found.human[:], frames)
        np.testing.assert_array_equal(np.stack(list(found.human)), frames)
        np.testing.assert_array_equal(found.matte[np.array([3, 1])], frames[[3, 1]] * 255)
        assert found.quality == {"share": 0.5}
        assert reader.rejection("b") == store.Rejection("keypoints", "no person")
        with pytest.raises(ContractError, match="rejected by keypoints: no person"):
            reader.read("b")


def test_the_same_contents_give_the_same_bytes(tmp_path):
    write(tmp_path / "one.zip")
    write(tmp_path / "two.zip")
    write(tmp_path / "other.zip", seed=1)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with store.Reader(tmp_path / "one.zip", Layers) as one, store.Reader(tmp_path / "other.zip", Layers) as other:
        assert one.digest() != other.digest()


def test_an_error_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "layers.zip"
    write(path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), store.writing(path, Layers, {}) as writer:
        writer.add("a", layers()[1])
        raise RuntimeError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_file_is_not_taken_for_whole(tmp_path):
    path = tmp_path / "layers.zip"
    write(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ContractError, match="not a whole artifact file"):
        store.Reader(path, Layers)


def test_a_flipped_byte_is_noticed(tmp_path):
    path = tmp_path / "layers.zip"
    write(path)
    data = bytearray(path.read_bytes())
    data[data.index(ZSTD) + 10] ^= 0xFF
    path.write_bytes(data)
    with store.Reader(path, Layers) as reader, pytest.raises(ContractError, match="damaged"):
        list(reader.read("a").human)


def test_another_artifact_is_refused(tmp_path):
    write(tmp_path / "layers.zip")
    with pytest.raises(ContractError, match="holds layers v2, expected surface v2; rerun"):
        store.Reader(tmp_path / "layers.zip", Surface)


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    (tmp_path / ".layers.zip.99999.partial").write_bytes(b"half")
    (tmp_path / ".other.zip.99999.partial").write_bytes(b"half")
    write(tmp_path / "layers.zip")
    assert {path.name for path in tmp_path.iterdir()} == {"layers.zip", ".other.zip.99999.partial"}
