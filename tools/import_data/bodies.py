"""Body parameters in EasyMocap's convention as an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np

from model_zoo.body.skeleton import NUM_BETAS
from model_zoo.body.smpl import Poser, SmplModel
from tools.import_data.recording import Recording
from workflow.errors import ToolError
from workflow.stages.body import Body

# COCO joints that lie near a joint of SMPL: shoulders, elbows, wrists, hips, knees, ankles, left and right.
LIMBS_COCO = (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
LIMBS_SMPL = (16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8)
SAME_BODY_m = 0.02  # vertices may differ this much: EasyMocap rounds its parameters to three decimals


class Params(NamedTuple):
    """Parameters of a clip in SMPL's convention, camera frame, float64; zero where `valid` is false."""

    betas: np.ndarray  # (10,)
    global_orient: np.ndarray  # (T, 3)
    body_pose: np.ndarray  # (T, 69)
    transl: np.ndarray  # (T, 3)
    valid: np.ndarray  # (T,)
    shape_spread: float  # largest change of a shape coefficient over the clip


def convert(recording: Recording, model: SmplModel) -> Params:
    """From EasyMocap's world to the camera, and from a turn about the origin to one about the pelvis.

    X = R(Rh) LBS([p0, poses]) + Th, where p0, the first joint's own rotation, is zero in the original's files.

    Raises:
        ToolError: Parameters are of another form, or nothing is known of any frame.
    """
    known = [shot.params is not None for shot in recording.shots]
    if not any(known):
        raise ToolError(f"{recording.root}: no frame of {recording.name} has body parameters")
    shapes = np.stack([_shape(shot.params) for shot in recording.shots if shot.params is not None])
    betas = shapes.mean(0)
    pelvis = model.joints_rest(betas)[0]
    R, T = recording.camera.R.astype(np.float64), recording.camera.T.astype(np.float64).reshape(3)
    still = np.array_equal(R, np.eye(3))
    count = len(known)
    orient, pose, transl = np.zeros((count, 3)), np.zeros((count, 69)), np.zeros((count, 3))
    for t, shot in enumerate(recording.shots):
        if shot.params is None:
            continue
        rh, th, poses = (np.asarray(shot.params[key], np.float64).reshape(-1) for key in ("Rh", "Th", "poses"))
        if rh.shape != (3,) or th.shape != (3,) or poses.size not in (69, 72):
            raise ToolError(
                f"{recording.root}: frame {shot.number}: Rh, Th and poses of {rh.size}, {th.size} and {poses.size} "
                "numbers, expected 3, 3 and 69 or 72"
            )
        root = poses[:3] if poses.size == 72 else np.zeros(3)
        outer = R @ cv2.Rodrigues(rh)[0]
        # Files without a turn of their own keep their numbers to the bit.
        orient[t] = rh if still and not root.any() else cv2.Rodrigues(outer @ cv2.Rodrigues(root)[0])[0].reshape(3)
        transl[t] = outer @ pelvis + R @ th + T - pelvis
        pose[t] = poses[-69:]
    return Params(betas, orient, pose, transl, np.array(known), float(np.ptp(shapes, axis=0).max()))


def _shape(params: Mapping[str, Any]) -> np.ndarray:
    shape = np.asarray(params["shapes"], np.float64).reshape(-1)[:NUM_BETAS]
    return np.concatenate([shape, np.zeros(NUM_BETAS - len(shape))])


def check_model(recording: Recording, params: Params, model: SmplModel, digest: str) -> None:
    """See that the body file is the one the parameters were fitted with.

    Raises:
        ToolError: It is not.
    """
    if recording.body_model:
        if recording.body_model != digest:
            raise ToolError(
                f"{recording.root}: was made with another body model (SHA-256 {recording.body_model[:12]}, given one "
                f"{digest[:12]}); name the right one with --body-model"
            )
        return
    t = next((t for t, shot in enumerate(recording.shots) if shot.vertices and params.valid[t]), None)
    if t is None:
        return
    stored = np.load(recording.shots[t].vertices, allow_pickle=False)
    R, T = recording.camera.R.astype(np.float64), recording.camera.T.astype(np.float64).reshape(3)
    posed = _posed(model.poser(params.betas), params, t)
    if stored.shape != posed.shape:
        raise ToolError(
            f"{recording.shots[t].vertices}: {len(stored)} vertices, the body model has {len(posed)}; use --body-model"
        )
    distance = float(np.linalg.norm(stored @ R.T + T - posed, axis=1).max())
    if distance > SAME_BODY_m:
        raise ToolError(
            f"{recording.shots[t].vertices}: lies up to {1e3 * distance:.0f} mm from the body model posed by the "
            "parameters, so it was made with another one; name the right one with --body-model"
        )


def _posed(poser: Poser, params: Params, t: int) -> np.ndarray:
    one = slice(t, t + 1)
    return poser.vertices(params.global_orient[one], params.body_pose[one], params.transl[one])[0]


def artifact(recording: Recording, params: Params, model: SmplModel, keypoints: np.ndarray, seen: np.ndarray) -> Body:
    """The artifact.

    Args:
        recording: Where the parameters come from.
        params: From `convert`.
        model: The body.
        keypoints: Shape (T, 133, 3): x, y in px, confidence; only for the reprojection error.
        seen: Shape (T,), bool: frames in which the keypoints mean something.
    """
    joints = model.poser(params.betas).joints(params.global_orient, params.body_pose, params.transl)
    camera = recording.camera
    K = camera.K.astype(np.float64)
    pixels = joints[:, list(LIMBS_SMPL)] @ K.T
    pixels = pixels[..., :2] / np.maximum(pixels[..., 2:], 1e-6)
    limbs = keypoints[:, list(LIMBS_COCO)]
    counted = (limbs[..., 2] > 0.3) & (params.valid & seen)[:, None]
    distance = np.linalg.norm(pixels - limbs[..., :2], axis=-1)
    error = (distance * counted).sum(1) / np.maximum(counted.sum(1), 1)
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = camera.R.T
    world_from_camera[:3, 3] = -camera.R.T @ camera.T.reshape(3)
    frames = len(recording.shots)
    return Body(
        betas=params.betas.astype(np.float32),
        global_orient=params.global_orient.astype(np.float32),
        body_pose=params.body_pose.astype(np.float32),
        transl=params.transl.astype(np.float32),
        joints=np.where(params.valid[:, None, None], joints, 0).astype(np.float32),
        intrinsics=K.astype(np.float32),
        world_from_camera=np.tile(world_from_camera.astype(np.float32), (frames, 1, 1)),
        reprojection_error=np.clip(error, 0, 1e6).astype(np.float32),
        valid=params.valid,
        quality={
            "valid_share": float(params.valid.mean()),
            "shape_spread": params.shape_spread,
            "reprojection_px": float(error[counted.any(1)].mean()) if counted.any() else 0.0,
        },
    )
