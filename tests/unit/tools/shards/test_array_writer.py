"""Arrays written chunk by chunk are Zarr arrays like any other, and read back directly as zarr-python reads them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

from tools.shards import array_writer
from tools.shards.array_writer import ArrayWriter
from workflow.errors import ContractError
from workflow.shard_array import ShardArray


def write(root, values, *, chunk_length=4, compress=True, step=3):
    with ThreadPoolExecutor(2) as pool:
        writer = ArrayWriter(
            root, "a", item_shape=values.shape[1:], dtype=str(values.dtype), chunk_length=chunk_length,
            dimensions=("time", "y", "x")[: values.ndim], attributes={"unit": "m"}, pool=pool, compress=compress,
        )  # fmt: skip
        for start in range(0, len(values), step):
            writer.extend(values[start : start + step])
        writer.close()
    return writer


@pytest.mark.parametrize("length", [0, 1, 4, 11, 31])
@pytest.mark.parametrize(
    ("item", "dtype", "compress"), [((5, 3), "uint8", True), ((6,), "float16", False), ((), "bool", True)]
)
def test_every_range_reads_as_written(tmp_path, monkeypatch, length, item, dtype, compress):
    monkeypatch.setattr(array_writer, "CHUNKS_PER_FILE", 3)  # several files, the last one not full
    values = (np.random.default_rng(length).random((length, *item)) * 3).astype(dtype)
    values[8:12] = 0  # a chunk that is not stored
    write(tmp_path, values, compress=compress)
    theirs = zarr.open_array(tmp_path / "a", mode="r")
    assert theirs.dtype == values.dtype
    assert theirs.attrs["unit"] == "m"
    np.testing.assert_array_equal(theirs[...], values)
    ours = ShardArray(tmp_path / "a")
    for start in range(length + 1):
        for stop in range(start, length + 1):
            np.testing.assert_array_equal(ours.read(start, stop), values[start:stop])
    assert list(ours.faults()) == []


def test_same_values_in_other_pieces_give_the_same_bytes(tmp_path):
    values = np.random.default_rng(0).integers(0, 9, (30, 4, 4), dtype=np.uint8)
    assert write(tmp_path / "a", values, step=3).files == write(tmp_path / "b", values, step=7).files


def test_an_empty_chunk_takes_no_room(tmp_path):
    values = np.zeros((400, 8, 8), np.uint8)
    values[200] = 1
    files = write(tmp_path, values).files
    assert files["a/c/0/0/0"][0] < 100 * 16 + 4 + 200
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "a", mode="r")[:], values)


def test_reads_into_a_given_array(tmp_path):
    values = np.arange(40, dtype=np.uint8).reshape(20, 2)
    write(tmp_path, values)
    out = np.full((5, 2), 255, np.uint8)
    assert ShardArray(tmp_path / "a").read(3, 8, out) is out
    np.testing.assert_array_equal(out, values[3:8])
    with pytest.raises(ValueError, match="expected contiguous"):
        ShardArray(tmp_path / "a").read(3, 8, out.astype(np.int16))
    with pytest.raises(IndexError, match="items 3 to 21 of 20"):
        ShardArray(tmp_path / "a").read(3, 21)


def test_wrong_items_are_refused(tmp_path):
    with pytest.raises(ContractError, match="items are"), ThreadPoolExecutor(1) as pool:
        ArrayWriter(
            tmp_path,
            "a",
            item_shape=(2,),
            dtype="uint8",
            chunk_length=4,
            dimensions=("t", "x"),
            attributes={},
            pool=pool,
        ).append(np.zeros(3, np.uint8))


@pytest.mark.parametrize("place", [0, 10, -3, -30])
def test_any_changed_byte_is_noticed(tmp_path, place):
    values = np.random.default_rng(0).integers(0, 255, (12, 40), dtype=np.uint8)
    write(tmp_path, values)
    file = tmp_path / "a" / "c" / "0" / "0"
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    with pytest.raises(ContractError, match="damaged|cut short"):
        ShardArray(tmp_path / "a").read(0, 12)
    assert list(ShardArray(tmp_path / "a").faults())


def test_a_cut_file_is_noticed(tmp_path):
    write(tmp_path, np.random.default_rng(0).integers(0, 255, (12, 40), dtype=np.uint8))
    file = tmp_path / "a" / "c" / "0" / "0"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ContractError, match="damaged|cut short"):
        ShardArray(tmp_path / "a").read(0, 12)


def test_another_layout_is_named(tmp_path):
    zarr.create_array(tmp_path / "a", shape=(4,), chunks=(2,), dtype="uint8")
    with pytest.raises(ContractError, match=r"not a shard's|not a readable array"):
        ShardArray(tmp_path / "a")
