"""A folder is replaced whole, or not at all."""

import pytest

from tools.shards import publish
from tools.shards.publish import replacing_folder


@pytest.fixture(params=["swapped", "renamed twice"])
def way(request, monkeypatch):
    if request.param == "renamed twice":
        monkeypatch.setattr(publish, "_exchange", lambda first, second: False)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_new_takes_the_place_of_old(tmp_path, way):
    target = tmp_path / "s.zarr"
    target.mkdir()
    (target / "old").touch()
    with replacing_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "new").touch()
        assert names(target) == ["old"]
    assert names(target) == ["new", "sub"]
    assert names(tmp_path) == ["s.zarr"]


def test_a_failure_leaves_the_old(tmp_path, way):
    target = tmp_path / "s.zarr"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(KeyError), replacing_folder(target) as folder:
        (folder / "new").touch()
        raise KeyError
    assert names(target) == ["old"]
    assert names(tmp_path) == ["s.zarr"]


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    stale = tmp_path / ".s.zarr.123.partial"
    stale.mkdir()
    (stale / "half").touch()
    other = tmp_path / ".t.zarr.123.partial"
    other.mkdir()
    with replacing_folder(tmp_path / "s.zarr") as folder:
        (folder / "new").touch()
    assert names(tmp_path) == [".t.zarr.123.partial", "s.zarr"]
