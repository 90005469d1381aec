"""The restricted reader of pickled files."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tools.nvr.objects import load_npy, save_npy


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_reads_what_numpy_writes(tmp_path):
    content = {
        "cams": {"K": [np.eye(3, dtype=np.float32)], "T": [np.arange(3.0)[:, None]]},
        "ims": [{"ims": ["images/a/000000.jpg"]}, {"ims": np.array(["b", "cd"])}],
        "n": np.float64(2.5),
    }
    np.save(tmp_path / "a.npy", content, allow_pickle=True)
    found = load_npy(tmp_path / "a.npy")
    assert found["cams"]["K"][0].dtype == np.float32 and np.array_equal(found["cams"]["K"][0], np.eye(3))
    assert np.array_equal(found["cams"]["T"][0], [[0], [1], [2]])
    assert found["ims"][0] == {"ims": ["images/a/000000.jpg"]} and list(found["ims"][1]["ims"]) == ["b", "cd"]
    assert found["n"] == 2.5


def test_what_we_write_numpy_reads_as_the_original_does(tmp_path):
    save_npy(tmp_path / "a.npy", {"Rh": np.zeros((1, 3))})
    stored = np.load(tmp_path / "a.npy", allow_pickle=True)
    assert stored.shape == () and stored.dtype == object and stored.item()["Rh"].shape == (1, 3)


def test_plain_arrays_and_arrays_of_objects(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    assert np.array_equal(load_npy(tmp_path / "a.npy"), [[0, 1, 2], [3, 4, 5]])
    ragged = np.empty(2, object)
    ragged[0], ragged[1] = [1], np.zeros(2)
    np.save(tmp_path / "b.npy", ragged, allow_pickle=True)
    found = load_npy(tmp_path / "b.npy")
    assert found.shape == (2,) and found[0] == [1] and np.array_equal(found[1], [0, 0])


def test_nothing_in_a_file_is_run(tmp_path):
    marker = tmp_path / "ran"
    np.save(tmp_path / "a.npy", {"K": Hostile(marker)}, allow_pickle=True)
    with pytest.raises(ValueError, match="a.npy: cannot be read: refused to load"):
        load_npy(tmp_path / "a.npy")
    assert not marker.exists()


@pytest.mark.parametrize("cut", [3, 60, 90, 150])
def test_damaged_files_are_named(tmp_path, cut):
    np.save(tmp_path / "a.npy", {"K": np.eye(3)}, allow_pickle=True)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"a.npy: cannot be read"):
        load_npy(tmp_path / "a.npy")
