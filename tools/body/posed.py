"""The artifact from SMPL parameters that another program or a network gives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from model_zoo.body.smpl import SmplModel
from workflow.conventions import COCO_BODY, SMPL_JOINTS
from workflow.errors import ToolError
from workflow.stages.body import Body
from workflow.stages.keypoints import Keypoints

SMPL_VERTICES = 6890
_MIN_CONFIDENCE = 0.3
_LIMBS = tuple(name for name in COCO_BODY if name in SMPL_JOINTS)  # joints that both skeletons have
_IN_SMPL, _IN_COCO = ([order.index(name) for name in _LIMBS] for order in (SMPL_JOINTS, COCO_BODY))


def smpl_only(model: SmplModel, label: str) -> SmplModel:
    """The model, if it is SMPL: the coefficients of another body's shape mean something else.

    Raises:
        ToolError: It is another body.
    """
    count = len(model.v_template)
    if count != SMPL_VERTICES:
        raise ToolError(
            f"{label}: gives coefficients of SMPL, but the body model has {count} vertices, not {SMPL_VERTICES}; "
            "set stages.body_model.backend to smpl"
        )
    return model


def posed(
    model: SmplModel,
    betas: np.ndarray,
    global_orient: np.ndarray,
    body_pose: np.ndarray,
    transl: np.ndarray,
    frames: np.ndarray,
    keypoints: Keypoints,
    intrinsics: np.ndarray,
    figures: Mapping[str, float],
) -> Body:
    """Build the artifact of a clip of T frames.

    Frames without parameters are not valid and repeat the nearest that has some. The reprojection error is that of
    shoulders, elbows, wrists, hips, knees and ankles as joints of the skeleton.

    Args:
        model: The body.
        betas: Shape (10,).
        global_orient: Shape (N, 3), axis-angle, rad; N frames with parameters, at least 1.
        body_pose: Shape (N, 69), axis-angle, rad.
        transl: Shape (N, 3), m, in the convention of smplx.
        frames: Shape (N,), int, which frames those are, rising.
        keypoints: Of the clip.
        intrinsics: Shape (3, 3), px.
        figures: Further figures.
    """
    count = len(keypoints.valid)
    nearest = np.abs(np.arange(count)[:, None] - frames[None, :]).argmin(1)
    orient, pose, place = global_orient[nearest], body_pose[nearest], transl[nearest]
    joints = model.poser(betas).joints(orient, pose, place)
    pixels = joints[:, _IN_SMPL] @ intrinsics.T
    pixels = pixels[..., :2] / np.maximum(pixels[..., 2:], 1e-3)
    valid = np.zeros(count, bool)
    valid[frames] = True
    seen = (keypoints.confidence[:, _IN_COCO] >= _MIN_CONFIDENCE) & keypoints.valid[:, None] & valid[:, None]
    error = np.linalg.norm(pixels - keypoints.xy[:, _IN_COCO], axis=-1)
    error = np.clip((error * seen).sum(1) / np.maximum(seen.sum(1), 1), 0, 1e6)
    told = {"valid_share": float(valid.mean()), **figures}
    if seen.any():
        told["reprojection_px"] = float(error[seen.any(1)].mean())
    return Body(
        betas=betas.astype(np.float32),
        global_orient=orient.astype(np.float32),
        body_pose=pose.astype(np.float32),
        transl=place.astype(np.float32),
        joints=joints.astype(np.float32),
        intrinsics=intrinsics.astype(np.float32),
        world_from_camera=np.tile(np.eye(4, dtype=np.float32), (count, 1, 1)),
        reprojection_error=error.astype(np.float32),
        valid=valid,
        quality=told,
    )
