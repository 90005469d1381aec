"""Direct reads of a shard equal zarr-python's, from any number of threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

from tests import examples
from workflow.errors import ContractError
from workflow.shard import LAYERS, WINDOW_LAYERS
from workflow.shard_reader import Shard
from workflow.stages.canonical import Canonical
from workflow.stages.shards import ZarrParams
from workflow.store import Reader


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("shard")
    examples.shard(root, lengths=(13, 9, 6))
    return root


@pytest.fixture(scope="module")
def store(root):
    return root / "shards" / "train" / "s00000.zarr"


def expected(store, begin, end):
    """A window as zarr-python and the page on the format give it."""
    group = zarr.open_group(store, mode="r")
    window = {name: group[name][begin:end] for name in WINDOW_LAYERS}
    window["scene"] = np.where(window["scene_origin"][..., None] == 0, window["rgb"], window["scene"])
    return window


def assert_same(ours, theirs):
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype, name
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_windows_equal_zarr_python(store):
    shard = Shard(store)
    rng = np.random.default_rng(0)
    for _ in range(12):
        clip = shard.clips[rng.integers(len(shard.clips))]
        length = int(rng.integers(1, clip.length + 1))
        start = int(rng.integers(0, clip.length - length + 1))
        window = shard.read_window(clip, start, length)
        assert tuple(window) == WINDOW_LAYERS
        assert_same(window, expected(store, clip.start + start, clip.start + start + length))


def test_only_the_layers_asked_for(store):
    shard = Shard(store / "zarr.json")
    window = shard.read_window(shard.clips[1].id, 2, 3, ["scene", "valid"])
    assert list(window) == ["scene", "valid"]
    assert_same(window, expected(store, 15, 18))


def test_buffers_are_filled_again_and_again(store):
    shard = Shard(store)
    buffers = shard.empty_window(5)
    for start in (0, 3, 1):
        window = shard.read_window(shard.clips[0], start, 5, out=buffers)
        assert all(window[name] is buffers[name] for name in WINDOW_LAYERS)
        assert_same(window, expected(store, start, start + 5))


def test_buffers_serve_a_shard_with_other_chunks(store, tmp_path):
    other = examples.shard(tmp_path, lengths=(13,), rejected=(), params=ZarrParams(chunk_frames=3)).parent
    shard, buffers = Shard(other), Shard(store).empty_window(5)
    for start in (0, 1, 8):
        window = shard.read_window(shard.clips[0], start, 5, out=buffers)
        assert_same(window, expected(other, start, start + 5))


def test_what_lies_around_given_arrays_is_left_alone(store):
    shard = Shard(store)
    around = np.full((11, shard.height, shard.width, 3), 77, np.uint8)
    shard.read_window(shard.clips[0], 1, 5, ["rgb"], out={"rgb": around[3:8]})
    assert (around[:3] == 77).all() and (around[8:] == 77).all()
    assert_same({"rgb": around[3:8]}, expected(store, 1, 6))


def test_threads_do_not_disturb_each_other(store):
    shard = Shard(store)
    spans = [(start, 1 + start % 5) for start in range(8)] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda span: shard.read_window(shard.clips[0], *span), spans))
    for (start, length), window in zip(spans, found):
        assert_same(window, expected(store, start, start + length))
    with ThreadPoolExecutor(3) as pool:
        assert_same(shard.read_window(shard.clips[2], 1, 4, pool=pool), expected(store, 23, 27))


def test_what_a_clip_has_once(root, store):
    shard = Shard(store)
    shared = shard.read_shared()
    with Reader(root / "work" / "s00000" / "canonical.zip", Canonical) as reader:
        for clip in shard.clips:
            canonical = reader.read(clip.id)
            once = shard.read_clip(clip)
            for name in ("vertices", "joints", "bigpose_origin", "bigpose_weights", "bigpose_uv"):
                np.testing.assert_array_equal(once[f"canonical/{name}"], getattr(canonical, name), err_msg=name)
            for name in ("parents", "faces", "weights"):
                np.testing.assert_array_equal(shared[f"canonical/{name}"], getattr(canonical, name), err_msg=name)
            for frame in range(clip.length):
                np.testing.assert_array_equal(shard.read_nearest(clip, frame), canonical.nearest[frame])
            assert (once["clip_start"], once["clip_length"]) == (clip.start, clip.length)
    assert list(shard.read_clip(shard.clips[0], ["betas"])) == ["betas"]


def test_what_is_not_there_is_named(store):
    shard = Shard(store)
    clip = shard.clips[0]
    with pytest.raises(IndexError, match="frames 10 to 14 of clip .*, which has 13"):
        shard.read_window(clip, 10, 4)
    with pytest.raises(IndexError, match="frames -1 to 3"):
        shard.read_window(clip, -1, 4)
    with pytest.raises(KeyError, match="no window layers colour"):
        shard.read_window(clip, 0, 4, ["rgb", "colour"])
    with pytest.raises(KeyError, match="no clip nobody"):
        shard.read_window("nobody", 0, 4)
    with pytest.raises(IndexError, match="frame 13"):
        shard.read_nearest(clip, 13)


def test_what_is_no_shard_is_refused(tmp_path, store):
    with pytest.raises(ContractError, match="is not a shard"):
        Shard(tmp_path)
    zarr.create_group(tmp_path, attributes={"format": "other"})
    with pytest.raises(ContractError, match="is not a shard"):
        Shard(tmp_path)
    (tmp_path / "zarr.json").write_text(
        (store / "zarr.json").read_text().replace('"format_version": 1', '"format_version": 9')
    )
    with pytest.raises(ContractError, match="holds strata-shard v9, expected strata-shard v1"):
        Shard(tmp_path)


def test_layout_is_consistent():
    for name, layer in LAYERS.items():
        np.dtype(layer.dtype)
        assert len(set(layer.dimensions)) == len(layer.dimensions), name
        assert len(layer.dimensions) == len(layer.sizes)
