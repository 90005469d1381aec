"""The truth of rendered clips in place of estimates, through the runner."""

import ast
import contextlib
import dataclasses
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from tests import bodies
from tools import runner
from tools.catalog import scan
from tools.truth import records
from workflow import catalog, layout, rendered, store
from workflow.config import Synthetic
from workflow.errors import Rejected, ToolError
from workflow.raster import Raster, Spool
from workflow.stage import File
from workflow.stages import PIPELINE, STAGES
from workflow.stages.body import Body
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import Scene
from workflow.stages.surface import Surface

render = pytest.importorskip("tools.synthetic.render", reason="anny is not in this environment", exc_type=ImportError)

ROOT = Path(__file__).resolve().parents[4]
MADE = Synthetic(
    clips=2, seconds=0.6, fps=10.0, height=160, width=160, seed=2, everything=True,
    occluded=1.0, company=1.0, hard=0.0, moving=1.0,
)  # fmt: skip
CHAIN = ("frames", "keypoints", "body", "parsing", "crop", "surface", "layers", "scene")
KINDS = (Frames, Keypoints, Body, Parsing, Crop, Surface, Layers, Scene)
PARAMS = {"crop": {"height": 192, "width": 192}}


def fake_mediapipe():
    """A backend that takes nothing."""
    module = types.ModuleType("tools.keypoints.mediapipe")

    def load(params, files):
        def work(frames):
            raise Rejected("estimated")

        return work

    module.load = load
    return module


def run(stage, shard, annotations):
    declared = STAGES[stage]
    backend = declared.backends[declared.default]
    params = runner.settings_of(backend, PARAMS.get(stage, {}))
    inputs = {}
    for port in declared.inputs:
        pattern = port.path if isinstance(port, File) else layout.artifact(port)
        inputs[port.name] = Path(pattern.format(shard=shard))
    outputs = {port.name: Path(layout.artifact(port).format(shard=shard)) for port in declared.outputs}
    runner.run(declared, declared.default, params, inputs, outputs, annotations)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory where two rendered clips and one that only looks like one went through the chain."""
    folder = tmp_path_factory.mktemp("truth")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Spool, "directory", None)  # so that it is put back
        patch.setitem(sys.modules, "tools.keypoints.mediapipe", fake_mediapipe())
        render.render(dataclasses.asdict(MADE), layout.SYNTHETIC, bodies.free_body())
        render.render(
            dataclasses.asdict(dataclasses.replace(MADE, clips=1, seed=9)), Path("footage"), bodies.free_body()
        )
        scan.sync(scan.Settings(videos=["footage", "synthetic"]))
        Path("work").mkdir(exist_ok=True)
        shutil.copy(bodies.free_body_file(), "work/body_model.npz")
        for stage in CHAIN:
            run(stage, "s00000", rendered.TRUTH)
        yield folder


@pytest.fixture
def clips(place, monkeypatch):
    monkeypatch.chdir(place)
    known = catalog.read(layout.CATALOG)
    return [row.id for row in known.members()["s00000"]], known


@pytest.fixture
def read(clips):
    """Artifact of a clip by its kind."""
    with contextlib.ExitStack() as stack:
        files = {kind: Path(layout.artifact(kind).format(shard="s00000")) for kind in KINDS}
        readers = {kind: stack.enter_context(store.Reader(path, kind)) for kind, path in files.items()}
        yield lambda kind, clip: readers[kind].read(clip)


def exact(clips):
    return list(records.of(clips[0]))


def test_rendered_clips_get_the_truth_and_footage_the_backend(clips):
    names, known = clips
    assert len(names) == 3 and len(exact(clips)) == 2 and rendered.shards(known) == {"s00000"}
    with store.Reader(Path("work/s00000/keypoints.zip"), Keypoints) as reader:
        (footage,) = set(names) - set(exact(clips))
        assert reader.rejection(footage).reason == "estimated"
        assert set(reader.provenance["truth"]) == set(exact(clips))
        assert all(reader.rejection(name) is None for name in exact(clips))


def iou(a, b):
    return (a & b).sum() / max((a | b).sum(), 1)


def test_every_layer_equals_the_truth(clips, read):
    found = {"human": [], "occluder": [], "depth": [], "scene": [], "labels": []}
    for clip, record in records.of(clips[0]).items():
        crop, surface, layers, scene = (read(kind, clip) for kind in (Crop, Surface, Layers, Scene))
        parsing = read(Parsing, clip)
        rows = zip(
            record.masks("human"), record.masks("occluder"), record.pictures("body_depth"),
            record.pictures("background"), record.pictures("parsing"),
        )  # fmt: skip
        for t, (human, occluder, depth, empty, parts) in enumerate(rows):
            assert ((parsing.matte[t] >= 128) == human).all() and (parsing.labels[t] == parts).all()
            zoom, _, x = crop.crop_from_source[t][0]
            y = crop.crop_from_source[t][1, 2]
            assert zoom > 1  # every pixel of the source is at least one of the crop
            row, column = np.nonzero(np.ones_like(human))
            there = np.rint(np.stack([row * zoom + y, column * zoom + x], 1)).astype(int)
            inner = (there >= 0).all(1) & (there < crop.rgb.frame_shape[:2]).all(1)
            at, source = tuple(there[inner].T), (row[inner], column[inner])
            found["human"].append(iou(layers.human[t][at], human[source]))
            found["occluder"].append((layers.occluder[t][at] == occluder[source]).mean())
            both = (depth[source] > 0) & (surface.depth[t][at] > 0)
            found["depth"].append(np.abs(surface.depth[t][at] - depth[source])[both].max())
            gone = (scene.origin[t][at] > 0) & crop.inside[t][at]
            assert gone[human[source]].all()
            apart = scene.rgb[t][at].astype(float) - empty[source]
            found["scene"].append((apart[human[source]] ** 2).mean())
            assert not (layers.human[t] & layers.occluder[t]).any()
            own = layers.human[t]
            assert (crop.labels[t][own] > 0).mean() > 0.98
    assert min(found["human"]) > 0.98 and np.mean(found["human"]) > 0.99
    assert min(found["occluder"]) > 0.99
    assert max(found["depth"]) == 0
    assert 10 * np.log10(255**2 / np.mean(found["scene"])) > 32


def test_body_and_keypoints_fit_the_picture(clips, read):
    for clip, record in records.of(clips[0]).items():
        body, keypoints, crop = (read(kind, clip) for kind in (Body, Keypoints, Crop))
        pixels = body.joints @ body.intrinsics.T
        pixels = pixels[..., :2] / pixels[..., 2:]
        knees = keypoints.confidence[:, [13, 14]] > 0
        assert np.linalg.norm(pixels[:, [4, 5]] - keypoints.xy[:, [13, 14]], axis=2)[knees].max() < 12
        assert set(np.unique(keypoints.confidence)) <= {0.0, 0.5, 1.0}
        assert (keypoints.confidence[:, :23] == 1.0).sum() == record.of_frames("keypoints_visible").sum()
        assert np.ptp(body.world_from_camera, axis=0).max() > 0, "the camera moves"
        moved = (
            body.world_from_camera[:, None] @ np.dstack([body.joints, np.ones((*body.joints.shape[:2], 1))])[..., None]
        )
        assert moved[..., 1, 0].min() > -0.02, "nobody is below the ground"
        assert crop.valid.all() and body.valid.all()
        hips = keypoints.xyz[:, [11, 12]].mean(1)
        assert np.abs(hips).max() < 1e-5 and keypoints.xyz_valid[:, :23].all() and not keypoints.xyz_valid[:, 23:].any()


def test_a_span_of_a_video_reads_its_own_frames(clips):
    (record, *_) = records.of(clips[0]).values()
    later = dataclasses.replace(record, start=record.start + 2, end=record.end - 1)
    assert len(later) == len(record) - 3
    for name in ("parsing", "body_normal"):
        whole = list(record.pictures(name))
        assert all((a == b).all() for a, b in zip(later.pictures(name), whole[2:-1]))
        with np.load(record.path) as arrays:
            assert (arrays[name] == np.stack(whole)).all()
    assert (later.of_frames("transl") == record.of_frames("transl")[2:-1]).all()


def test_what_is_missing_is_said(clips, tmp_path):
    (record, *_) = records.of(clips[0]).values()
    with pytest.raises(ToolError, match="has no 'backgrounds'.*rendered again"):
        next(record.pictures("backgrounds"))
    hidden = record.path.rename(tmp_path / "away.npz")
    try:
        with pytest.raises(ToolError, match="is gone; remove"):
            records.of(clips[0])
    finally:
        hidden.rename(record.path)


def test_frames_that_were_not_rendered_so_are_refused(clips, read):
    from tools.truth import keypoints

    clip, record = next(iter(records.of(clips[0]).items()))
    frames = read(Frames, clip)
    fewer = dataclasses.replace(record, end=record.end - 1)
    with pytest.raises(ToolError, match="must leave rendered clips as they are"):
        keypoints.annotate(fewer, frames, 0.0)


def test_another_body_model_is_refused(clips, read):
    from tools.truth import body

    clip, record = next(iter(records.of(clips[0]).items()))
    model = bodies.free_body()
    arrays = {**model.arrays(), "shapedirs": model.arrays()["shapedirs"] * 1.5}
    with pytest.raises(ToolError, match="use|needs the body"):
        body.annotate(record, type(model).from_arrays(arrays), read(Keypoints, clip))


def test_every_stage_that_can_has_its_module_and_needs_what_all_environments_have():
    for stage in PIPELINE:
        path = ROOT / "tools" / "truth" / f"{stage.name}.py"
        assert path.exists() == stage.truth
    for path in (ROOT / "tools" / "truth").glob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split(".")[0])
        names -= {*sys.stdlib_module_names, "tools", "workflow", "model_zoo"}
        assert names <= ({"numpy", "cv2"} if path.stem == "scene" else {"numpy"}), path


def test_rasters_are_kept_on_disk(clips, read):
    assert isinstance(read(Scene, exact(clips)[0]).rgb, Raster)
