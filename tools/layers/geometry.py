"""Human, occluder and scene by comparing the subject's matte with where its body is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from tools.layers.missing import candidates, doubtful, height_of, persistent
from workflow.stages.crop import Crop
from workflow.stages.layers import GeometryParams, Layers
from workflow.stages.surface import Surface

_HALF = 128  # of the matte: at least half covered is human
_NEIGHBOURS = 2  # frames to each side that must confirm an occluder
_MOTION = 0.1  # share of the body's height an occluder may move per frame
_REFERENCE_px = 512  # picture size for which `min_depth_px` is given
_JOINTS = 23  # body and feet of COCO-WholeBody


def load(params: GeometryParams, files: Mapping[str, Path]) -> Callable[[Crop, Surface], Layers]:
    """Return the splitter."""
    del files
    return lambda crop, surface: split(params, crop, surface)


@dataclass
class _Frame:
    index: int
    matte: np.ndarray  # uint8
    human: np.ndarray  # bool
    body: np.ndarray  # bool, silhouette
    piece: np.ndarray  # bool, candidate occluder


def split(params: GeometryParams, crop: Crop, surface: Surface) -> Layers:
    """Split all frames; without a valid body or matte everything is scene, and the frame not valid."""
    human, occluder, scene = Layers.spool("human"), Layers.spool("occluder"), Layers.spool("scene")
    matte = Layers.spool("matte")
    valid = crop.valid & surface.valid
    humans, hidden, agreement = [], [], []
    for frame, others in _windows(_frames(params, crop, surface)):
        reach = int(_MOTION * height_of(frame.body) * _NEIGHBOURS) if frame.piece.any() else 0
        covered = persistent(frame.piece, [other.piece for other in others], reach)
        human.append(frame.human)
        occluder.append(covered)
        scene.append(~(frame.human | covered))
        matte.append(np.where(covered, 0, frame.matte).astype(np.uint8))
        if valid[frame.index]:
            area = float(frame.human.sum())
            humans.append(area / frame.human.size)
            hidden.append(float(covered.sum()) / max(area, 1.0))
            visible = frame.body & ~covered
            union = float((frame.human | visible).sum())
            agreement.append(float((frame.human & visible).sum()) / union if union else 1.0)
    quality = {"valid_share": float(valid.mean()) if len(valid) else 0.0}
    if humans:
        quality |= {
            "human_share": float(np.mean(humans)),
            "occluder_share": float(np.mean(hidden)),  # of the human's visible area
            "occluded_frames": float(np.mean(np.array(hidden) > 0)),
            "silhouette_iou": float(np.mean(agreement)),  # visible body against human
        }
    return Layers(
        human=human.finish(), occluder=occluder.finish(), scene=scene.finish(), matte=matte.finish(), valid=valid,
        quality=quality,
    )  # fmt: skip


def _frames(params: GeometryParams, crop: Crop, surface: Surface) -> Iterator[_Frame]:
    scale = max(crop.rgb.frame_shape[:2]) / _REFERENCE_px if crop.rgb.frame_shape else 1.0
    rows = zip(crop.matte, crop.inside, surface.depth)
    for t, (matte, inside, depth) in enumerate(rows):
        human = matte >= _HALF
        body = depth > 0
        piece = np.zeros_like(human)
        if crop.valid[t] and surface.valid[t] and human.any():
            missing = body & ~human & inside
            if missing.sum() >= params.min_area * body.sum():
                doubt = doubtful(body, crop.keypoints[t, :_JOINTS], crop.confidence[t, :_JOINTS])
                rgb = crop.rgb[t]
                piece = candidates(rgb, body, human, doubt, inside, params.min_area, params.min_depth_px * scale)
        yield _Frame(t, matte, human, body, piece)


def _windows(frames: Iterator[_Frame]) -> Iterator[tuple[_Frame, list[_Frame]]]:
    """Every frame with its neighbours in time."""
    window: deque[_Frame] = deque()
    position = 0  # of the next frame to give, in the window
    for frame in frames:
        window.append(frame)
        if len(window) > 2 * _NEIGHBOURS + 1:
            window.popleft()
            position -= 1
        if len(window) - 1 - position >= _NEIGHBOURS:
            yield window[position], [other for k, other in enumerate(window) if k != position]
            position += 1
    while position < len(window):
        yield window[position], [other for k, other in enumerate(window) if k != position]
        position += 1
        if position > _NEIGHBOURS:
            window.popleft()
            position -= 1
