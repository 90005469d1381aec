"""The judge on stages that say the truth, and on stages that do not."""

import dataclasses

import numpy as np
import pytest

from model_zoo.body.landmarks import KEYPOINTS
from model_zoo.synthetic.recipes import Recipe, Take
from tests import bodies
from tools.accuracy import corruption, scenarios
from tools.accuracy.chain import JUDGED, described, steps
from tools.accuracy.judge import judge, true_body
from tools.accuracy.targets import BY_KEY, MEASURES
from workflow.errors import ToolError
from workflow.stages.body import Body
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import Scene
from workflow.stages.surface import Surface

T = 9


@pytest.fixture(scope="module")
def take():
    recipe = Recipe("t", action="twist", occluder="ball", frames=T, fps=5.0, height=192, width=144)
    return Take(recipe, bodies.free_body(), 1)


def spooled(kind, field, frames):
    spool = kind.spool(field)
    for frame in frames:
        spool.append(np.ascontiguousarray(frame))
    return spool.finish()


@pytest.fixture(scope="module")
def honest(take):
    """Artifacts that say the truth; the crop is the whole picture."""
    truths = [take.truth(t) for t in range(T)]
    every, height, width = np.ones(T, bool), 192, 144
    confidence = np.zeros((T, 133), np.float32)
    confidence[:, : len(KEYPOINTS)] = 0.9
    xy = np.zeros((T, 133, 2), np.float32)
    xy[:, :23] = [truth.keypoints for truth in truths]
    orient, transl, joints = true_body(take)
    motion, k = take.shot.subject.motion, take.shot.camera.intrinsics.astype(np.float32)
    human = [truth.human for truth in truths]
    matte = [mask.view(np.uint8) * np.uint8(255) for mask in human]
    labels = [truth.parsing for truth in truths]
    occluder = [truth.occluder for truth in truths]
    inside = [np.ones((height, width), bool)] * T
    pictures = [take.frame(t) for t in range(T)]
    empty = [np.where(mask[..., None], take.background(t), pictures[t]) for t, mask in enumerate(human)]
    return {
        "frames": Frames(spooled(Frames, "rgb", pictures), np.arange(T) / 5.0, 5.0),
        "keypoints": Keypoints(
            xy, confidence, np.zeros((T, 133, 3), np.float32), np.zeros((T, 133), bool), np.zeros((T, 4), np.float32),
            every,
        ),
        "body": Body(
            take.shot.subject.body.betas.astype(np.float32), orient.astype(np.float32),
            motion.body_pose.astype(np.float32), transl.astype(np.float32), joints.astype(np.float32), k,
            take.shot.camera.world_from_camera.astype(np.float32), np.zeros(T, np.float32), every,
        ),
        "parsing": Parsing(spooled(Parsing, "matte", matte), spooled(Parsing, "labels", labels), every),
        "crop": Crop(
            spooled(Crop, "rgb", pictures), spooled(Crop, "matte", matte), spooled(Crop, "labels", labels),
            spooled(Crop, "inside", inside), np.tile(np.eye(3), (T, 1, 1)), np.tile(k, (T, 1, 1)), xy, confidence,
            every, height, width, 5.0,
        ),
        "surface": Surface(
            spooled(Surface, "depth", [truth.body_depth.astype(np.float16) for truth in truths]),
            spooled(Surface, "normal", [np.rint(127 * truth.body_normal).astype(np.int8) for truth in truths]),
            every, True,
        ),
        "layers": Layers(
            spooled(Layers, "human", human), spooled(Layers, "occluder", occluder),
            spooled(Layers, "scene", [~(a | b) for a, b in zip(human, occluder)]),
            spooled(Layers, "matte", matte), every,
        ),
        "scene": Scene(
            spooled(Scene, "rgb", empty), spooled(Scene, "origin", [mask.view(np.uint8) for mask in human]), every
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def best(take, honest):
    return judge(take, honest, bodies.free_body())


def test_the_truth_is_without_error(best):
    found = best.measures
    assert set(found) <= set(BY_KEY)
    assert found["keypoints.pck_05"] == 1.0 and found["keypoints.error_px"] < 1e-3
    assert found["keypoints.identity_switches"] == 0 and found["keypoints.wrong_person"] == 0
    assert found["body.mpjpe"] < 0.1 and found["body.pa_mpjpe"] < 0.1 and found["body.pve"] < 0.5
    assert found["body.acceleration"] < 0.1 and found["body.translation"] < 0.1 and found["body.foot_slide"] < 2.0
    assert found["parsing.iou"] == 1.0 and found["parsing.miou"] == 1.0 and found["parsing.boundary_f"] == 1.0
    assert found["surface.normal_mean"] < 1.0 and found["surface.abs_rel"] < 0.001 and found["surface.delta1"] == 1.0
    assert found["layers.human_iou"] == 1.0 and found["layers.occluder_iou"] == 1.0
    assert "layers.false_occluder" not in found  # there is a true one
    assert found["scene.psnr_static"] == 99.0 and found["scene.ssim"] > 0.98 and found["scene.share_left"] == 0.0


def test_every_stage_has_a_picture_of_its_worst_frame(best):
    assert set(best.worst) == {"keypoints", "body", "parsing", "surface", "layers", "scene"}
    for _, picture in best.worst.values():
        assert picture.dtype == np.uint8 and picture.shape[0] == 300 and picture.std() > 5


def test_errors_are_measured(take, honest):
    keypoints, body = honest["keypoints"], honest["body"]
    moved = keypoints.xy + np.float32([3.0, 4.0])
    far = body.joints.copy()
    far[:, 20] += np.float32([0.12, 0, 0])
    spoilt = {
        **honest,
        "keypoints": dataclasses.replace(keypoints, xy=moved),
        "body": dataclasses.replace(body, joints=far),
        "scene": dataclasses.replace(
            honest["scene"], rgb=spooled(Scene, "rgb", [np.full((192, 144, 3), 200, np.uint8)] * T)
        ),
    }
    found = judge(take, spoilt, bodies.free_body()).measures
    assert found["keypoints.error_px"] == pytest.approx(5.0, abs=1e-3)
    assert found["keypoints.wrists_px"] == pytest.approx(5.0, abs=1e-3)
    assert found["body.mpjpe"] == pytest.approx(120 / 24, abs=0.1)
    assert found["scene.psnr_static"] < 20


def test_frames_without_the_subject_found_count_as_wrong(take, honest):
    keypoints = honest["keypoints"]
    blind = dataclasses.replace(keypoints, valid=np.arange(T) % 3 > 0)
    found = judge(take, {"keypoints": blind}, bodies.free_body()).measures
    assert found["keypoints.found"] == pytest.approx(6 / 9)
    assert found["keypoints.pck_10"] == pytest.approx(6 / 9, abs=0.03)


def test_spoilt_layers_are_noticed(honest):
    clip = corruption.collect(honest, bodies.free_body())
    clean = corruption.figures(clip.frames)
    assert clean["normal_depth_deg"] < 15 and clean["silhouette_iou"] == 1.0
    bad = {name: corruption.figures(spoil(clip, clip)) for name, spoil in corruption.CORRUPTIONS.items()}
    assert bad["shifted mask"]["silhouette_iou"] < 0.9
    assert bad["swapped left and right"]["reprojection"] > 3 * clean["reprojection"]
    assert bad["frozen pose"]["motion_gap"] > 2 * clean["motion_gap"]
    assert bad["wrong depth sign"]["normal_depth_deg"] > clean["normal_depth_deg"] + 15
    assert bad["smeared background"]["scene_sharpness"] < clean["scene_sharpness"]


def test_separation_needs_no_more_than_order():
    clean = [{"reprojection": 0.01 + 0.001 * n, "silhouette_iou": 0.9} for n in range(6)]
    bad = [{"reprojection": 0.05 + 0.001 * n, "silhouette_iou": 0.9} for n in range(6)]
    (found,) = corruption.separations(clean, {"x": bad})
    assert (found.best, found.auc, found.alarm_auc, found.clips) == ("reprojection", 1.0, 1.0, 6)


def test_the_scenarios_span_what_is_asked_for():
    recipes = scenarios.read()
    assert len(recipes) >= 12
    for key, least in (("camera", 4), ("place", 2), ("action", 6), ("occluder", 4), ("company", 3), ("person", 12)):
        assert len({getattr(recipe, key) for recipe in recipes}) >= least, key
    assert min(r.focal for r in recipes) < 0.9 and max(r.focal for r in recipes) > 2
    assert [r.name for r in scenarios.read(only=["tele"], frames=9)] == ["tele"]
    assert scenarios.read(only=["tele"], frames=9)[0].frames == 9
    with pytest.raises(ToolError, match="nowhere: no such clip"):
        scenarios.read(only=["nowhere"])


def test_a_wrong_scenario_is_told(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("- {name: a, place: moon}\n- {name: b, wings: 2}\n")
    with pytest.raises(ToolError, match="(?s)place: is 'moon'.*wings"):
        scenarios.read(file)


def test_the_configured_backends_are_taken():
    chosen = steps('{"scene": {"backend": "temporal", "params": {"samples": 7}}}')
    assert [step.stage.name for step in chosen] == list(JUDGED)
    assert described(chosen)["scene"]["settings"]["samples"] == 7
    with pytest.raises(ToolError, match="no backend 'magic'"):
        steps('{"scene": {"backend": "magic"}}')


def test_measures_know_which_way_is_better():
    pck, error = BY_KEY["keypoints.pck_10"], BY_KEY["body.mpjpe"]
    assert pck.met(0.95) and not pck.met(0.94) and error.met(80.0) and not error.met(81.0)
    assert pck.shown(0.951) == "95.1 %" and error.shown(80.04) == "80 mm"
    assert len({m.key for m in MEASURES}) == len(MEASURES)
