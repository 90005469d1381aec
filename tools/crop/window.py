"""One smooth window around the subject at the training size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Callable

import cv2
import numpy as np

from tools.crop.path import centres, fill_gaps, limits, window_sides, within_source, without_outliers
from tools.crop.warp import inside, nearest, warp
from workflow.errors import Rejected
from workflow.stages.body import Body
from workflow.stages.crop import Crop, WindowParams
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.parsing import Parsing

_SEEN = 0.5  # confidence from which on a keypoint belongs into the window
_OUTLIER_s = 0.06  # half width of the running median over the boxes
_LEAST_MARGIN = 0.02  # share of the box that stays around the subject where the source has no room for more
_SMALLEST_px = 8.0  # side of a window, source
_BEYOND = 0.5  # of the keypoints' box, by which the matte may widen it


def load(params: WindowParams, files: Mapping[str, Path]) -> Callable[[Frames, Keypoints, Body, Parsing], Crop]:
    """Return the cropper."""
    del files
    return lambda frames, keypoints, body, parsing: cut(params, frames, keypoints, body, parsing)


def cut(params: WindowParams, frames: Frames, keypoints: Keypoints, body: Body, parsing: Parsing) -> Crop:
    """Crop all frames of a clip.

    Raises:
        Rejected: No frame shows the subject.
    """
    source = frames.rgb.frame_shape[:2]
    boxes, seen = subject_boxes(keypoints, parsing, source)
    if not seen.any():
        raise Rejected("the subject is in no frame")
    transforms, boxes = plan(params, boxes, seen, source, frames.fps)
    size = (params.width, params.height)
    rgb, matte, labels = Crop.spool("rgb"), Crop.spool("matte"), Crop.spool("labels")
    inner = Crop.spool("inside")
    share, whole = [], []
    for t, (picture, soft, parts) in enumerate(zip(frames.rgb, parsing.matte, parsing.labels)):
        matrix = transforms[t]
        zoom = float(matrix[0, 0])
        within = inside(matrix, size, source)
        crop_rgb = warp(picture, matrix, size, zoom)
        crop_matte = warp(soft, matrix, size, zoom) if parsing.valid[t] else np.zeros(size[::-1], np.uint8)
        crop_labels = nearest(parts, matrix, size)
        if not within.all():
            crop_rgb[~within] = 0
            crop_matte[~within] = 0
        crop_labels[crop_matte < 128] = 0
        rgb.append(crop_rgb)
        matte.append(crop_matte)
        labels.append(crop_labels)
        inner.append(within)
        share.append(within.mean())
        whole.append(_covered(boxes[t], matrix, size))
    intrinsics = transforms @ body.intrinsics.astype(np.float64)
    xy = keypoints.xy @ transforms[:, :2, :2].transpose(0, 2, 1) + transforms[:, None, :2, 2]
    height = (boxes[:, 3] - boxes[:, 1]) * transforms[:, 1, 1]
    return Crop(
        rgb=rgb.finish(),
        matte=matte.finish(),
        labels=labels.finish(),
        inside=inner.finish(),
        crop_from_source=transforms,
        intrinsics=intrinsics.astype(np.float32),
        keypoints=xy.astype(np.float32),
        confidence=keypoints.confidence,
        valid=seen,
        source_height=int(source[0]),
        source_width=int(source[1]),
        fps=frames.fps,
        quality={
            "inside_share": float(np.mean(share)),
            "zoom": float(transforms[:, 0, 0].mean()),
            "subject_height_px": float(height[seen].mean()),
            "whole_share": float(np.mean(np.array(whole)[seen])),
        },
    )


def subject_boxes(keypoints: Keypoints, parsing: Parsing, source: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Box of the subject in every frame: its seen keypoints and its matte.

    Args:
        keypoints: Of the source.
        parsing: Of the source.
        source: Height and width, px.

    Returns:
        Boxes (T, 4) x0, y0, x1, y1 in px, inside the source, and in which frames there is one, (T,) bool.
    """
    frames = len(keypoints.valid)
    boxes = np.zeros((frames, 4))
    seen = np.zeros(frames, bool)
    largest = np.array([source[1] - 1, source[0] - 1], np.float64)
    for t, matte in enumerate(parsing.matte):
        found = []
        if keypoints.valid[t]:
            sure = keypoints.confidence[t] >= _SEEN
            points = keypoints.xy[t][sure] if sure.any() else keypoints.box[t].reshape(2, 2)
            found.append(np.concatenate([points.min(0), points.max(0)]))
        if parsing.valid[t]:
            x, y, width, height = cv2.boundingRect((matte >= 128).view(np.uint8))
            if width:
                box = np.array([x, y, x + width - 1, y + height - 1], np.float64)
                if found:  # a matte that runs away does not take the window with it
                    slack = _BEYOND * (found[0][2:] - found[0][:2]).max()
                    box = np.concatenate(
                        [np.maximum(box[:2], found[0][:2] - slack), np.minimum(box[2:], found[0][2:] + slack)]
                    )
                found.append(box)
        if not found:
            continue
        low = np.clip(np.min([box[:2] for box in found], axis=0), 0, largest)
        high = np.clip(np.max([box[2:] for box in found], axis=0), 0, largest)
        boxes[t] = np.concatenate([low, high])
        seen[t] = keypoints.valid[t] and parsing.valid[t] and bool((high > low).all())
    return boxes, seen


def plan(
    params: WindowParams, boxes: np.ndarray, seen: np.ndarray, source: tuple[int, int], fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Transforms of all frames.

    Args:
        params: Size, margin and smoothness.
        boxes: Shape (T, 4), px.
        seen: Shape (T,), bool, at least one true.
        source: Height and width, px.
        fps: Frames per second.

    Returns:
        `crop_from_source`, shape (T, 3, 3), and the boxes without gaps and outliers, shape (T, 4).
    """
    boxes = without_outliers(fill_gaps(boxes, seen), int(round(_OUTLIER_s * fps)))
    radius = int(round(params.smooth_s * fps / 2))
    aspect = params.width / params.height
    wide = limits(boxes, radius)
    wanted, needed = (
        window_sides(wide, aspect, margin, 2 * radius, params.fixed_scale) for margin in (params.margin, _LEAST_MARGIN)
    )
    widths = np.maximum(within_source(wanted, needed, aspect, source), _SMALLEST_px)
    middle = centres(wide, widths, aspect, source)
    zoom = params.width / widths
    transforms = np.zeros((len(boxes), 3, 3))
    transforms[:, 0, 0] = transforms[:, 1, 1] = zoom
    transforms[:, 2, 2] = 1.0
    target = np.array([(params.width - 1) / 2, (params.height - 1) / 2])
    transforms[:, :2, 2] = target - zoom[:, None] * middle
    return transforms, boxes


def _covered(box: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether the window holds all of the box, up to a pixel."""
    low = matrix[:2, :2] @ box[:2] + matrix[:2, 2]
    high = matrix[:2, :2] @ box[2:] + matrix[:2, 2]
    return bool((low >= -1).all() and (high <= np.array(size)).all())
