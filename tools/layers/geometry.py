"""Human, occluder and scene by comparing the subject's matte with where its body is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from tools.layering import HALF, Layering
from tools.layers import passing, standing
from tools.layers.dressed import dressed
from tools.layers.missing import candidates, doubtful, height_of, hidden, persistent
from workflow.stages.crop import Crop
from workflow.stages.layers import GeometryParams, Layers
from workflow.stages.surface import Surface

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
    thing: np.ndarray  # bool, what is known to stand or to pass in front
    inside: np.ndarray  # bool, pixels of the source
    valid: bool


def split(params: GeometryParams, crop: Crop, surface: Surface) -> Layers:
    """Split all frames; without a valid body or matte everything is scene, and the frame not valid."""
    valid = crop.valid & surface.valid
    layers = Layering(valid)
    agreement = []
    for frame, others in _windows(_frames(params, crop, surface)):
        reach = int(_MOTION * height_of(frame.body) * _NEIGHBOURS) if frame.piece.any() else 0
        piece = persistent(frame.piece, [other.piece for other in others if other.valid], reach)
        thing = frame.thing | piece
        seen = frame.human & ~thing
        covered = thing & dressed(frame.body, seen, thing, frame.inside) if thing.any() else thing
        layers.add(seen, covered, np.where(thing, 0, frame.matte))
        if valid[frame.index]:
            visible = frame.body & ~covered
            union = float((seen | visible).sum())
            agreement.append(float((seen & visible).sum()) / union if union else 1.0)
    if not agreement:
        return layers.finish()
    return layers.finish(silhouette_iou=float(np.mean(agreement)))  # visible body against human


def _frames(params: GeometryParams, crop: Crop, surface: Surface) -> Iterator[_Frame]:
    scale = max(crop.rgb.frame_shape[:2]) / _REFERENCE_px if crop.rgb.frame_shape else 1.0
    stands, passes = standing.find(crop, surface), passing.find(crop, surface)
    rows = zip(crop.matte, crop.inside, surface.depth)
    for t, (matte, inside, depth) in enumerate(rows):
        human = matte >= HALF
        body = depth > 0
        piece, thing = np.zeros_like(human), np.zeros_like(human)
        valid = bool(crop.valid[t] and surface.valid[t])
        if valid and stands is not None:
            thing |= stands.in_frame(crop.rgb[t], crop.crop_from_source[t])
        if valid and passes is not None:
            thing |= passes.in_frame(t, human.shape)
        if valid and human.any():
            missing = body & ~human & inside
            if missing.sum() >= params.min_area * body.sum():
                joints = crop.keypoints[t, :_JOINTS], crop.confidence[t, :_JOINTS]
                doubt, unseen = doubtful(body, *joints), hidden(body, *joints)
                depth_px = params.min_depth_px * scale
                piece = candidates(crop.rgb[t], body, human, doubt, unseen, inside, params.min_area, depth_px)
        yield _Frame(t, matte, human, body, piece, thing, inside, valid)


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
