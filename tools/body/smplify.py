"""Fit of the body to keypoints and landmarks: closed-form first guess, then Levenberg-Marquardt over all frames.

The idea of fitting by reprojection, pose prior and shape prior is SMPLify's (Bogo et al., ECCV 2016). Only joints and
keypoints are posed, never the mesh. The camera stands still: `world_from_camera` is the identity in every frame.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model_zoo.body.landmarks import keypoint_regressor
from model_zoo.body.rotation import axis_angle_from_matrix
from model_zoo.body.smpl import SmplModel
from tools.body.chain import Carried, State
from tools.body.initialise import initial_state
from tools.body.objective import NUM_OBSERVED, Objective, Weights
from tools.body.observations import MIN_CONFIDENCE, MIN_JOINTS, OBSERVED, Observations, observe
from tools.body.solver import minimise
from workflow.conventions import BODY, SMPL_JOINTS
from workflow.errors import Rejected
from workflow.stages.body import Body, SmplifyParams
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

logger = logging.getLogger(__name__)

_MIN_FRAMES = 5  # with a person; of a clip that has as many
_MAX_ERROR = 0.25  # of the box height: a frame whose mean reprojection error is larger is not fitted
_MAX_CLIP_ERROR = 0.15  # of the box height: a clip whose typical error is larger is rejected
_DEPTH_m = (0.3, 200.0)
_TOLERANCE = 1e-4
_ITERATIONS = 40
_PERSON_m = 1.7  # to read `robust_px` as metres at the person
# Spread of accelerations relative to `Weights.acceleration`.
_LIVELY = {"elbow": 1.6, "wrist": 2.5, "hand": 2.5, "knee": 1.5, "ankle": 2.0, "foot": 2.0, "head": 1.0}
_TWISTED = tuple(f"{side}_{stem}" for side in ("left", "right") for stem in ("hip", "knee", "shoulder", "elbow"))
_OFF_BONE_m = 0.12  # distance of the points that make a twist about a bone felt by the smoothness


def load(params: SmplifyParams, files: Mapping[str, Path]) -> Callable[[Frames, Keypoints], Body]:
    """Return the fitter.

    Args:
        params: Settings.
        files: `body_model`: a body in SMPL's format, .npz.
    """
    torch.set_num_threads(1)  # sums in a fixed order
    model = SmplModel.load(files["body_model"])
    carried = carry(model)

    def run(frames: Frames, keypoints: Keypoints) -> Body:
        height, width = frames.rgb.frame_shape[:2]
        return fit(carried, keypoints, (height, width), float(frames.fps), params)

    return run


def carry(model: SmplModel) -> tuple[Carried, Tensor]:
    """Points the fit poses: the observed ones, the 24 joints, and points beside bones; with spreads of the latter two.

    Pose correctives are left out: they move keypoints by millimetres.
    """
    rows = keypoint_regressor(model)
    joints, by_shape = model.joints_template, model.joints_shapedirs
    rest = [*(rows @ model.v_template)]
    shape = [*np.einsum("kv,vcb->kcb", rows, model.shapedirs)]
    weights = [*(rows @ model.weights)]

    def attach(joint: int, follows: int, offset: tuple[float, float, float]) -> None:
        rest.append(joints[joint] + offset)
        shape.append(by_shape[joint])
        weights.append(np.eye(len(joints))[follows])

    # Bases of index, middle and little finger beside the hand joint, palm down, thumb forwards.
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hand, wrist = SMPL_JOINTS.index(f"{side}_hand"), SMPL_JOINTS.index(f"{side}_wrist")
        for offset in ((0.0, 0.0, 0.022), (0.005 * sign, 0.0, 0.0), (-0.015 * sign, -0.005, -0.042)):
            attach(hand, wrist, offset)
    assert len(rest) == NUM_OBSERVED
    spread = []
    for joint, name in enumerate(SMPL_JOINTS):
        attach(joint, joint, (0.0, 0.0, 0.0))
        spread.append(_lively(name))
    for name in _TWISTED:
        joint = SMPL_JOINTS.index(name)
        attach(joint, joint, (0.0, 0.0, _OFF_BONE_m))
        spread.append(_lively(name))
    arrays = (np.stack(rest), np.stack(shape), np.stack(weights), joints, by_shape)
    carried = Carried(*(torch.tensor(array, dtype=torch.float64) for array in arrays))
    return carried, torch.tensor(spread, dtype=torch.float64)


def _lively(joint: str) -> float:
    return _LIVELY.get(joint.rpartition("_")[2], 1.0)


def fit(
    carried_and_spread: tuple[Carried, Tensor],
    keypoints: Keypoints,
    size: tuple[int, int],
    fps: float,
    params: SmplifyParams,
    weights: Weights | None = None,
) -> Body:
    """Fit one clip.

    Args:
        carried_and_spread: From `carry`.
        keypoints: Of the clip.
        size: Height and width of the frames, px.
        fps: Frames per second.
        params: Settings.
        weights: Standard deviations of the terms; by default those of `params`.

    Raises:
        Rejected: Too few frames show the person, or the fit is absurd.
    """
    carried, spread = carried_and_spread
    height, width = size
    focal = params.focal_px or 1.2 * min(height, width)
    centre = ((width - 1) / 2, (height - 1) / 2)
    seen = observe(keypoints, focal, centre, fps)
    frames, usable = len(seen.usable_T), int(seen.usable_T.sum())
    if usable < min(_MIN_FRAMES, frames) or not usable:
        raise Rejected(
            f"{usable} of {frames} frames show at least {MIN_JOINTS} joints with confidence {MIN_CONFIDENCE} or more, "
            f"expected {max(1, min(_MIN_FRAMES, frames))} or more"
        )
    if weights is None:
        weights = Weights(pixel_scale_m=params.robust_px * _PERSON_m, pose=Weights.pose * params.prior)
        weights = smoothed(weights, params.smooth)
    state = initial_state(seen, carried.first(NUM_OBSERVED), fps)
    depth = state.transl_T3[:, 2].clamp(*_DEPTH_m)
    objective = Objective(carried, spread, seen, depth, fps, weights)
    state, steps = optimise(objective, state, params.iterations or _ITERATIONS)
    logger.info("fitted %d frames in %d steps", frames, steps)
    return _body(carried, keypoints, seen, state, fps)


def smoothed(weights: Weights, smooth: float) -> Weights:
    """Weights with the temporal terms `smooth` times as strong."""
    factor = max(smooth, 1e-6) ** -0.5
    return replace(
        weights,
        acceleration=weights.acceleration * factor,
        depth_acceleration=weights.depth_acceleration * factor,
    )


def optimise(objective: Objective, state: State, iterations: int) -> tuple[State, int]:
    """First with a forgiving robust loss, then with the wanted one; returns the state and the number of steps."""

    def move(current: State, step_TN: Tensor, step_B: Tensor) -> State:
        return current.moved(step_TN, step_B)

    wide = objective.with_weights(
        pixel_scale_m=5 * objective.weights.pixel_scale_m, landmark_scale_m=3 * objective.weights.landmark_scale_m
    )
    state, _, first = minimise(state, wide, move, iterations=iterations // 2, tolerance=30 * _TOLERANCE)
    state, _, second = minimise(state, objective, move, iterations=iterations - first, tolerance=_TOLERANCE)
    return state, first + second


def _body(carried: Carried, keypoints: Keypoints, seen: Observations, state: State, fps: float) -> Body:
    """Artifact of a fitted state.

    Raises:
        Rejected: The fit is absurd.
    """
    points = carried.posed(state).points_TP3
    joints = points[:, NUM_OBSERVED : NUM_OBSERVED + len(SMPL_JOINTS)].numpy()
    observed = points[:, :NUM_OBSERVED]
    pixels = (observed[..., :2] / observed[..., 2:].clamp_min(1e-3) * seen.focal + seen.centre_2).numpy()
    confident = keypoints.confidence[:, list(OBSERVED[: BODY.stop])] >= MIN_CONFIDENCE
    confident &= seen.usable_T.numpy()[:, None]
    distance = np.linalg.norm(pixels - seen.xy_TP2.numpy(), axis=-1)[:, : BODY.stop]
    error = (distance * confident).sum(1) / np.maximum(confident.sum(1), 1)
    box_height = np.maximum(keypoints.box[:, 3] - keypoints.box[:, 1], 1.0).astype(np.float64)
    share = error / box_height
    usable = seen.usable_T.numpy()
    typical = float(np.median(share[usable]))
    depth = joints[usable, 0, 2]
    if typical > _MAX_CLIP_ERROR:
        raise Rejected(
            f"the body does not fit: typical reprojection error {typical:.2f} of the box height, "
            f"expected at most {_MAX_CLIP_ERROR}"
        )
    if depth.min() < _DEPTH_m[0] or depth.max() > _DEPTH_m[1]:
        raise Rejected(
            f"the body is {depth.min():.2f} to {depth.max():.2f} m away, expected {_DEPTH_m[0]} to {_DEPTH_m[1]} m"
        )
    valid = usable & (share <= _MAX_ERROR)
    vectors = axis_angle_from_matrix(state.rotations_TJ33).numpy().astype(np.float32)
    frames = len(vectors)
    intrinsics = np.array(
        [[seen.focal, 0, float(seen.centre_2[0])], [0, seen.focal, float(seen.centre_2[1])], [0, 0, 1]], np.float32
    )
    return Body(
        betas=state.betas_B.numpy().astype(np.float32),
        global_orient=np.ascontiguousarray(vectors[:, 0]),
        body_pose=np.ascontiguousarray(vectors[:, 1:].reshape(frames, 69)),
        transl=state.transl_T3.numpy().astype(np.float32),
        joints=joints.astype(np.float32),
        intrinsics=intrinsics,
        world_from_camera=np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1)),
        reprojection_error=np.clip(error, 0, 1e6).astype(np.float32),
        valid=valid,
        quality=_quality(joints, share, valid),
    )


def _quality(joints_TJ3: np.ndarray, share_T: np.ndarray, valid_T: np.ndarray) -> dict[str, float]:
    """Figures of the fit.

    `reprojection_share`: mean error of confident joints over box height. `acceleration_mm`, `jerk_mm`: mean of the
    second and third difference of joints, mm per frame^2 and frame^3. `foot_slide_mm`: mean motion per frame of the
    slower foot, which in standing and walking before a static camera is the planted one. `valid_share`: share of
    frames fitted.
    """

    def mean_difference(order: int) -> float:
        if len(joints_TJ3) <= order:
            return 0.0
        return float(1e3 * np.linalg.norm(np.diff(joints_TJ3, order, axis=0), axis=-1).mean())

    feet = joints_TJ3[:, [SMPL_JOINTS.index("left_foot"), SMPL_JOINTS.index("right_foot")]]
    slide = 0.0 if len(feet) < 2 else float(1e3 * np.linalg.norm(np.diff(feet, axis=0), axis=-1).min(1).mean())
    return {
        "reprojection_share": float(share_T[valid_T].mean()) if valid_T.any() else 1.0,
        "acceleration_mm": mean_difference(2),
        "jerk_mm": mean_difference(3),
        "foot_slide_mm": slide,
        "valid_share": float(valid_T.mean()),
    }
