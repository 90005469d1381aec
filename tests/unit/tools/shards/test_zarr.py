"""The shards stage on example artifacts: everything is in the store, and the same inputs give the same bytes."""

import dataclasses
import hashlib
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import zarr as zarr_python

from tests import examples
from tools.shards import zarr
from workflow.errors import ContractError
from workflow.shard import JPEG_PICTURES, LAYERS, PICTURES
from workflow.shard_reader import Shard
from workflow.stages.crop import Crop
from workflow.stages.layers import Layers
from workflow.stages.scene import Scene
from workflow.stages.shards import ZarrParams
from workflow.stages.surface import Surface
from workflow.store import Reader, writing

ROOT = Path(__file__).resolve().parents[4]
LENGTHS = (12, 9)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("lossless")
    examples.shard(root, lengths=LENGTHS)
    return root


@pytest.fixture(scope="module")
def store(root):
    return root / "shards" / "train" / "s00000.zarr"


def tree_digest(folder):
    rows = [
        f"{p.relative_to(folder)} {hashlib.sha256(p.read_bytes()).hexdigest()}"
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    ]
    return rows


def test_every_layer_is_there_as_declared(store):
    group = zarr_python.open_group(store, mode="r")
    lossless = [name for name in LAYERS if "_jpeg" not in name]
    arrays = {name for name, _ in group.members(max_depth=None) if name != "canonical"}
    assert arrays == set(lossless)
    for name in lossless:
        layer, array = LAYERS[name], group[name]
        assert array.dtype == np.dtype(layer.dtype), name
        assert array.metadata.dimension_names == layer.dimensions, name
        assert array.attrs["unit"] == layer.unit
        assert all(want in (None, have) for want, have in zip(layer.sizes, array.shape, strict=True)), name
    assert {group[layer.name].shape[:3] for layer in PICTURES} == {(21, 48, 40)}
    assert all(group[layer.name].chunks[0] == 4 for layer in PICTURES)


def test_pictures_are_the_artifacts(root, store):
    shard = Shard(store)
    for kind, pairs in (
        (Crop, {"rgb": "rgb", "parsing": "labels", "inside": "inside"}),
        (Layers, {"human": "human", "occluder": "occluder", "matte": "matte"}),
        (Scene, {"scene": "rgb", "scene_origin": "origin"}),
    ):
        with Reader(root / "work" / "s00000" / f"{kind.name}.zip", kind) as reader:
            for clip in shard.clips:
                artifact = reader.read(clip.id)
                window = shard.read_window(clip, 0, clip.length, list(pairs))
                for name, field in pairs.items():
                    np.testing.assert_array_equal(window[name], getattr(artifact, field)[:], err_msg=name)


def test_metadata(store):
    shard = Shard(store)
    assert [(clip.start, clip.length) for clip in shard.clips] == [(0, 12), (12, 9)]
    assert [row.stage for row in shard.rejected] == ["layers"]
    assert shard.clips[0].quality["body.reprojection_error"] == 3.0
    assert shard.clips[0].quality["shards.valid_share"] == pytest.approx(11 / 12)
    assert shard.clips[0].metadata["sha256"] == shard.clips[0].id[:12] + shard.clips[0].metadata["sha256"][12:]
    assert set(shard.attributes["provenance"]) == {kind.name for kind in examples.KINDS} | {"shards"}
    made = shard.attributes["provenance"]["shards"]
    assert set(made["inputs"]) == {kind.name for kind in examples.KINDS} | {"clips", "body_model"}
    assert made["settings"]["chunk_frames"] == 4
    text = (store / "zarr.json").read_text()
    assert not re.search(r"/tmp|20\d\d-\d\d-\d\d|time_?stamp\"", text)


def test_same_inputs_same_bytes(tmp_path, store):
    examples.shard(tmp_path, lengths=LENGTHS)
    again = tmp_path / "shards" / "train" / "s00000.zarr"
    assert tree_digest(again) == tree_digest(store)


def test_a_clip_has_the_same_digest_in_another_shard_and_profile(tmp_path, store):
    path = examples.shard(tmp_path, lengths=(9,), seed=1, params=ZarrParams(profile="jpeg"), name="s00007", split="val")
    assert Shard(path).clips[0].digest == Shard(store).clips[1].digest
    assert Shard(store).clips[0].digest != Shard(store).clips[1].digest


def test_a_shard_without_clips_is_a_store(tmp_path):
    path = examples.shard(tmp_path, lengths=(), rejected=("keypoints", "body"))
    shard = Shard(path)
    assert (shard.length, shard.clips, len(shard.rejected)) == (0, (), 2)
    group = zarr_python.open_group(path.parent, mode="r")
    assert group["rgb"].shape == (0, 0, 0, 3)
    assert group["betas"].shape == (0, 10)
    assert group["canonical/nearest_offset"][:].tolist() == [0]
    assert all(len(array) == 0 for array in shard.read_shared().values())


def test_too_few_valid_frames_reject_the_clip(tmp_path):
    path = examples.shard(tmp_path, lengths=(12, 4), params=ZarrParams(min_valid_share=0.8))
    shard = Shard(path)
    assert [clip.length for clip in shard.clips] == [12]
    (row,) = [row for row in shard.rejected if row.stage == "shards"]
    assert "75% of its 4 frames are valid in all layers, expected at least 80% (fewest in keypoints: 75%)" in row.reason


def test_jpeg_profile_declares_its_loss(tmp_path, store):
    path = examples.shard(tmp_path, lengths=LENGTHS, params=ZarrParams(profile="jpeg"))
    shard, exact = Shard(path), Shard(store)
    names = {name for name, _ in zarr_python.open_group(path.parent, mode="r").members(max_depth=None)}
    assert not names & set(JPEG_PICTURES)
    for clip in shard.clips:
        window = shard.read_window(clip, 1, clip.length - 2)
        true = exact.read_window(clip.id, 1, clip.length - 2)
        for name, array in window.items():
            if name not in JPEG_PICTURES:
                np.testing.assert_array_equal(array, true[name], err_msg=name)
    for name in JPEG_PICTURES:
        lossy = np.concatenate([shard.read_window(clip, 0, clip.length, [name])[name] for clip in shard.clips])
        true = np.concatenate([exact.read_window(clip, 0, clip.length, [name])[name] for clip in exact.clips])
        where = np.ones(true.shape[:3], bool)
        if name == "scene":
            where = (
                np.concatenate(
                    [exact.read_window(c, 0, c.length, ["scene_origin"])["scene_origin"] for c in exact.clips]
                )
                > 0
            )
        squared = np.square(lossy[where].astype(float) - true[where].astype(float)).mean()
        declared = shard.array(f"{name}_jpeg").attributes["loss"]["psnr_db"]
        assert declared == pytest.approx(10 * np.log10(255**2 / squared), abs=0.01)
        assert declared > 25


def test_depth_error_is_declared(tmp_path, store):
    path = examples.shard(tmp_path, lengths=LENGTHS, params=ZarrParams(depth_error_m=0.05))
    coarse, fine = Shard(path), Shard(store)
    difference = 0.0
    for clip in fine.clips:
        a, b = (s.read_window(clip.id, 0, clip.length, ["depth"])["depth"].astype(float) for s in (coarse, fine))
        difference = max(difference, np.abs(a - b).max())
        assert ((a > 0) == (b > 0)).all()
    assert 0.005 < difference <= 0.05 + 0.001
    assert coarse.array("depth").attributes["error_m"] <= 0.05
    assert coarse.array("depth").attributes["error_bound_m"] == 0.05


def rewritten(path, kind, change):
    """Write an artifact file anew with every clip changed."""
    with Reader(path, kind) as reader, writing(path.with_suffix(".new"), kind, reader.provenance) as writer:
        for clip in reader.clips:
            if reader.rejection(clip):
                writer.reject(clip, reader.rejection(clip))
            else:
                writer.add(clip, change(reader.read(clip)))
    path.with_suffix(".new").replace(path)


def test_artifacts_that_disagree_are_refused_and_leave_the_old_store(tmp_path):
    output = examples.shard(tmp_path, lengths=(6,))
    before = tree_digest(output.parent)
    inputs = examples.artifacts(tmp_path / "work" / "s00000", (6,))

    def brighter(scene):
        spool = Scene.spool("rgb")
        for frame in scene.rgb:
            spool.append(np.maximum(frame, 90))
        return dataclasses.replace(scene, rgb=spool)

    rewritten(inputs["scene"], Scene, brighter)
    with pytest.raises(ContractError, match="scene differs from the crop's rgb"):
        zarr.run(ZarrParams(), inputs, {"shard": output})
    assert tree_digest(output.parent) == before
    assert [path.name for path in output.parent.parent.iterdir()] == ["s00000.zarr"]


def test_relative_depth_is_stored_as_it_came(tmp_path):
    inputs = examples.artifacts(tmp_path, (6,), rejected=())
    rewritten(inputs["surface"], Surface, lambda surface: dataclasses.replace(surface, metric=False))
    zarr.run(ZarrParams(depth_error_m=0.5), inputs, {"shard": tmp_path / "s.zarr" / "zarr.json"})
    shard = Shard(tmp_path / "s.zarr")
    (clip,) = shard.clips
    assert not clip.metric_depth
    with Reader(inputs["surface"], Surface) as reader:
        depth = shard.read_window(clip, 0, 6, ["depth"])["depth"]
        np.testing.assert_array_equal(depth, reader.read(clip.id).depth[:])


def test_settings_that_cannot_work_are_named():
    assert ZarrParams().faults() == []
    bad = ZarrParams(profile="png", chunk_frames=0, depth_error_m=0, min_valid_share=2)
    assert [fault.split(":")[0] for fault in bad.faults()] == [
        "profile",
        "chunk_frames",
        "depth_error_m",
        "min_valid_share",
    ]


def test_masks_that_overlap_are_refused(tmp_path):
    inputs = examples.artifacts(tmp_path, (6,))

    def doubled(layers):
        spool = Layers.spool("occluder")
        for frame in layers.human:
            spool.append(frame)
        return dataclasses.replace(layers, occluder=spool)

    rewritten(inputs["layers"], Layers, doubled)
    with pytest.raises(ContractError, match="frame 0: human, occluder and scene do not cover the frame once"):
        zarr.run(ZarrParams(), inputs, {"shard": tmp_path / "s.zarr" / "zarr.json"})


def test_artifacts_of_other_clips_are_refused(tmp_path):
    inputs = examples.artifacts(tmp_path / "a", (6,))
    inputs["scene"] = examples.artifacts(tmp_path / "b", (6,), seed=5)["scene"]
    with pytest.raises(ContractError, match=r"scene holds other clips than clips\.json"):
        zarr.run(ZarrParams(), inputs, {"shard": tmp_path / "s.zarr" / "zarr.json"})


@pytest.mark.parametrize("moment", ["canonical/nearest", "root"])
def test_a_kill_leaves_the_old_store(tmp_path, moment):
    """Killed in the midst of writing, or just before the new store is put in place."""
    output = examples.shard(tmp_path, lengths=(6,))
    before = tree_digest(output.parent)
    code = f"""
        import os, signal
        from pathlib import Path
        from tests import examples
        from tools.shards import publish, shard_writer
        from tools.shards.array_writer import ArrayWriter

        def die(*args):
            os.kill(os.getpid(), signal.SIGKILL)

        if {moment!r} == "root":
            publish._sync_folder = die
        else:
            close = ArrayWriter.close
            ArrayWriter.close = lambda self: die() if self.name == {moment!r} else close(self)
        examples.shard(Path({str(tmp_path)!r}), lengths=(7,))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert tree_digest(output.parent) == before
    assert len(list(output.parent.parent.iterdir())) == 2
    examples.shard(tmp_path, lengths=(7,))
    assert Shard(output).clips[0].length == 7
    assert [path.name for path in output.parent.parent.iterdir()] == ["s00000.zarr"]
