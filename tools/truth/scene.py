"""The picture as it was rendered without the subject and their shadow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from tools.crop.warp import warp
from tools.truth.records import Record
from workflow.conventions import SCENE_FROM_OTHER_FRAME, SCENE_OBSERVED
from workflow.stage import Params
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import Scene

_SHADOW = 6.0  # of 255: a place whose mean differs by more from the picture without the subject shows their shadow
_PLACE_px = 9  # side of a place
_EDGE_px = 3  # by which the subject grows


def load(params: Params, files: Mapping[str, Path]) -> Callable[[Record, Frames, Parsing, Crop, Layers], Scene]:
    """Return the annotator."""
    del params, files
    return lambda record, frames, parsing, crop, layers: annotate(record, crop, layers)


def annotate(record: Record, crop: Crop, layers: Layers) -> Scene:
    """Scene of a clip: truth where the subject or their shadow is, the frame's own pixels elsewhere."""
    size = crop.rgb.frame_shape[1::-1]
    rgb, origin = Scene.spool("rgb"), Scene.spool("origin")
    removed = []
    rows = zip(record.pictures("background"), crop.rgb, crop.matte, crop.inside)
    for t, (empty, own, matte, inside) in enumerate(rows):
        matrix = crop.crop_from_source[t]
        clean = warp(empty, matrix, size, float(matrix[0, 0]))
        gone = changed(own, clean, matte) & inside
        rgb.append(np.where(gone[..., None], clean, own))
        origin.append(np.where(gone, SCENE_FROM_OTHER_FRAME, SCENE_OBSERVED).astype(np.uint8))
        removed.append(float(gone.mean()))
    quality = {"removed_share": float(np.mean(removed))}
    return Scene(rgb=rgb.finish(), origin=origin.finish(), valid=layers.valid.copy(), quality=quality)


def changed(own: np.ndarray, clean: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """Where the subject or their shadow is seen, (H, W) bool.

    Args:
        own: Shape (H, W, 3), uint8, the frame.
        clean: Shape (H, W, 3), uint8, the frame without the subject.
        matte: Shape (H, W), uint8, of the subject.
    """
    apart = cv2.blur(own.astype(np.float32) - clean, (_PLACE_px, _PLACE_px))
    subject = cv2.dilate((matte > 0).view(np.uint8), np.ones((2 * _EDGE_px + 1,) * 2, np.uint8)) > 0
    found: np.ndarray = subject | (np.abs(apart).max(2) > _SHADOW)
    return found
