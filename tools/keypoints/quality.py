"""Figures that tell how good the keypoints of a clip are."""

from __future__ import annotations

import numpy as np

from workflow.conventions import BODY, FACE, LEFT_HAND, RIGHT_HAND

SEEN = 0.3


def measure(xy: np.ndarray, confidence: np.ndarray, size: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """Measure a clip.

    Args:
        xy: (T, 133, 2) px.
        confidence: (T, 133) in [0, 1].
        size: (T,) px, body size; anything where not valid.
        valid: (T,) bool.

    Returns:
        valid_share: share of frames with the subject.
        body_confidence: mean over valid frames and the 17 body joints.
        left_hand_share, right_hand_share, face_share: share of valid frames in which they are seen.
        jitter: median over body joints and frames of the second difference of the positions, in body sizes: how far a
            joint is from the middle between the frames before and after, smooth motion counting next to nothing.
        jump: 99th percentile of the same.
    """
    figures = {"valid_share": float(valid.mean()) if len(valid) else 0.0}
    if not valid.any():
        return figures
    figures["body_confidence"] = float(confidence[valid, BODY].mean())
    for name, part in (("left_hand", LEFT_HAND), ("right_hand", RIGHT_HAND), ("face", FACE)):
        figures[f"{name}_share"] = float((confidence[valid, part] > 0).any(1).mean())
    seen = (confidence[:, BODY] > SEEN) & valid[:, None]
    triple = seen[:-2] & seen[1:-1] & seen[2:]
    if triple.any():
        body = xy[:, BODY].astype(np.float64)
        away = np.linalg.norm(body[1:-1] - (body[:-2] + body[2:]) / 2, axis=-1) / size[1:-1, None].clip(1.0)
        figures["jitter"] = float(np.median(away[triple]))
        figures["jump"] = float(np.percentile(away[triple], 99))
    return figures
