"""Exported data roots: every file's form, and the same samples as from the shard."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from model_zoo.body.smpl import SmplModel
from tests import examples, nvr_example
from tools.export import cli
from tools.export.annotations import annotation
from tools.export.body import Surface, write_uv_obj
from tools.export.instant_nvr import Options, export
from tools.instant_nvr import export as stage
from tools.nvr.dataset import NvrDataset
from tools.nvr.settings import Settings
from workflow.errors import ToolError
from workflow.shard_reader import Shard
from workflow.stages.frames import Frames
from workflow.stages.instant_nvr import ExportParams
from workflow.store import Reader

WHOLE = Options(vertices=None)
MODEL = "work/s00000/body_model.npz"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    examples.shard(folder, lengths=(12, 9))
    return folder


@pytest.fixture(scope="module")
def shard(base):
    return Shard(base / "shards/train/s00000.zarr")


@pytest.fixture(scope="module")
def root(base, shard):
    export(shard, shard.clips[0].id, base / "root", WHOLE, base / MODEL)
    return base / "root"


def test_files_of_the_layout(root, shard):
    sub = shard.clips[0].id
    for i in range(12):
        for name in (f"images/{sub}/{i:06d}.jpg", f"annots/{sub}/{i:06d}.json", f"schp/{sub}/{i:06d}.png",
                     f"smpl_params/{i}.npy", f"smpl_vertices/{i}.npy", f"smpl_lbs/bweights/{i}.npy"):  # fmt: skip
            assert (root / name).is_file(), name
    forms = {
        "smpl_lbs/parents.npy": ((24,), "uint32"), "smpl_lbs/joints.npy": ((24, 3), "float64"),
        "smpl_lbs/faces.npy": ((192, 3), "uint32"), "smpl_lbs/bigpose_vertices.npy": ((144, 3), "float64"),
        "smpl_vertices/0.npy": ((144, 3), "float32"), "smpl-meta/faces.npy": ((192, 3), "uint32"),
        "smpl-meta/weights.npy": ((144, 24), "float64"), "smpl-meta/parents.npy": ((24,), "uint32"),
        "smpl-meta/J_regressor_body25.npy": ((25, 144), "float64"),
    }  # fmt: skip
    for name, (shape, dtype) in forms.items():
        array = np.load(root / name)
        assert (array.shape, str(array.dtype)) == (shape, dtype), name
    assert np.load(root / "smpl_lbs/parents.npy")[0] == 4294967295
    grid = np.load(root / "smpl_lbs/bweights/0.npy")
    assert grid.ndim == 4 and grid.shape[3] == 25 and grid.dtype == np.float32
    assert np.load(root / "smpl_lbs/bigpose_bw.npy").shape[:3] == np.load(root / "bigpose_uv.npy").shape[:3]


def test_annots_hold_one_path_per_frame_and_millimetres(root):
    annots = np.load(root / "annots.npy", allow_pickle=True).item()
    assert len(annots["ims"]) == 12 and all(len(entry["ims"]) == 1 for entry in annots["ims"])
    cams = annots["cams"]
    assert [cams[key][0].shape for key in "KRTD"] == [(3, 3), (3, 3), (3, 1), (1, 5)]
    assert all(cams[key][0].dtype == np.float32 for key in "KRTD")


def test_params_pose_the_vertices(root, base):
    arrays = dict(np.load(base / MODEL))
    for i in (0, 7):
        params = np.load(root / f"smpl_params/{i}.npy", allow_pickle=True).item()
        assert {k: (v.shape, str(v.dtype)) for k, v in params.items()} == {
            "Rh": ((1, 3), "float64"), "Th": ((1, 3), "float64"), "poses": ((1, 72), "float64"),
            "shapes": ((1, 10), "float64"),
        }  # fmt: skip
        assert not params["poses"][0, :3].any()
        posed, _ = nvr_example.lbs(arrays, params["poses"][0], params["shapes"][0])
        world = posed @ cv2.Rodrigues(params["Rh"][0])[0].T + params["Th"]
        np.testing.assert_allclose(np.load(root / f"smpl_vertices/{i}.npy"), world, atol=2e-6)


def test_masks_are_indexed_with_the_palette(root, shard):
    with Image.open(root / f"schp/{shard.clips[0].id}/000003.png") as picture:
        assert picture.mode == "P"
        assert tuple(picture.getpalette()[3:15]) == (128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128)
        indices = np.asarray(picture)
    assert np.array_equal(indices, shard.read_window(shard.clips[0], 3, 1, ("parsing",))["parsing"][0])


def test_pictures_are_the_stored_frames_byte_for_byte(root, base, shard):
    with Reader(base / "work/s00000/frames.zip", Frames) as reader:
        stored = reader.read(shard.clips[0].id).rgb.encoded(5)
    assert (root / f"images/{shard.clips[0].id}/000005.jpg").read_bytes() == stored


def test_samples_are_those_of_the_shard(root, base, shard):
    settings = Settings(ratio=1.0, eval_ratio=1.0)
    ours = NvrDataset.of_shard(shard.path, shard.clips[0].id, "test", settings, base / MODEL)
    theirs = NvrDataset.of_root(root, "test", settings)
    assert len(ours) == len(theirs) == 12
    for index in (0, 6):
        a, b = ours[index], theirs[index]
        assert a.keys() == b.keys()
        for name in a.keys() - {"rgb", "frame_dim"}:
            np.testing.assert_allclose(np.asarray(a[name], float), np.asarray(b[name], float), atol=3e-6, err_msg=name)
        assert np.abs(a["rgb"] - b["rgb"]).mean() < 0.05  # JPEG
        assert {k: getattr(v, "dtype", None) for k, v in a.items()} == {
            k: getattr(v, "dtype", None) for k, v in b.items()
        }


def test_stored_grids_name_the_weights_of_the_nearest(root, shard):
    grid = np.load(root / "smpl_lbs/bweights/4.npy")
    nearest = shard.read_nearest(shard.clips[0], 4)
    np.testing.assert_array_equal(grid[..., :24], shard.read_shared()["canonical/weights"][nearest])


def test_the_crop_is_put_back_where_frames_are_missing(base, shard, root, tmp_path):
    facts = export(shard, shard.clips[0].id, tmp_path / "root", Options(vertices=None, pictures="crop"), base / MODEL)
    assert facts["pictures"] == "crop" and facts["height"] == 48
    sub = shard.clips[0].id
    for folder, suffix in (("schp", "png"), ("matte", "png"), ("annots", "json")):
        a, b = (each / folder / sub / f"000002.{suffix}" for each in (root, tmp_path / "root"))
        if suffix == "json":  # the example's crop is its frame
            assert a.read_bytes() == b.read_bytes()
        else:
            assert np.array_equal(np.asarray(Image.open(a)), np.asarray(Image.open(b)))


def test_interval_is_applied_once_and_frames_are_numbered_on(base, shard, tmp_path):
    facts = export(shard, shard.clips[0].id, tmp_path / "r", Options(start=1, interval=3, vertices=None), base / MODEL)
    assert facts["frames"] == [1, 4, 7, 10]
    assert len(NvrDataset.of_root(tmp_path / "r", "test")) == 4
    text = (tmp_path / "r/r.yaml").read_text()
    assert "num_train_frame: 4\nframe_interval: 1\n" in text and "begin_ith_frame: 0" in text
    assert str((tmp_path / "r/annots.npy").resolve()) in text
    assert [float(item["frame_dim"]) for item in NvrDataset.of_root(tmp_path / "r", "test")] == [0, 0.25, 0.5, 0.75]


def test_frames_without_a_person_are_left_out_and_told(base, shard, tmp_path, monkeypatch):
    monkeypatch.setattr("tools.nvr.clip.NEEDED", ("keypoints",))  # the example's detector blinks in frame 6
    facts = export(shard, shard.clips[0].id, tmp_path / "r", WHOLE, base / MODEL)
    assert facts["left_out"] == [6] and facts["frames"] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert json.loads((tmp_path / "r/strata.json").read_text())["left_out"] == [6]
    assert len(NvrDataset.of_root(tmp_path / "r", "test")) == 11


def test_annotations_have_the_form_of_easymocap():
    keypoints = np.zeros((133, 3))
    keypoints[:, 0], keypoints[:, 1], keypoints[:, 2] = np.arange(133), 1000.126, 0.5
    keypoints[11, 2] = -0.2
    text = annotation("images/a/000000.jpg", 10, 20, keypoints, np.array([1, 2, 3, 4.567]))
    content = json.loads(text)
    assert list(content) == ["filename", "height", "width", "annots", "isKeyframe"]
    (person,) = content["annots"]
    assert person["bbox"] == [1, 2, 3, 4.57, 1] and person["isKeyframe"] is False and person["personID"] == 0
    joints = np.array(person["keypoints"])
    assert joints.shape == (25, 3) and np.array(person["face2d"]).shape == (70, 3)
    order = [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11]
    assert joints[order, 0].tolist() == list(range(17)) and joints[19:, 0].tolist() == [17, 18, 19, 20, 21, 22]
    assert joints[8, 0] == 11.5 and joints[1, 0] == 5.5 and joints[12, 2] == 0 == joints[8, 2]
    assert "[   0.00, 1000.13,    0.50]" in text and "\r\n" in text
    assert json.loads(annotation("a.jpg", 1, 1, None, None))["annots"] == []


def test_uv_file_has_two_spaces_before_the_last_corner(tmp_path):
    model = SmplModel.from_arrays(nvr_example.body())
    surface = Surface.of(model, None)
    write_uv_obj(tmp_path / "a.obj", model.v_template, surface)
    lines = (tmp_path / "a.obj").read_text().splitlines()
    face = [line for line in lines if line.startswith("f ")]
    assert sum(line.startswith("v ") for line in lines) == 6890 and len(face) == 13776
    for line, corners in zip(face[:50], model.faces):
        items = line.split(" ")  # as the original reads it
        assert [int(items[place].split("/")[0]) - 1 for place in (1, 2, 4)] == corners.tolist()


def test_a_thinned_body_keeps_vertices_of_the_whole():
    model = SmplModel.from_arrays(nvr_example.body())
    surface = Surface.of(model, 6800)
    assert len(surface.kept) == 6800 and not surface.whole and surface.faces.max() == 6799
    assert np.array_equal(surface.weights, model.weights[surface.kept])
    edges = np.sort(surface.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).mean() > 0.95  # still closed, but for the seam
    with pytest.raises(ToolError, match="fewer than the 7000"):
        Surface.of(model, 7000)


def test_command_exports_every_clip_and_renews_what_changed(base, tmp_path):
    argv = ["instant-nvr", str(base / "shards"), str(tmp_path / "out"), "--vertices", "all", "--frames", "2"]
    argv += ["--body-model", str(base / MODEL)]
    assert cli.main(argv) == 0
    roots = sorted((tmp_path / "out").iterdir())
    assert len(roots) == 2 and all((each / "annots.npy").exists() for each in roots)
    (roots[0] / "smpl_params/0.npy").unlink()
    assert cli.main(argv) == 0 and not (roots[0] / "smpl_params/0.npy").exists()  # up to date by its own account
    argv[argv.index("2")] = "3"
    assert cli.main(argv) == 0 and (roots[0] / "smpl_params/2.npy").exists()
    (roots[1] / "strata.json").unlink()
    with pytest.raises(ToolError, match="is no exported data root"):
        cli.main(argv)


def test_the_stage_lists_the_data_roots(base, shard, tmp_path):
    inputs = {"shards": [shard.path / "zarr.json"], "body_model": base / MODEL}
    stage.run(ExportParams(frames=1, vertices=None), inputs, {"roots": tmp_path / "instant_nvr/roots.txt"})
    roots = [Path(line) for line in (tmp_path / "instant_nvr/roots.txt").read_text().splitlines()]
    assert [root.name for root in roots] == [clip.id for clip in shard.clips]
    assert all(len(NvrDataset.of_root(root, "test")) == 1 for root in roots)
    assert "interval" in ExportParams(interval=0).faults()[0]


def test_faults_are_told(base, shard, root, tmp_path):
    with pytest.raises(ToolError, match="is not empty"):
        export(shard, shard.clips[0].id, root, WHOLE, base / MODEL)
    with pytest.raises(ToolError, match="no such file; name the body model"):
        export(shard, shard.clips[0].id, tmp_path / "a", WHOLE)
    np.savez(tmp_path / "other.npz", **nvr_example.body())
    with pytest.raises(ToolError, match="is not the body"):
        export(shard, shard.clips[0].id, tmp_path / "a", WHOLE, tmp_path / "other.npz")
    with pytest.raises(ToolError, match="none of the 0 chosen frames"):
        export(shard, shard.clips[0].id, tmp_path / "a", Options(start=50, vertices=None), base / MODEL)
    assert list(tmp_path.iterdir()) == [tmp_path / "other.npz"]
