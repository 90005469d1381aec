"""The body by PARE, refined by our fit: PARE's joints stand in for the landmarks that the keypoints lack.

PARE (f848b2f) sees the subject's box as a square of 1.1 times its longer side; every frame on its own. Refined, its
posed joints are the fit's 3D landmarks, from which it begins and to which it stays near. Not refined, its pose is the
result, its mean shape that of the clip, and the translation the one that puts the joints onto the keypoints (EasyMocap
d2a0a2d, `InitTranslation`); that needs SMPL as the body model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model_zoo.body.rotation import axis_angle_from_matrix
from model_zoo.body.smpl import SmplModel
from model_zoo.hrnet.crop import crop_from_image, cut
from model_zoo.pare.network import BOX_MARGIN, Pare, PareConfig, betas, published_names, rotations
from tools.body import smplify
from tools.body.chain import Carried, State
from tools.body.observations import OBSERVED
from tools.body.posed import SMPL_VERTICES, posed, smpl_only
from tools.networks import Run, chunks, device_of, fill, runner
from workflow.conventions import BODY, COCO_BODY
from workflow.errors import Rejected
from workflow.stages.body import Body, PareParams, SmplifyParams
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

logger = logging.getLogger(__name__)

NETWORK = PareConfig()  # the published one
_LABEL = "body/pare"
# What a checkpoint of the training framework may hold beside its tensors.
_SETTINGS = ("yacs.config.CfgNode", "pytorch_lightning.utilities.parsing.AttributeDict")
_IGNORED = (
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping.EarlyStopping",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
)
_FOCAL_SHARE = 1.2  # of the picture's shorter side
_MIN_CONFIDENCE_SUM = 7.5  # of the 15 joints that place the body
_NUM_JOINTS = 24
_HIPS, _SHOULDERS = ([COCO_BODY.index(f"{side}_{name}") for side in ("left", "right")] for name in ("hip", "shoulder"))
# BODY25's first 15: nose, arms and legs, and the means of shoulders and hips.
_PLACING = [0, *range(5, BODY.stop)]


def load(params: PareParams, files: Mapping[str, Path]) -> Callable[[Frames, Keypoints], Body]:
    """Load the network and return the estimator.

    Args:
        params: Settings.
        files: `pare-checkpoint`: the published checkpoint; `body_model`: a body in SMPL's format, .npz.
    """
    torch.set_num_threads(1)  # sums in a fixed order
    network = Pare(NETWORK)
    fill(
        network, files["pare-checkpoint"], _LABEL, names=published_names, entry="state_dict", ignore=_IGNORED,
        mappings=_SETTINGS,
    )  # fmt: skip
    run = runner(network, device_of(params.device, _LABEL), params.batch, _LABEL)
    model = SmplModel.load(files["body_model"])
    if not params.refine:
        smpl_only(model, _LABEL)
    carried = smplify.carry(model)
    return lambda frames, keypoints: estimate(run, model, carried, frames, keypoints, params)


def estimate(
    run: Run,
    model: SmplModel,
    carried: tuple[Carried, Tensor],
    frames: Frames,
    keypoints: Keypoints,
    params: PareParams,
) -> Body:
    """Estimate the body of a clip.

    Args:
        run: PARE: crops (N, 3, 224, 224) to its rows.
        model: The body.
        carried: From `smplify.carry`.
        frames: The clip.
        keypoints: Where the subject and his joints are.
        params: Settings.

    Raises:
        Rejected: No frame shows the subject, or the fit fails.
    """
    used = np.flatnonzero(keypoints.valid)
    if not len(used):
        raise Rejected("no frame has keypoints")
    rows = torch.from_numpy(look(run, frames, keypoints, used, params.batch)).double()
    matrices = rotations(rows)
    # Coefficients of another body's shape mean something else: that one keeps its mean shape.
    shape = betas(rows).mean(0) if len(model.v_template) == SMPL_VERTICES else torch.zeros(10, dtype=torch.float64)
    observed = carried[0].first(len(OBSERVED))
    points = observed.posed(State(matrices, torch.zeros(len(used), 3, dtype=torch.float64), shape)).points_TP3.numpy()
    height, width = frames.rgb.frame_shape[:2]
    if params.refine:
        with_landmarks = landmarks(keypoints, points, used)
        settings = SmplifyParams(focal_px=params.focal_px, smooth=params.smooth)
        return smplify.fit(carried, with_landmarks, (height, width), float(frames.fps), settings)
    focal = params.focal_px or _FOCAL_SHARE * min(height, width)
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    transl, placed = place(points[:, BODY], keypoints.xy[used, BODY], keypoints.confidence[used, BODY], intrinsics)
    if not placed.any():
        raise Rejected(f"no frame has joints whose confidences add up to {_MIN_CONFIDENCE_SUM}")
    vectors = axis_angle_from_matrix(matrices).numpy()[placed]
    return posed(
        model, shape.numpy(), vectors[:, 0], vectors[:, 1:].reshape(-1, 3 * (_NUM_JOINTS - 1)), transl[placed],
        used[placed], keypoints, intrinsics, {},
    )  # fmt: skip


def look(run: Run, frames: Frames, keypoints: Keypoints, used: np.ndarray, batch: int) -> np.ndarray:
    """Rows (N, 157) of the network for the frames `used`."""
    size = NETWORK.backbone.input_size
    rows = []
    for chunk in chunks(used.tolist(), batch):
        crops = [cut(frames.rgb[t], crop_from_image(keypoints.box[t], size, BOX_MARGIN), size) for t in chunk]
        rows.append(run(np.stack(crops)))
    return np.concatenate(rows)


def landmarks(keypoints: Keypoints, points: np.ndarray, used: np.ndarray) -> Keypoints:
    """Keypoints whose 3D landmarks are the posed points.

    Args:
        keypoints: Of the clip.
        points: Shape (N, P, 3), m, camera axes, of the points that the fit observes.
        used: Shape (N,), which frames those are.
    """
    xyz, valid = np.zeros_like(keypoints.xyz), np.zeros_like(keypoints.xyz_valid)
    centred = points - points[:, _HIPS].mean(1, keepdims=True)
    at = np.ix_(used, OBSERVED)
    xyz[at], valid[at] = centred, True
    return replace(keypoints, xyz=xyz, xyz_valid=valid)


def place(
    points: np.ndarray, xy: np.ndarray, confidence: np.ndarray, intrinsics: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Translations that put points onto their pixels, by least squares weighted with the confidences.

    A point (x, y, z) seen at (u, v) gives `tx - a tz = a z - x` with `a = (u - cx) / fx`, likewise for y, both times
    the confidence.

    Args:
        points: Shape (N, 17, 3), m, camera axes: COCO's body joints.
        xy: Shape (N, 17, 2), px.
        confidence: Shape (N, 17).
        intrinsics: Shape (3, 3), px.

    Returns:
        Translations (N, 3), m, and in which frames there are enough joints, (N,) bool; zero elsewhere.
    """
    points, xy, confidence = (_placing(value) for value in (points, xy, confidence[..., None]))
    confidence = confidence[..., 0]
    rays = (xy - intrinsics[:2, 2]) / np.diag(intrinsics)[:2]
    count, joints = confidence.shape
    rows = np.zeros((count, joints, 2, 3))
    rows[:, :, 0, 0] = rows[:, :, 1, 1] = 1
    rows[..., 2] = -rays
    right = rays * points[..., 2:] - points[..., :2]
    rows *= confidence[..., None, None]
    right = right * confidence[..., None]
    transl = np.zeros((count, 3))
    placed = confidence.sum(1) >= _MIN_CONFIDENCE_SUM
    for t in np.flatnonzero(placed):
        transl[t] = np.linalg.lstsq(rows[t].reshape(-1, 3), right[t].reshape(-1), rcond=None)[0]
    return transl, placed & (transl[:, 2] > 0)


def _placing(values: np.ndarray) -> np.ndarray:
    """The 15 joints that place the body, (N, 15, C), from COCO's 17 (N, 17, C); a mean has the smaller confidence."""
    pairs = [values[:, pair] for pair in (_SHOULDERS, _HIPS)]
    means = [pair.min(1) if values.shape[-1] == 1 else pair.mean(1) for pair in pairs]
    return np.concatenate([values[:, _PLACING], np.stack(means, 1)], 1)
