"""True keypoints: COCO's 17 points and the 6 of the feet; face and hands are absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tools.truth.records import Record
from workflow.conventions import FEET, NUM_KEYPOINTS
from workflow.errors import Rejected, ToolError
from workflow.stage import Params
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

VISIBLE, HIDDEN = 1.0, 0.5  # confidence of a point that is seen, and of one in the picture with something before it
_LEAST_SEEN = 0.001  # of the picture: with less of the subject in it, a frame is not valid
_LEFT_HIP, _RIGHT_HIP = 11, 12


def load(params: Params, files: Mapping[str, Path]) -> Callable[[Record, Frames], Keypoints]:
    """Return the annotator."""
    del files
    least = float(getattr(params, "min_valid_share", 0.0))
    return lambda record, frames: annotate(record, frames, least)


def annotate(record: Record, frames: Frames, min_valid_share: float) -> Keypoints:
    """Keypoints of a clip.

    A point outside the picture is absent. Three-dimensional points are those of the body, whether seen or not.

    Raises:
        Rejected: The subject is seen in fewer than `min_valid_share` of the frames.
        ToolError: The frames are not those that were rendered.
    """
    count, size = len(frames.timestamps), frames.rgb.frame_shape[:2]
    if count != len(record) or tuple(size) != record.size:
        raise ToolError(
            f"{record.path}: the truth is of {len(record)} frames of {record.size[0]} x {record.size[1]} px, the clip "
            f"has {count} of {size[0]} x {size[1]}; `fps` and `max_side` must leave rendered clips as they are"
        )
    points, space = record.of_frames("keypoints"), record.of_frames("keypoints_xyz").astype(np.float64)
    inside, seen = record.of_frames("keypoints_in_view"), record.of_frames("keypoints_visible")
    xy, confidence = np.zeros((count, NUM_KEYPOINTS, 2), np.float32), np.zeros((count, NUM_KEYPOINTS), np.float32)
    xyz, known = np.zeros((count, NUM_KEYPOINTS, 3), np.float32), np.zeros((count, NUM_KEYPOINTS), bool)
    xy[:, : FEET.stop] = np.where(inside[..., None], points, 0.0)
    confidence[:, : FEET.stop] = np.where(seen, VISIBLE, np.where(inside, HIDDEN, 0.0))
    xyz[:, : FEET.stop] = space - 0.5 * (space[:, [_LEFT_HIP]] + space[:, [_RIGHT_HIP]])
    known[:, : FEET.stop] = True
    box, valid = np.zeros((count, 4), np.float32), np.zeros(count, bool)
    for t, (human, whole) in enumerate(zip(record.masks("human"), record.masks("amodal"))):
        valid[t] = human.mean() >= _LEAST_SEEN and inside[t].any()
        if valid[t]:
            rows, columns = np.flatnonzero(whole.any(1)), np.flatnonzero(whole.any(0))
            box[t] = columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5
    xy[~valid], confidence[~valid], xyz[~valid], known[~valid] = 0.0, 0.0, 0.0, False
    share = float(valid.mean())
    if share < min_valid_share or not valid.any():
        raise Rejected(
            f"the subject is seen in {share:.0%} of the frames, fewer than min_valid_share = {min_valid_share:.0%}"
        )
    quality = {"valid_share": share, "confidence": float(confidence[valid, : FEET.stop].mean())}
    return Keypoints(xy=xy, confidence=confidence, xyz=xyz, xyz_valid=known, box=box, valid=valid, quality=quality)
