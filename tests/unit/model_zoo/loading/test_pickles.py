"""The one restricted reader of pickles, without what a body model adds to it."""

from __future__ import annotations

import io
import os
import pickle

import numpy as np
import pytest
import scipy.sparse

from model_zoo.loading.pickles import FAULTS, NUMBERS, PLAIN, Call, Reader, StandIn, read_npy

NUMBERS_ONLY = Reader("it may hold numbers")


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", range(6))
def test_old_and_new_pickles_and_arrays_within_containers(protocol):
    content = {"Rh": np.arange(3, dtype=np.float32), "in": [(np.ones(2), {"deep": np.array([1, 2], ">i2")})]}
    found = PLAIN.read(pickle.dumps(content, protocol))
    np.testing.assert_array_equal(found["Rh"], [0, 1, 2])
    np.testing.assert_array_equal(found["in"][0][0], [1, 1])
    np.testing.assert_array_equal(found["in"][0][1]["deep"], [1, 2])


@pytest.mark.parametrize("reader", [PLAIN, NUMBERS_ONLY], ids=["plain", "numbers"])
@pytest.mark.parametrize("wrapped", [lambda x: x, lambda x: [x], lambda x: {"a": x}, lambda x: {x: 1}])
def test_nothing_in_a_pickle_is_run(tmp_path, reader, wrapped):
    marker = tmp_path / "ran"
    with pytest.raises(pickle.UnpicklingError, match=r"refused to load (posix|nt)\.system"):
        reader.read(pickle.dumps(wrapped(Hostile(marker)), 2))
    assert not marker.exists()


def test_what_only_a_body_model_may_hold_is_refused():
    with pytest.raises(pickle.UnpicklingError, match=r"refused to load scipy\.sparse"):
        PLAIN.read(pickle.dumps({"J": scipy.sparse.csc_matrix(np.eye(2))}))
    for name in (b"cbuiltins\nobject\n", b"ccopyreg\n_reconstructor\n", b"cchumpy.ch\nCh\n"):
        with pytest.raises(pickle.UnpicklingError, match="refused to load"):
            PLAIN.read(b"\x80\x02" + name + b".")


def test_objects_and_text_only_where_they_are_allowed():
    objects = np.empty(2, object)
    objects[0], objects[1] = [1], np.zeros(2)
    found = PLAIN.read(pickle.dumps(objects))
    assert found[0] == [1] and np.array_equal(found[1], [0, 0])
    assert list(PLAIN.read(pickle.dumps(np.array(["b", "cd"])))) == ["b", "cd"]
    for content in (objects, np.array(["b"]), np.array([b"b"])):
        with pytest.raises(pickle.UnpicklingError, match="expected numbers"):
            NUMBERS_ONLY.read(pickle.dumps(content))


def test_a_hostile_object_inside_an_array_of_objects_is_refused(tmp_path):
    held = np.empty(1, object)
    held[0] = Hostile(tmp_path / "ran")
    with pytest.raises(pickle.UnpicklingError, match="refused to load"):
        PLAIN.read(pickle.dumps(held))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02cnumpy\ndtype\n.",  # a type
        b"\x80\x02cnumpy\ndtype\nU\x02f8\x85R.",  # a dtype
        b"\x80\x02c_codecs\nencode\n.",  # a function
        b"\x80\x02cnumpy\nndarray\n)R.",  # an array without content
        b"\x80\x02cnumpy\nndarray\n}U\x01aK\x01sb.",  # the state of a class
        b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
        b"\x80\x02P1\n.",
    ],
    ids=["type", "dtype", "function", "empty", "class-state", "endless", "persistent"],
)
def test_what_is_no_value_is_refused(data):
    with pytest.raises(FAULTS):
        PLAIN.read(data)


def test_an_array_without_its_bytes_is_refused():
    state = b"K\x01K\x02\x85cnumpy\ndtype\nU\x02f8\x85R\x89]tb."
    start = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R("
    with pytest.raises(pickle.UnpicklingError, match="without plain bytes"):
        PLAIN.read(start + state)


def test_a_reader_may_know_more_names():
    class Kept(StandIn):
        def value(self, reader):
            return reader.plain(self.state["x"])

    also = {("mine", "Kept"): Kept, ("mine", "three"): Call(lambda: 3)}
    reader = Reader("it may hold mine", NUMBERS, also=also)
    assert reader.read(b"\x80\x02cmine\nKept\n)R}U\x01x]K\x07asb.") == [7]
    assert reader.read(b"\x80\x02cmine\nthree\n)R.") == 3
    with pytest.raises(pickle.UnpicklingError, match="refused to load mine.Kept"):
        PLAIN.read(b"\x80\x02cmine\nKept\n)R.")


def test_npy_files_name_themselves(tmp_path):
    np.save(tmp_path / "a.npy", {"K": np.eye(2)}, allow_pickle=True)
    data = (tmp_path / "a.npy").read_bytes()
    np.testing.assert_array_equal(read_npy(io.BytesIO(data), "a")["K"], np.eye(2))
    for cut in (3, 60, 90, len(data) - 5):
        with pytest.raises(ValueError, match="a: cannot be read"):
            read_npy(io.BytesIO(data[:cut]), "a")


@pytest.mark.parametrize("held", [{"a": 1}, np.empty(3, object)], ids=["no-array", "another-size"])
def test_a_npy_file_whose_header_tells_of_something_else_is_refused(held):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (2,)})
    file.write(pickle.dumps(held))
    file.seek(0)
    with pytest.raises(ValueError, match=r"a: cannot be read: holds \w+, expected an array of shape \(2,\)"):
        read_npy(file, "a")
