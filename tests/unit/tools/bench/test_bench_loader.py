"""What the loader's benchmark compares are the same windows."""

import numpy as np
import pytest

from tests import examples
from tools.bench import loader, rivals
from workflow.errors import ToolError
from workflow.shard import WINDOW_LAYERS
from workflow.shard_reader import Shard


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("bench")
    examples.shard(root, lengths=(19, 17, 4), rejected=())
    examples.shard(root, name="s00001", split="val", lengths=(18,), rejected=(), seed=7)
    return [Shard(path) for path in sorted(root.glob("shards/*/*.zarr"))]


def test_windows_are_drawn_evenly_and_never_leave_their_clip(stores):
    drawn = loader.spots(stores, 300)
    assert drawn == loader.spots(stores, 300)
    seen = {(shard.path.name, clip.start, start) for shard, clip, start in drawn}
    assert len(seen) == 4 + 2 + 3, "every window there is, and no other"


def test_ours_delivers_the_drawn_windows(stores):
    drawn = loader.spots(stores, 9)
    stream = loader.ours(stores, drawn)
    for shard, clip, start in (*drawn, *drawn):
        given = next(stream)
        for name, array in shard.read_window(clip, start, loader.FRAMES).items():
            np.testing.assert_array_equal(given[name], array, err_msg=name)
    stream.close()


@pytest.mark.parametrize("delivered", [True, False])
def test_the_bare_loop_goes_round(stores, delivered):
    stream = loader.bare(stores, loader.spots(stores, 3), delivered=delivered)
    for _ in range(10):
        next(stream)
    stream.close()


def test_contestants_take_turns(monkeypatch):
    monkeypatch.setattr(loader, "_QUIET_s", 0)
    order = []

    def stream(name):
        while True:
            order.append(name)
            yield None

    found = loader.compare({"a": stream("a"), "b": stream("b")}, turns=2, windows=3)
    per_turn = loader._RUN_IN + 3
    assert order == (["a"] * per_turn + ["b"] * per_turn) * 3
    assert len(found["a"].wall) == len(found["b"].cpu) == 2


def test_a_ratio_is_taken_turn_by_turn():
    assert loader.ratio([2.0, 30.0, 4.0], [1.0, 10.0, 2.0]) == 2


def test_no_shards_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("STRATA_BENCH_SHARDS", str(tmp_path))
    with pytest.raises(ToolError, match="holds no shard with a clip of 16 frames"):
        loader.shards(tmp_path, lambda: tmp_path, 2)


def test_absent_packages_are_skipped_and_named(stores, tmp_path, monkeypatch):
    monkeypatch.setenv("STRATA_BENCH_SHARDS", str(stores[0].path.parents[1]))
    monkeypatch.setattr(loader.rivals, "absent", lambda: ["webdataset"])
    monkeypatch.setattr(loader, "_QUIET_s", 0)
    text = loader.table(tmp_path, lambda: tmp_path, 2)
    assert "Not measured, not installed: webdataset" in text and "| Strata |" in text


@pytest.mark.parametrize("kind", ["webdataset", "mds"])
@pytest.mark.filterwarnings("default")
def test_others_hold_the_same_layers(kind, stores, tmp_path):
    if rivals.absent():
        pytest.skip("needs envs/bench.pin.txt")
    spots = [(shard, shard.clips[0], 0) for shard in stores]
    windows = [shard.read_window(clip, start, loader.FRAMES) for shard, clip, start in spots]
    getattr(rivals, f"write_{kind}")(windows, tmp_path / "data")
    sample = next(getattr(rivals, f"read_{kind}")(tmp_path / "data"))
    held = {name.replace("-", "/"): np.asarray(value) for name, value in sample.items() if not name.startswith("__")}
    matching = [window for window in windows if np.array_equal(window["keypoints"], held["keypoints"])]
    assert len(matching) == 1 and set(held) >= set(WINDOW_LAYERS)
    for name in ("parsing", "matte", "depth", "normal", "joints"):
        np.testing.assert_array_equal(held[name], matching[0][name], err_msg=name)
    assert np.array_equal(held["human"] > 0, matching[0]["human"])
    assert np.abs(held["rgb"].astype(int) - matching[0]["rgb"]).mean() < 8
