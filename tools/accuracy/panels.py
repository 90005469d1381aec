"""Pictures of single frames: what a stage said beside or over the truth."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from model_zoo.body.smpl import SmplModel
from model_zoo.raster.zbuffer import Rasterizer
from model_zoo.synthetic.recipes import Take
from model_zoo.synthetic.render import FrameTruth
from tools.page import colours
from workflow.artifact import Artifact
from workflow.conventions import COCO_EDGES
from workflow.stages.body import Body
from workflow.stages.crop import Crop
from workflow.stages.keypoints import Keypoints
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import Scene
from workflow.stages.surface import Surface

TRUE: colours.Colour = (0, 200, 80)
FOUND: colours.Colour = (255, 60, 60)
_HEIGHT = 300  # px
_HIDDEN: colours.Colour = (120, 160, 255)

CAPTIONS = {
    "keypoints": "found joints red, true ones green (blue: hidden)",
    "body": "outline of the fitted body red, of the true dressed one green",
    "parsing": "mask: too much red, missing blue; then found labels, true labels",
    "surface": "found normals, true normals",
    "layers": "occluder found red, true green, both yellow; human outline blue",
    "scene": "found background, true background, difference x 4",
}


def draw(
    stage: str, t: int, take: Take, truth: FrameTruth, artifacts: Mapping[str, Artifact], model: SmplModel
) -> np.ndarray:
    """One frame as `CAPTIONS` says, (h, w, 3) uint8."""
    found = artifacts[stage]
    crop = artifacts.get("crop")
    if isinstance(found, Keypoints):
        parts = [_keypoints(found, t, take, truth)]
    elif isinstance(found, Body):
        parts = [_body(found, t, take, truth, model)]
    elif isinstance(found, Parsing):
        parts = _parsing(found, t, take, truth)
    else:
        assert isinstance(crop, Crop)
        parts = _cropped(found, crop, t, take, truth)
    return np.concatenate([_scaled(part) for part in parts], 1)


def _scaled(picture: np.ndarray) -> np.ndarray:
    width = round(picture.shape[1] * _HEIGHT / picture.shape[0])
    return cv2.resize(picture, (width, _HEIGHT), interpolation=cv2.INTER_AREA)


def _keypoints(found: Keypoints, t: int, take: Take, truth: FrameTruth) -> np.ndarray:
    picture = colours.grey(take.frame(t))
    known = (found.confidence[t, :23] > 0) & found.valid[t]

    def dots(points: np.ndarray, fine: np.ndarray, colour: colours.Colour, size: int) -> None:
        for a, b in COCO_EDGES:
            if fine[a] and fine[b]:
                cv2.line(picture, _at(points[a]), _at(points[b]), colour, 1, cv2.LINE_AA)
        for point in points[fine]:
            cv2.circle(picture, _at(point), size, colour, -1, cv2.LINE_AA)

    dots(truth.keypoints, truth.in_view & ~truth.visible, _HIDDEN, 3)
    dots(truth.keypoints, truth.visible, TRUE, 4)
    dots(found.xy[t, :23], known, FOUND, 2)
    return picture


def _at(point: np.ndarray) -> tuple[int, int]:
    x, y = np.clip(np.rint(point), -30_000, 30_000)
    return int(x), int(y)


def _body(found: Body, t: int, take: Take, truth: FrameTruth, model: SmplModel) -> np.ndarray:
    picture = colours.grey(take.frame(t))
    vertices = model.poser(found.betas).vertices(
        found.global_orient[t : t + 1], found.body_pose[t : t + 1], found.transl[t : t + 1]
    )[0]
    seen = Rasterizer(*picture.shape[:2])(vertices.astype(np.float64), model.faces, found.intrinsics.astype(np.float64))
    covered = seen.face_index >= 0
    colours.tint(picture, covered, FOUND, 0.25)
    colours.outline(picture, truth.amodal, TRUE, 2)
    colours.outline(picture, covered, FOUND, 1)
    return picture


def _parsing(found: Parsing, t: int, take: Take, truth: FrameTruth) -> list[np.ndarray]:
    picture = colours.grey(take.frame(t))
    mask = found.matte[t] >= 128
    colours.tint(picture, mask & ~truth.human, FOUND, 0.7)
    colours.tint(picture, ~mask & truth.human, (60, 110, 255), 0.7)
    colours.outline(picture, truth.human, TRUE, 1)
    return [picture, colours.parts(found.labels[t]), colours.parts(truth.parsing)]


def _cropped(found: Artifact, crop: Crop, t: int, take: Take, truth: FrameTruth) -> list[np.ndarray]:
    height, width = crop.rgb.shape[1:3]
    matrix = crop.crop_from_source[t][:2]

    def moved(values: np.ndarray, flags: int = cv2.INTER_NEAREST) -> np.ndarray:
        return cv2.warpAffine(values, matrix, (width, height), flags=flags)

    human = moved(truth.human.view(np.uint8)).astype(bool)
    if isinstance(found, Surface):
        true = np.rint(moved(truth.body_normal) * 127).astype(np.int8)
        ours = found.normal[t].copy()
        true[~human], ours[~human] = 0, 0
        return [colours.normals(ours), colours.normals(true)]
    if isinstance(found, Layers):
        picture = colours.grey(crop.rgb[t])
        occluder, true_occluder = found.occluder[t], moved(truth.occluder.view(np.uint8)).astype(bool)
        colours.tint(picture, occluder & ~true_occluder, FOUND, 0.6)
        colours.tint(picture, true_occluder & ~occluder, TRUE, 0.6)
        colours.tint(picture, true_occluder & occluder, (250, 220, 0), 0.6)
        colours.outline(picture, found.human[t], (60, 110, 255), 1)
        return [picture]
    assert isinstance(found, Scene)
    empty = moved(take.background(t), cv2.INTER_LINEAR)
    apart = np.abs(found.rgb[t].astype(np.int16) - empty).max(2)
    apart[~human] = 0
    shown = np.repeat(np.clip(4 * apart, 0, 255).astype(np.uint8)[..., None], 3, 2)
    return [found.rgb[t], empty, shown]
