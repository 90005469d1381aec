"""Pickled bodies: what the licensed files hold is read, everything else is refused and nothing is run."""

import builtins
import operator
import os
import pickle
import struct
import subprocess
import sys
import types

import numpy as np
import pytest
import scipy.sparse

from model_zoo.body.smpl import SmplModel
from model_zoo.body.unpickle import load_pickle


@pytest.fixture
def chumpy_array(monkeypatch):
    """A class that pickles as chumpy's does, gone again before the file is read."""
    module = types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x):
            self.x, self._dirty_vars, self._itr = x, set(), None

    Ch.__module__, Ch.__qualname__, module.Ch = "chumpy.ch", "Ch", Ch
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    yield Ch


def write(path, content, protocol=2):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol(tmp_path, protocol):
    content = {
        "a": np.arange(12.0).reshape(3, 4),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "big": np.array([1, 2, 3], dtype=">i2"),
        "faces": np.array([[0, 1, 2]], dtype=np.uint32),
        "scalar": np.float64(2.5),
        "text": "female",
        "nested": {"list": [1, (2.0, None, True)], "set": {1, 2}},
    }
    read = load_pickle(write(tmp_path / "body.pkl", content, protocol))
    assert list(read) == list(content)
    for key in ("a", "fortran", "big", "faces"):
        np.testing.assert_array_equal(read[key], content[key])
    assert read["scalar"] == 2.5
    assert read["text"] == "female"
    assert read["nested"] == content["nested"]


@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "coo_matrix"])
def test_sparse_matrices_become_dense(tmp_path, kind):
    dense = np.zeros((4, 7))
    dense[1, 2], dense[3, 6] = 0.25, -1.0
    read = load_pickle(write(tmp_path / "body.pkl", {"J_regressor": getattr(scipy.sparse, kind)(dense)}))
    np.testing.assert_array_equal(read["J_regressor"], dense)


def test_chumpy_without_chumpy(tmp_path, chumpy_array, monkeypatch):
    shapedirs = np.arange(24.0).reshape(2, 3, 4)
    path = write(tmp_path / "body.pkl", {"shapedirs": chumpy_array(shapedirs)})
    monkeypatch.delitem(sys.modules, "chumpy.ch")
    monkeypatch.delitem(sys.modules, "chumpy")
    np.testing.assert_array_equal(load_pickle(path)["shapedirs"], shapedirs)
    assert "chumpy" not in sys.modules


def test_python_2_strings(tmp_path):
    """Written by hand: Python 2 stores the bytes of an array as a plain string."""
    raw = np.array([1.5, -2.0]).tobytes()
    data = (
        b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + struct.pack("<i", len(raw)) + raw + b"tbs."
    )
    (tmp_path / "body.pkl").write_bytes(data)
    np.testing.assert_array_equal(load_pickle(tmp_path / "body.pkl")["a"], [1.5, -2.0])


def test_licensed_layout_loads_as_a_model(toy_arrays, toy, chumpy_array, tmp_path):
    content = toy_arrays | {
        "J_regressor": scipy.sparse.csc_matrix(toy_arrays["J_regressor"]),
        "shapedirs": chumpy_array(toy_arrays["shapedirs"]),
        "bs_style": "lbs",
        "J": np.zeros((24, 3)),
    }
    model = SmplModel.load(write(tmp_path / "SMPL_NEUTRAL.pkl", content))
    for key, array in toy.arrays().items():
        np.testing.assert_array_equal(model.arrays()[key], array)


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


HOSTILE = {
    "os.system": lambda marker: Calls(os.system, f"touch {marker}"),
    "eval": lambda marker: Calls(builtins.eval, f"open({str(marker)!r}, 'w')"),
    "exec": lambda marker: Calls(builtins.exec, f"open({str(marker)!r}, 'w')"),
    "open": lambda marker: Calls(builtins.open, str(marker), "w"),
    "getattr": lambda marker: Calls(getattr, Calls(np.dtype, "f8"), "type"),
    "import": lambda marker: Calls(__import__, "os"),
    "Popen": lambda marker: Calls(subprocess.Popen, ["touch", str(marker)]),
    "attrgetter": lambda marker: Calls(operator.attrgetter, "system"),
    "numpy.load": lambda marker: Calls(np.load, str(marker)),
    "numpy.save": lambda marker: Calls(np.save, str(marker), 1),
    "type": lambda marker: Calls(type, "X", (), {}),
    "bytearray": lambda marker: Calls(bytearray, 3),
}


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("attack", sorted(HOSTILE))
def test_hostile_pickles_are_refused(tmp_path, attack, protocol):
    marker = tmp_path / "marker"
    path = write(tmp_path / "body.pkl", {"v_template": [HOSTILE[attack](marker)]}, protocol)
    with pytest.raises(ValueError, match=r"body\.pkl: .*refused to load [\w.]+: a body model may hold"):
        load_pickle(path)
    assert not marker.exists()


def test_hostile_state_inside_an_array_is_refused(tmp_path):
    marker = tmp_path / "marker"
    content = np.empty(1, dtype=object)
    content[0] = Calls(os.system, f"touch {marker}")
    with pytest.raises(ValueError, match="refused"):
        load_pickle(write(tmp_path / "body.pkl", {"a": content}))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array(["x", None], dtype=object), "expected numbers"),
        (np.zeros(2, dtype=[("a", "f8")]), "expected numbers"),
        (np.array(["abc"]), "expected numbers"),
    ],
)
def test_arrays_of_other_things_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        load_pickle(write(tmp_path / "body.pkl", {"a": content}))


def test_functions_cannot_be_altered(tmp_path):
    data = b"\x80\x02}U\x01ac_codecs\nencode\n}U\x01xK\x01sbs."
    (tmp_path / "body.pkl").write_bytes(data)
    with pytest.raises(ValueError, match="refused to alter a function"):
        load_pickle(tmp_path / "body.pkl")


def test_codecs_encode_to_anything_but_latin1_is_refused(tmp_path):
    data = b"\x80\x02}U\x01ac_codecs\nencode\nX\x01\x00\x00\x00xX\x03\x00\x00\x00hex\x86Rs."
    (tmp_path / "body.pkl").write_bytes(data)
    with pytest.raises(ValueError, match="refused to encode"):
        load_pickle(tmp_path / "body.pkl")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a pickle at all",
        pickle.dumps([1, 2], protocol=2),
        pickle.dumps({"a": np.arange(100)}, protocol=2)[:-40],
        b"\x80\x02P1\n.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02}U\x01acnumpy\nndarray\n)Rs.",
        b"\x80\x02}U\x01acchumpy.ch\nCh\n)Rs.",
    ],
    ids=["empty", "text", "list", "truncated", "persistent", "extension", "bare-array", "bare-chumpy"],
)
def test_damaged_files_are_refused(tmp_path, data):
    (tmp_path / "body.pkl").write_bytes(data)
    with pytest.raises(ValueError, match="body.pkl: not a readable body model"):
        load_pickle(tmp_path / "body.pkl")


def test_sparse_matrix_that_points_outside_is_refused(tmp_path):
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    matrix.indices[0] = 1000
    with pytest.raises(ValueError, match="not a readable body model"):
        load_pickle(write(tmp_path / "body.pkl", {"J_regressor": matrix}))
