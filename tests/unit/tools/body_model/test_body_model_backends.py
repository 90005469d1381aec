"""Backends of the body_model stage."""

import pickle

import numpy as np
import pytest

from model_zoo.body.smpl import SmplModel
from tests import examples
from tools.body_model import smpl
from tools.body_model.write import write_model
from workflow import layout
from workflow.errors import ToolError
from workflow.stages.body_model import AnnyParams, SmplParams

OBJ_HEAD = "v 0 0 0\nvt 0.25 0.5\nvt 0.75 1.0\n"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Folder of the licensed files, with a doll's pickle in place of SMPL's."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setattr(layout, "WEIGHTS", folder)
    arrays = {key: value for key, value in examples.body_model().items() if key not in ("vt", "ft")}
    (folder / "SMPL_NEUTRAL.pkl").write_bytes(pickle.dumps(arrays, protocol=2))
    return folder


def test_a_written_model_is_read_back_and_has_the_same_bytes_twice(tmp_path):
    arrays = examples.body_model()
    for name in ("a", "b.npz"):
        write_model(arrays, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b.npz"]
    model = SmplModel.load(tmp_path / "b.npz")
    assert np.array_equal(model.v_template, arrays["v_template"]) and np.array_equal(model.ft, arrays["ft"])


def test_arrays_that_are_no_body_leave_no_file(tmp_path):
    arrays = examples.body_model()
    arrays["weights"] = arrays["weights"] * 2
    with pytest.raises(ValueError, match="rows of weights"):
        write_model(arrays, tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def test_a_licensed_pickle_is_converted(weights, tmp_path):
    smpl.run(SmplParams(), {}, {"body_model": tmp_path / "model.npz"})
    model = SmplModel.load(tmp_path / "model.npz")
    assert np.array_equal(model.v_template, examples.body_model()["v_template"]) and not len(model.ft)


def test_texture_coordinates_come_from_an_obj_with_any_spacing(weights, tmp_path):
    faces = examples.body_model()["f"].astype(int) + 1
    lines = [f"f {a}/1/1 {b}/2/1  {c}/1/1 " for a, b, c in faces]
    (weights / "smpl_uv.obj").write_text(OBJ_HEAD + "\n".join(lines))
    smpl.run(SmplParams(uv="smpl_uv.obj"), {}, {"body_model": tmp_path / "model.npz"})
    model = SmplModel.load(tmp_path / "model.npz")
    assert model.vt.tolist() == [[0.25, 0.5], [0.75, 1.0]] and (model.ft == [0, 1, 0]).all()


@pytest.mark.parametrize("faces", ["f 1/1 2/1 3/1", "f 1 2 3", "f 1/1 2/1 3/1 4/1", ""])
def test_an_obj_of_another_mesh_is_refused(weights, tmp_path, faces):
    (weights / "smpl_uv.obj").write_text(OBJ_HEAD + faces)
    with pytest.raises(ToolError, match=r"smpl_uv.obj: .*(faces|triangles)"):
        smpl.run(SmplParams(uv="smpl_uv.obj"), {}, {"body_model": tmp_path / "model.npz"})
    assert not (tmp_path / "model.npz").exists()


def test_an_absent_file_is_named_with_where_to_get_it_and_where_to_put_it(weights, tmp_path):
    with pytest.raises(ToolError, match=r"SMPL_MALE.pkl.*smpl.is.tue.mpg.de.*weights.*anny"):
        smpl.run(SmplParams(file="SMPL_MALE.pkl"), {}, {"body_model": tmp_path / "model.npz"})


def test_a_hostile_pickle_is_an_error_not_a_run(weights, tmp_path):
    (weights / "SMPL_NEUTRAL.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ToolError, match="refused to load os.system"):
        smpl.run(SmplParams(), {}, {"body_model": tmp_path / "model.npz"})


def test_the_free_body_is_written_with_texture(tmp_path, monkeypatch):
    anny = pytest.importorskip("tools.body_model.anny", reason="anny is not in this environment", exc_type=ImportError)
    monkeypatch.setattr(anny.free, "derive", examples.body_model)
    anny.run(AnnyParams(), {}, {"body_model": tmp_path / "model.npz"})
    assert len(SmplModel.load(tmp_path / "model.npz").ft) == len(examples.body_model()["ft"])
