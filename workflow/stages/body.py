"""Body: the SMPL parameters of the subject and the camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from workflow.artifact import Artifact, array, figures
from workflow.stage import Backend, Params, Resources, Stage
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints


@dataclass(frozen=True)
class Body(Artifact):
    """SMPL parameters in the camera frame: vertices = LBS(betas, global_orient, body_pose) + transl.

    The global rotation is about the pelvis joint, as in SMPL; EasyMocap's Th is transl + J0 - R J0.
    """

    name = "body"

    betas: np.ndarray = array("shape=10", "float32")
    global_orient: np.ndarray = array("time axisangle=3", "float32", unit="rad", frame="camera")
    body_pose: np.ndarray = array("time pose=69", "float32", unit="rad", frame="parent joint")
    transl: np.ndarray = array("time xyz=3", "float32", unit="m", frame="camera")
    joints: np.ndarray = array("time smpl_joint=24 xyz=3", "float32", unit="m", frame="camera")
    intrinsics: np.ndarray = array("row=3 column=3", "float32", unit="px", frame="image")
    world_from_camera: np.ndarray = array("time row4=4 column4=4", "float32", unit="m", frame="world")
    reprojection_error: np.ndarray = array("time", "float32", unit="px", frame="image", bounds=(0, 1e6))
    valid: np.ndarray = array("time", "bool")
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class SmplifyParams(Params):
    """Fit by reprojection with priors, all frames of a clip at once."""

    focal_px: Optional[float] = None  # focal length at source size; null means 1.2 * min(height, width)
    iterations: int = 0  # 0 lets the solver stop by itself
    robust_px: float = 0.05  # scale of the Geman-McClure loss, as a share of a person's height
    smooth: float = 1.0  # weight of the temporal terms
    prior: float = 1.0  # weight of the pose prior and the joint limits


@dataclass(frozen=True)
class EasymocapFitParams(Params):
    """EasyMocap's monocular fit: its objective, stages and solver, in double precision."""

    focal_px: Optional[float] = None  # focal length at source size; null means 1.2 * min(height, width)
    iterations: int = 0  # outer steps of each stage at most; 0 means EasyMocap's 999
    regressor: str = ""  # J_regressor_body25.npy in model_zoo/weights; empty: our landmarks of the body
    gmm: str = ""  # pose prior gmm_08.pkl in model_zoo/weights; empty: no pose prior
    annotations: str = ""  # folder of EasyMocap's keypoints, <frame:06d>.json; empty: the keypoints stage's
    pare: str = ""  # folder of PARE's results, <frame:06d>.pkl, to begin from; empty: our own first guess


STAGE = Stage(
    "body",
    "fit the body model to the keypoints, all frames at once",
    inputs=(Frames, Keypoints, BODY_MODEL),
    outputs=(Body,),
    backends={
        "smplify": Backend("body", SmplifyParams, Resources(threads=1, mem_mb=2_000), summary="reprojection fit"),
        "easymocap_fit": Backend(
            "body", EasymocapFitParams, Resources(threads=1, mem_mb=2_500), summary="EasyMocap's objective and solver"
        ),
    },
    default="smplify",
)
