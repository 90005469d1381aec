"""BODY25 (OpenPose) and COCO's 17 joints, and how both fill the 133 of the artifact."""

from __future__ import annotations

import numpy as np

from tools.keypoints.wholebody import inside
from workflow.conventions import BODY, BODY25_FROM_COCO, BODY25_FROM_FEET, BODY25_MEANS, FEET, NUM_KEYPOINTS


def body25_from_coco(joints: np.ndarray) -> np.ndarray:
    """COCO-17 joints (..., 17, 3) as x, y, confidence to BODY25 (..., 25, 3); the six points of the feet are 0.

    Neck and mid hip are means of their neighbours with the smaller of the two confidences (EasyMocap).
    """
    out = np.zeros((*joints.shape[:-2], 25, 3), joints.dtype)
    out[..., list(BODY25_FROM_COCO), :] = joints
    for index, pair in BODY25_MEANS.items():
        out[..., index, :2] = out[..., list(pair), :2].mean(-2)
        out[..., index, 2] = out[..., list(pair), 2].min(-1)
    return out


def coco_from_body25(joints: np.ndarray) -> np.ndarray:
    """BODY25 joints (..., 25, 3) to COCO body and feet (..., 23, 3)."""
    return joints[..., [*BODY25_FROM_COCO, *BODY25_FROM_FEET], :]


def wholebody(joints: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Spread COCO body joints, or body and feet, over the 133, or take all 133; the others are absent.

    Args:
        joints: Shape (17, 23 or 133, 3), x, y px and confidence, which may exceed 1.
        width: Of the picture, px.
        height: Of the picture, px.

    Returns:
        xy (133, 2), px, and confidence (133,) in [0, 1], float32; both 0 where absent or outside the picture.
    """
    assert len(joints) in (BODY.stop, FEET.stop, NUM_KEYPOINTS)
    xy, confidence = np.zeros((NUM_KEYPOINTS, 2), np.float32), np.zeros(NUM_KEYPOINTS, np.float32)
    sure = np.where(inside(joints[:, :2], width, height), np.clip(joints[:, 2], 0, 1), 0)
    confidence[: len(joints)] = sure
    xy[: len(joints)] = np.where(sure[:, None] > 0, joints[:, :2], 0)
    return xy, confidence
