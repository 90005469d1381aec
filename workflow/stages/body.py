"""Body: the SMPL parameters of the subject and the camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional

import numpy as np

from workflow.artifact import Artifact, array, figures
from workflow.stage import Backend, Params, Resources, Stage, outside
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

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        return outside(
            self, focal_px=(1, None), iterations=(0, None), robust_px=(0.001, None), smooth=(0, None), prior=(0, None)
        )


@dataclass(frozen=True)
class EasymocapFitParams(Params):
    """EasyMocap's monocular fit: its objective, stages and solver, in double precision."""

    focal_px: Optional[float] = None  # focal length at source size; null means 1.2 * min(height, width)
    iterations: int = 0  # outer steps of each stage at most; 0 means EasyMocap's 999
    regressor: str = ""  # J_regressor_body25.npy in model_zoo/weights; empty: our landmarks of the body
    gmm: str = ""  # pose prior gmm_08.pkl in model_zoo/weights; empty: no pose prior
    annotations: str = ""  # folder of EasyMocap's keypoints, <frame:06d>.json; empty: the keypoints stage's
    pare: str = ""  # folder of PARE's results, <frame:06d>.pkl, to begin from; empty: our own first guess

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        return outside(self, focal_px=(1, None), iterations=(0, None))


@dataclass(frozen=True)
class EasymocapParams(Params):
    """EasyMocap's own `emc`, run in a checkout of it; needs SMPL as the body model."""

    checkout: str = "EasyMocap"  # folder of a clone of zju3dv/EasyMocap at commit d2a0a2d, with its models
    python: str = "python3"  # the Python that has EasyMocap's packages
    any_commit: bool = False  # run another commit of it, too
    max_dropped: int = 10  # frames in which its detector may see nobody; it is run again for each of them
    device: str = "auto"  # cuda, cpu, or auto: a GPU where one is visible

    smpl_only: ClassVar[bool] = True  # its numbers are those of SMPL and of no other body

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        faults = [] if self.max_dropped >= 0 else [f"max_dropped: is {self.max_dropped}, expected 0 or more"]
        return [*faults, *_device_faults(self.device)]


def _device_faults(device: str) -> list[str]:
    return [] if device in ("auto", "cuda", "cpu") else [f"device: is {device!r}, expected auto, cuda or cpu"]


@dataclass(frozen=True)
class PareParams(Params):
    """PARE on every frame, then our fit with its joints as landmarks."""

    refine: bool = True  # fit the body to keypoints and PARE's joints; otherwise PARE's own pose, which needs SMPL
    focal_px: Optional[float] = None  # focal length at source size; null means 1.2 * min(height, width)
    smooth: float = 1.0  # weight of the fit's temporal terms
    batch: int = 32  # pictures at a time; halved where memory does not suffice
    device: str = "auto"  # cuda, cpu, or auto: a GPU where one is visible

    @property
    def smpl_only(self) -> bool:
        """Whether the numbers are those of SMPL and of no other body."""
        return not self.refine

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        return [*outside(self, focal_px=(1, None), smooth=(0, None), batch=(1, None)), *_device_faults(self.device)]


STAGE = Stage(
    "body",
    "fit the body model to the keypoints, all frames at once",
    inputs=(Frames, Keypoints, BODY_MODEL),
    outputs=(Body,),
    backends={
        "smplify": Backend(
            "body", SmplifyParams, Resources(threads=1, mem_mb=2_000), version=3, summary="reprojection fit"
        ),
        "easymocap_fit": Backend(
            "body",
            EasymocapFitParams,
            Resources(threads=1, mem_mb=2_500),
            weights=("file:{regressor}", "file:{gmm}"),
            summary="EasyMocap's objective and solver",
        ),
        "easymocap": Backend(
            "body",
            EasymocapParams,
            Resources(threads=2, mem_mb=8_000, gpu_class="gpu-small"),
            weights=(
                "at:{checkout}/apps/mocap/run.py",
                "at:{checkout}/data/models/pose_hrnet_w48_384x288.pth",
                "at:{checkout}/models/pare/data/pare/checkpoints/pare_w_3dpw_checkpoint.ckpt",
                "at:{checkout}/models/pare/data/pare/checkpoints/pare_w_3dpw_config.yaml",
                "at:{checkout}/models/pare/data/smpl_mean_params.npz",
                "at:{checkout}/models/pare/data/body_models/smpl/SMPL_NEUTRAL.pkl",
                "at:{checkout}/models/J_regressor_body25.npy",
            ),
            summary="EasyMocap's emc, in a checkout of it",
        ),
        "pare": Backend(
            "body",
            PareParams,
            Resources(threads=2, mem_mb=5_000, gpu_class="gpu-small"),
            weights=("pare-checkpoint",),
            version=3,
            summary="PARE in our own module, refined by our fit",
        ),
    },
    default="smplify",
    truth=True,
)
