"""Compares what the stages say of one clip with the truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from model_zoo.body.smpl import SmplModel
from model_zoo.metrics import bodies, joints, masks, pictures, surfaces
from model_zoo.synthetic.camera import Camera
from model_zoo.synthetic.recipes import Take
from model_zoo.synthetic.render import FrameTruth
from tools.accuracy import panels
from workflow.artifact import Artifact
from workflow.conventions import PARSING_LABELS, SCENE_FROM_OTHER_FRAME, SCENE_INPAINTED, SCENE_OBSERVED
from workflow.stages.body import Body
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import Scene
from workflow.stages.surface import Surface

_POINTS = 23  # of the truth: COCO's 17 and the feet
_LEAST_HUMAN = 0.002  # of the picture: with less of the subject in view a frame's masks are not compared
_LEAST_OCCLUDER = 0.01  # of the clip's human: clips with less are without occluder
_VERTEX_FRAMES = 8  # frames of a clip whose vertices are compared
_ORIGINS = {"left": SCENE_OBSERVED, "other_frame": SCENE_FROM_OTHER_FRAME, "inpainted": SCENE_INPAINTED}
_FEET = [10, 11]  # SMPL's joints of the balls of the feet


@dataclass
class Verdict:
    """Accuracy of one clip.

    Attributes:
        measures: Value by key of `targets.MEASURES`; keys that do not apply are absent.
        worst: By stage, the frame with the greatest error and a picture of it, (H, W, 3) uint8.
        rejected: Who rejected the clip and why; empty where nobody did.
    """

    measures: dict[str, float] = field(default_factory=dict)
    worst: dict[str, tuple[int, np.ndarray]] = field(default_factory=dict)
    rejected: str = ""


class _Sums:
    """Values by key, averaged at the end."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = defaultdict(list)

    def add(self, key: str, value: float) -> None:
        self._values[key].append(float(value))

    def put(self, key: str, values: np.ndarray) -> None:
        self._values[key] += [float(value) for value in values]

    def means(self) -> dict[str, float]:
        return {key: float(np.mean(values)) for key, values in self._values.items() if values}


class _Worst:
    """Remembers the frame with the greatest error of every stage."""

    def __init__(self) -> None:
        self.at: dict[str, tuple[float, int]] = {}

    def tell(self, stage: str, error: float, t: int) -> None:
        if error > self.at.get(stage, (-np.inf, 0))[0]:
            self.at[stage] = (error, t)


def judge(take: Take, artifacts: Mapping[str, Artifact], model: SmplModel) -> Verdict:
    """Compare one clip.

    Args:
        take: The clip with its truth.
        artifacts: What the stages gave, by name; stages that gave nothing are not judged.
        model: Body model that posed the truth and that the stages used.
    """
    sums, worst = _Sums(), _Worst()
    truths = [take.truth(t) for t in range(len(take))]
    frames, crop = artifacts.get("frames"), artifacts.get("crop")
    if frames is not None:
        assert isinstance(frames, Frames)
        if len(frames.rgb) != len(take):
            return Verdict(rejected=f"frames: {len(frames.rgb)} frames, the clip has {len(take)}")
    keypoints, parsing = artifacts.get("keypoints"), artifacts.get("parsing")
    if isinstance(keypoints, Keypoints):
        _keypoints(keypoints, truths, sums, worst)
    if isinstance(parsing, Parsing):
        _parsing(parsing, truths, sums, worst)
    body = artifacts.get("body")
    if isinstance(body, Body):
        _body(body, take, model, sums, worst)
    if isinstance(crop, Crop):
        _in_crop(crop, artifacts, take, truths, sums, worst)
    verdict = Verdict(measures=sums.means())
    for stage, (_, t) in worst.at.items():
        picture = panels.draw(stage, t, take, truths[t], artifacts, model)
        verdict.worst[stage] = (t, picture)
    return verdict


def _keypoints(found: Keypoints, truths: list[FrameTruth], sums: _Sums, worst: _Worst) -> None:
    matched = []
    for t, truth in enumerate(truths):
        size = joints.box_size(truth.amodal)
        known = (found.confidence[t, :_POINTS] > 0) & found.valid[t]
        points = found.xy[t, :_POINTS].astype(np.float64)
        distance = np.where(known, np.linalg.norm(points - truth.keypoints, axis=1), np.inf)
        body = np.zeros(_POINTS, bool)
        body[list(joints.BODY)] = True
        judged = truth.visible & body
        enough = judged.sum() >= len(joints.BODY) // 2
        if enough:
            sums.add("keypoints.found", found.valid[t])
        for alpha, key in ((0.1, "pck_10"), (0.05, "pck_05")):
            sums.put(f"keypoints.{key}", (distance[judged] <= alpha * size).astype(float))
        near = judged & known
        sums.put("keypoints.error_px", distance[near])
        for group, members in joints.GROUPS.items():
            chosen = [m for m in members if truth.visible[m] and known[m]]
            sums.put(f"keypoints.{group}_px", distance[chosen])
        if near.any() and size:
            worst.tell("keypoints", float(distance[near].mean() / size), t)
        people = np.concatenate([truth.keypoints[None], truth.others])
        usable = np.concatenate([truth.in_view[None], np.ones((len(truth.others), _POINTS), bool)])
        matched.append(joints.nearest_person(points, known, people, usable))
    who = np.array(matched)
    sums.add("keypoints.identity_switches", joints.identity_switches(who))
    if (who >= 0).any():
        sums.add("keypoints.wrong_person", float((who[who >= 0] > 0).mean()))


def true_body(take: Take) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The subject's `global_orient` (T, 3), `transl` (T, 3) and joints (T, 24, 3), m, in the camera's frame."""
    shot = take.shot
    person, motion, pose = shot.subject.body, shot.subject.motion, shot.camera.world_from_camera
    orient, transl = motion.seen_from(pose, person.joints_rest[0])
    seen = np.einsum("tij,tkj->tki", pose[:, :3, :3].swapaxes(1, 2), person.joints(motion) - pose[:, None, :3, 3])
    return orient, transl, seen


def _in_sight(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Frames (T,) in which the middle of the body lies inside the picture; points (T, 24, 3), m, camera."""
    pelvis = points[:, 0]
    pixel = pelvis @ camera.intrinsics.T
    pixel = pixel[:, :2] / np.maximum(pixel[:, 2:], 1e-6)
    inside = (pixel >= 0).all(1) & (pixel <= [camera.width - 1, camera.height - 1]).all(1)
    seen: np.ndarray = inside & (pelvis[:, 2] > 0)
    return seen


def _body(found: Body, take: Take, model: SmplModel, sums: _Sums, worst: _Worst) -> None:
    orient, transl, truth = true_body(take)
    shot = take.shot
    valid = found.valid & _in_sight(shot.camera, truth)
    ours = found.joints.astype(np.float64)
    if not valid.any():
        return
    procrustes = bodies.pa_mpjpe(ours[valid], truth[valid])
    sums.put("body.pa_mpjpe", procrustes)
    sums.put("body.mpjpe", bodies.mpjpe(ours[valid], truth[valid]))
    sums.put("body.acceleration", bodies.acceleration_error(ours, truth, valid))
    sums.put("body.translation", bodies.translation_error(ours[valid, 0], truth[valid, 0]))
    sums.add("body.depth_bias", float((ours[valid, 0, 2] / truth[valid, 0, 2] - 1).mean()))
    pose = shot.camera.world_from_camera
    feet = np.einsum("tij,tkj->tki", pose[:, :3, :3], ours[:, _FEET]) + pose[:, None, :3, 3]
    sums.put("body.foot_slide", bodies.foot_slide(feet, shot.subject.motion.contacts, valid))
    chosen = np.flatnonzero(valid)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), _VERTEX_FRAMES)).round().astype(int)]
    theirs = model.poser(shot.subject.body.betas).vertices(
        orient[chosen], shot.subject.motion.body_pose[chosen], transl[chosen]
    )
    mine = model.poser(found.betas).vertices(found.global_orient[chosen], found.body_pose[chosen], found.transl[chosen])
    for a, b, t in zip(mine, theirs, chosen):
        sums.add("body.pve", bodies.pve(a, b, ours[t, 0], truth[t, 0]))
    for error, t in zip(procrustes, np.flatnonzero(valid)):
        worst.tell("body", float(error), int(t))


def _parsing(found: Parsing, truths: list[FrameTruth], sums: _Sums, worst: _Worst) -> None:
    confusion = masks.Confusion(len(PARSING_LABELS))
    for t, (matte, labels, truth) in enumerate(zip(found.matte, found.labels, truths)):
        if not found.valid[t] or truth.human.mean() < _LEAST_HUMAN:
            continue
        mask = matte >= 128
        overlap = masks.iou(mask, truth.human)
        sums.add("parsing.iou", overlap)
        sums.add("parsing.boundary_f", masks.boundary_f(mask, truth.human))
        confusion.add(labels, truth.parsing)
        worst.tell("parsing", 1 - overlap, t)
    if confusion.counts.any():
        sums.add("parsing.miou", confusion.miou())
        sums.add("parsing.miou_parts", confusion.miou(with_background=False))


@dataclass(frozen=True)
class CroppedTruth:
    """The truth of one frame in the crop's pixels, each (h, w, ...)."""

    human: np.ndarray
    occluder: np.ndarray
    depth: np.ndarray
    normal: np.ndarray


def cropped(truth: FrameTruth, matrix: np.ndarray, height: int, width: int) -> CroppedTruth:
    """Truth in the crop's pixels, by the nearest pixel."""

    def moved(values: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(values, matrix[:2], (width, height), flags=cv2.INTER_NEAREST)

    return CroppedTruth(
        moved(truth.human.view(np.uint8)).astype(bool),
        moved(truth.occluder.view(np.uint8)).astype(bool),
        moved(truth.body_depth),
        moved(truth.body_normal),
    )


def _in_crop(
    crop: Crop,
    artifacts: Mapping[str, Artifact],
    take: Take,
    truths: list[FrameTruth],
    sums: _Sums,
    worst: _Worst,
) -> None:
    surface, layers, scene = (artifacts.get(name) for name in ("surface", "layers", "scene"))
    height, width = crop.rgb.shape[1:3]
    overlap = union = false = human_total = occluder_total = 0
    still = take.shot.camera.is_still()
    square, count = 0.0, 0
    by_origin: dict[str, list[np.ndarray]] = {name: [] for name in _ORIGINS}
    for t, truth in enumerate(truths):
        if not crop.valid[t] or truth.human.mean() < _LEAST_HUMAN:
            continue
        there = cropped(truth, crop.crop_from_source[t], height, width)
        inside = crop.inside[t]
        if isinstance(surface, Surface) and surface.valid[t]:
            _surface(surface, t, there, sums, worst)
        if isinstance(layers, Layers) and layers.valid[t]:
            human, occluder = layers.human[t], layers.occluder[t]
            sums.add("layers.human_iou", masks.iou(human, there.human))
            overlap += int((occluder & there.occluder).sum())
            union += int((occluder | there.occluder).sum())
            false += int((occluder & ~there.occluder).sum())
            human_total += int(there.human.sum())
            occluder_total += int(there.occluder.sum())
            wrong = int((occluder ^ there.occluder).sum()) + int((human ^ there.human).sum())
            worst.tell("layers", wrong / max(int(there.human.sum()), 1), t)
        if isinstance(scene, Scene) and scene.valid[t]:
            removed = there.human & inside
            if removed.any():
                empty = cv2.warpAffine(take.background(t), crop.crop_from_source[t][:2], (width, height))
                picture = scene.rgb[t]
                apart = (picture[removed].astype(np.float64) - empty[removed]) ** 2
                square, count = square + float(apart.sum()), count + apart.size
                for name, label in _ORIGINS.items():
                    by_origin[name].append(apart[scene.origin[t][removed] == label].ravel())
                sums.add("scene.ssim", float(pictures.ssim_map(picture, empty)[removed].mean()))
                worst.tell("scene", float(apart.mean()), t)
    if human_total and occluder_total > _LEAST_OCCLUDER * human_total:
        sums.add("layers.occluder_iou", overlap / union)
    elif human_total:
        sums.add("layers.false_occluder", false / human_total)
    if count:
        sums.add(f"scene.psnr_{'static' if still else 'moving'}", pictures.psnr(square / count))
        for name, values in by_origin.items():
            errors = np.concatenate(values)
            sums.add(f"scene.share_{name}", errors.size / count)
            if errors.size > 0.001 * count:
                sums.add(f"scene.psnr_{name}", pictures.psnr(float(errors.mean())))


def _surface(surface: Surface, t: int, there: CroppedTruth, sums: _Sums, worst: _Worst) -> None:
    depth, normal = surface.depth[t].astype(np.float64), surface.normal[t].astype(np.float64)
    sums.add("surface.covered", float((depth > 0)[there.human].mean()))
    both = there.human & (depth > 0) & (there.depth > 0)
    if both.sum() < 50:
        return
    ours, theirs = depth[both], there.depth[both].astype(np.float64)
    if surface.metric:
        sums.add("surface.abs_rel", surfaces.abs_rel(ours, theirs))
        sums.add("surface.delta1", surfaces.delta1(ours, theirs))
    sums.add("surface.abs_rel_aligned", surfaces.abs_rel(surfaces.scale_and_shift(ours, theirs), theirs))
    known = both & (np.abs(surface.normal[t]).max(2) > 0)
    if known.any():
        angle = surfaces.angles_deg(normal[known], there.normal[known].astype(np.float64))
        sums.add("surface.normal_mean", float(angle.mean()))
        sums.add("surface.normal_median", float(np.median(angle)))
        worst.tell("surface", float(angle.mean()), t)
