"""Spoils one layer of a clip at a time, to see whether the figures that need no truth notice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from model_zoo.body.smpl import SmplModel
from model_zoo.metrics.quality import FIGURES, ClipFigures, Frame, halved, roc_auc
from workflow.artifact import Artifact
from workflow.stages.body import Body
from workflow.stages.crop import Crop
from workflow.stages.layers import Layers
from workflow.stages.scene import Scene
from workflow.stages.surface import Surface

_SHIFT = 0.06  # of the body's height in the picture
_LOST = 4  # frames in a row
_SMEAR_px = 6.0
# COCO-17 with left and right exchanged.
_MIRROR = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


@dataclass(frozen=True)
class Clip:
    """Layers of the valid frames of a clip, and its joints with the pose frozen, (T, 24, 3), m, camera."""

    frames: list[Frame]
    frozen: np.ndarray


def collect(artifacts: Mapping[str, Artifact], model: SmplModel) -> Clip | None:
    """Layers of a clip at half size; None where less than eight frames are valid in all of them."""
    body, crop, surface, layers, scene = (artifacts[name] for name in ("body", "crop", "surface", "layers", "scene"))
    assert isinstance(body, Body) and isinstance(crop, Crop) and isinstance(surface, Surface)
    assert isinstance(layers, Layers) and isinstance(scene, Scene)
    valid = np.flatnonzero(body.valid & crop.valid & surface.valid & layers.valid & scene.valid)
    if len(valid) < 8:
        return None
    frames = [_frame(int(t), t - 1 in valid, body, crop, surface, layers, scene) for t in valid]
    middle = valid[len(valid) // 2]
    pose = np.repeat(body.body_pose[middle : middle + 1], len(valid), axis=0)
    frozen = model.poser(body.betas).joints(body.global_orient[valid], pose, body.transl[valid])
    return Clip(frames, frozen)


def _frame(t: int, follows: bool, body: Body, crop: Crop, surface: Surface, layers: Layers, scene: Scene) -> Frame:
    return halved(
        Frame(
            rgb=crop.rgb[t], human=layers.human[t], occluder=layers.occluder[t], matte=layers.matte[t],
            scene=scene.rgb[t], removed=scene.origin[t] != 0, depth=surface.depth[t], normal=surface.normal[t],
            inside=crop.inside[t], keypoints=crop.keypoints[t], confidence=crop.confidence[t], joints=body.joints[t],
            intrinsics=crop.intrinsics[t], follows=follows,
        )
    )  # fmt: skip


def figures(frames: Sequence[Frame]) -> dict[str, float]:
    """Figures of a clip."""
    counted = ClipFigures()
    for frame in frames:
        counted.add(frame)
    return counted.figures()


def _each(change: Callable[[Frame], Frame]) -> Callable[[Clip, Clip], list[Frame]]:
    return lambda clip, other: [change(frame) for frame in clip.frames]


def _shifted(frame: Frame) -> Frame:
    rows = np.flatnonzero(frame.human.any(1))
    by = max(4, round(_SHIFT * (np.ptp(rows) + 1))) if len(rows) else 4

    def moved(mask: np.ndarray) -> np.ndarray:
        out = np.zeros_like(mask)
        out[:, by:] = mask[:, :-by]
        return out

    human = moved(frame.human)
    return dataclasses.replace(frame, human=human, matte=moved(frame.matte), occluder=frame.occluder & ~human)


def _mirrored(frame: Frame) -> Frame:
    order = np.concatenate([_MIRROR, np.arange(17, len(frame.keypoints))])
    return dataclasses.replace(frame, keypoints=frame.keypoints[order], confidence=frame.confidence[order])


def _frozen(clip: Clip, other: Clip) -> list[Frame]:
    return [dataclasses.replace(frame, joints=joints) for frame, joints in zip(clip.frames, clip.frozen)]


def _inverted(frame: Frame) -> Frame:
    there = frame.depth > 0
    if not there.any():
        return frame
    middle = float(np.median(frame.depth[there]))
    return dataclasses.replace(frame, depth=np.where(there, np.maximum(2 * middle - frame.depth, 0.1), 0))


def _smeared(frame: Frame) -> Frame:
    scene = frame.scene.copy()
    scene[frame.removed] = cv2.GaussianBlur(scene, (0, 0), _SMEAR_px)[frame.removed]
    return dataclasses.replace(frame, scene=scene)


def _with_gaps(clip: Clip, other: Clip) -> list[Frame]:
    third = len(clip.frames) // 3
    lost = {*range(third, third + _LOST), *range(2 * third, 2 * third + _LOST)}
    return [frame for t, frame in enumerate(clip.frames) if t not in lost]


def _of_another(clip: Clip, other: Clip) -> list[Frame]:
    changed = []
    for t, frame in enumerate(clip.frames):
        theirs = other.frames[t * len(other.frames) // len(clip.frames)]
        human = cv2.resize(theirs.human.view(np.uint8), frame.human.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        matte = cv2.resize(theirs.matte, frame.human.shape[::-1])
        changed.append(dataclasses.replace(frame, human=human, matte=matte, occluder=frame.occluder & ~human))
    return changed


CORRUPTIONS: dict[str, Callable[[Clip, Clip], list[Frame]]] = {
    "shifted mask": _each(_shifted),
    "swapped left and right": _each(_mirrored),
    "frozen pose": _frozen,
    "wrong depth sign": _each(_inverted),
    "smeared background": _each(_smeared),
    "dropped frames": _with_gaps,
    "another person's mask": _of_another,
}


@dataclass(frozen=True)
class Separation:
    """How well a corruption is told from clean clips.

    Attributes:
        name: The corruption.
        best: Figure that tells it best.
        auc: Area under the ROC curve of that figure.
        alarm_auc: Of the most unusual of all figures, whichever it is.
        clips: Clips of each kind.
    """

    name: str
    best: str
    auc: float
    alarm_auc: float
    clips: int


def separations(
    clean: Sequence[Mapping[str, float]], bad: Mapping[str, Sequence[Mapping[str, float]]]
) -> list[Separation]:
    """Compare figures of clean and of spoilt clips.

    Args:
        clean: Figures of every clip.
        bad: By corruption, figures of the same clips in the same order.
    """
    normal = {name: np.array([clip[name] for clip in clean if name in clip]) for name in FIGURES}
    found = []
    for corruption, clips in bad.items():
        areas = {}
        for name, meaning in FIGURES.items():
            values = np.array([clip[name] for clip in clips if name in clip])
            if meaning.suspicious and len(values) >= 0.6 * len(clips) and len(normal[name]) >= 0.6 * len(clean):
                areas[name] = roc_auc(meaning.suspicious * values, meaning.suspicious * normal[name])
        best = max(areas, key=lambda name: areas[name]) if areas else ""
        loud = roc_auc(
            np.array([_alarm(clip, clean, number) for number, clip in enumerate(clips)]),
            np.array([_alarm(clip, clean, number) for number, clip in enumerate(clean)]),
        )
        found.append(Separation(corruption, best, areas.get(best, 0.5), loud, len(clips)))
    return found


def _alarm(clip: Mapping[str, float], clean: Sequence[Mapping[str, float]], left_out: int) -> float:
    """How unusual the most suspicious figure is among the other clean clips, in robust standard deviations."""
    worst = 0.0
    for name, meaning in FIGURES.items():
        others = np.array([each[name] for number, each in enumerate(clean) if number != left_out and name in each])
        if not meaning.suspicious or name not in clip or len(others) < 4:
            continue
        middle = float(np.median(others))
        spread = max(1.4826 * float(np.median(np.abs(others - middle))), 0.25 * float(others.std()), 1e-4)
        worst = max(worst, meaning.suspicious * (clip[name] - middle) / spread)
    return worst
