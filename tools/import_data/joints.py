"""Keypoints of a recording: from EasyMocap's annotations, or, where there are none, from the body itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from model_zoo.body.smpl import SmplModel
from tools.import_data.bodies import LIMBS_COCO, LIMBS_SMPL, Params
from tools.import_data.recording import Recording
from workflow.conventions import BODY25_FROM_COCO, BODY25_FROM_FEET, FACE, FEET, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND
from workflow.errors import ToolError
from workflow.stages.keypoints import Keypoints


def read_people(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """People of an annotation.

    Returns:
        Per person keypoints, shape (133, 3): x, y in px, confidence; and box, shape (4,), px.

    Raises:
        ToolError: The file is of another form.
    """
    try:
        content = json.loads(path.read_bytes())
        people = content["annots"] if isinstance(content, dict) else content
        return [(whole_body(person), np.array(person["bbox"][:4], np.float64)) for person in people]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ToolError(f"{path}: is not an annotation of EasyMocap ({error!r})") from None


def whole_body(person: dict[str, Any]) -> np.ndarray:
    """COCO-WholeBody of a person's BODY25, hands and face, shape (133, 3)."""
    out = np.zeros((NUM_KEYPOINTS, 3))
    joints = np.array(person["keypoints"], np.float64).reshape(-1, 3)
    out[: len(BODY25_FROM_COCO)] = joints[list(BODY25_FROM_COCO)]
    if len(joints) > max(BODY25_FROM_FEET):
        out[FEET] = joints[list(BODY25_FROM_FEET)]
    for key, place in (("face2d", FACE), ("handl2d", LEFT_HAND), ("handr2d", RIGHT_HAND)):
        if key in person:
            out[place] = np.array(person[key], np.float64).reshape(-1, 3)[: place.stop - place.start]
    return out


def artifact(recording: Recording, params: Params, model: SmplModel) -> Keypoints:
    """The artifact. Of several people the one is taken whose limbs are nearest to the body's.

    Quality figure `from_body` is the share of frames whose keypoints are the body's own joints, because there is no
    annotation: they are no measurement.
    """
    poser = model.poser(params.betas)
    joints = poser.joints(params.global_orient, params.body_pose, params.transl)[:, list(LIMBS_SMPL)]
    pixels = joints @ recording.camera.K.astype(np.float64).T
    pixels = pixels[..., :2] / np.maximum(pixels[..., 2:], 1e-6)
    count = len(recording.shots)
    found, boxes, valid, derived = np.zeros((count, NUM_KEYPOINTS, 3)), np.zeros((count, 4)), np.zeros(count, bool), 0
    for t, shot in enumerate(recording.shots):
        people = read_people(shot.annotation) if shot.annotation else []
        if people:
            apart = [_distance(person, pixels[t]) if params.valid[t] else 0.0 for person, _ in people]
            found[t], boxes[t] = people[int(np.argmin(apart))]
            valid[t] = True
        elif shot.annotation is None and params.valid[t]:
            found[t, list(LIMBS_COCO), :2] = pixels[t]
            found[t, list(LIMBS_COCO), 2] = 1
            points = poser.vertices(
                params.global_orient[t : t + 1], params.body_pose[t : t + 1], params.transl[t : t + 1]
            )[0]
            seen = points @ recording.camera.K.astype(np.float64).T
            seen = seen[:, :2] / np.maximum(seen[:, 2:], 1e-6)
            boxes[t] = np.concatenate([seen.min(0), seen.max(0)])
            valid[t], derived = True, derived + 1
    if recording.keypoints is not None:
        found = recording.keypoints.astype(np.float64)
        valid &= found[..., 2].any(1)
    return Keypoints(
        xy=found[..., :2].astype(np.float32),
        confidence=np.clip(found[..., 2], 0, 1).astype(np.float32),
        xyz=np.zeros((count, NUM_KEYPOINTS, 3), np.float32),
        xyz_valid=np.zeros((count, NUM_KEYPOINTS), bool),
        box=boxes.astype(np.float32),
        valid=valid,
        quality={"valid_share": float(valid.mean()), "from_body": derived / count},
    )


def _distance(person: np.ndarray, pixels: np.ndarray) -> float:
    limbs = person[list(LIMBS_COCO)]
    weight = limbs[:, 2] + 1e-6
    return float((np.linalg.norm(limbs[:, :2] - pixels, axis=1) * weight).sum() / weight.sum())
