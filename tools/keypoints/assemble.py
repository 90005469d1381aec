"""The artifact from joints and boxes of the subject, for backends that give the body's joints only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tools.keypoints.body25 import wholebody
from tools.keypoints.quality import measure
from workflow.conventions import NUM_KEYPOINTS
from workflow.errors import Rejected
from workflow.stages.keypoints import Keypoints


def assemble(
    frames: int,
    joints: Mapping[int, np.ndarray],
    boxes: Mapping[int, np.ndarray],
    size: tuple[int, int],
    min_valid_share: float,
    figures: Mapping[str, float],
) -> Keypoints:
    """Fill the artifact; frames that `joints` lacks are not valid.

    Args:
        frames: Length of the clip.
        joints: By frame: (17 or 23, 3), x, y px and confidence.
        boxes: By frame: x0, y0, x1, y1 px; cut to the picture here.
        size: Height and width of the picture, px.
        min_valid_share: See `Raises`.
        figures: Further figures.

    Raises:
        Rejected: The subject is seen in fewer than `min_valid_share` of the frames.
    """
    height, width = size
    xy, confidence = np.zeros((frames, NUM_KEYPOINTS, 2), np.float32), np.zeros((frames, NUM_KEYPOINTS), np.float32)
    box, valid, extent = np.zeros((frames, 4), np.float32), np.zeros(frames, bool), np.ones(frames)
    for index, found in joints.items():
        xy[index], confidence[index] = wholebody(found, width, height)
        box[index] = np.clip(boxes[index][:4], -0.5, np.array([width, height, width, height]) - 0.5)
        extent[index] = max(float((boxes[index][2:4] - boxes[index][:2]).max()), 1.0)
        valid[index] = True
    share = float(valid.mean()) if frames else 0.0
    if share < min_valid_share or not valid.any():
        raise Rejected(
            f"the subject is seen in {share:.0%} of the frames, fewer than min_valid_share = {min_valid_share:.0%}"
        )
    return Keypoints(
        xy=xy,
        confidence=confidence,
        xyz=np.zeros((frames, NUM_KEYPOINTS, 3), np.float32),
        xyz_valid=np.zeros((frames, NUM_KEYPOINTS), bool),
        box=box,
        valid=valid,
        quality={**measure(xy, confidence, extent, valid), **figures},
    )
