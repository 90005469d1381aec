"""Keypoints: where the joints of the subject are in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow.artifact import Artifact, array, figures
from workflow.stage import Backend, Params, Resources, Stage
from workflow.stages.frames import Frames


@dataclass(frozen=True)
class Keypoints(Artifact):
    """Whole-body joints of one person, COCO-WholeBody order; the same person in all frames."""

    name = "keypoints"

    xy: np.ndarray = array("time joint=133 xy=2", "float32", unit="px", frame="image")
    confidence: np.ndarray = array("time joint=133", "float32", bounds=(0, 1))
    xyz: np.ndarray = array("time joint=133 xyz=3", "float32", unit="m", frame="camera axes, origin mid hip")
    xyz_valid: np.ndarray = array("time joint=133", "bool")  # false where the backend gives no 3D estimate
    box: np.ndarray = array("time xyxy=4", "float32", unit="px", frame="image")
    valid: np.ndarray = array("time", "bool")  # false where the subject is not seen
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class MediapipeParams(Params):
    """MediaPipe's pose, hand and face models, which come with its wheel."""

    min_confidence: float = 0.5  # of a detected person, 0 to 1
    min_valid_share: float = 0.2  # clips in which the subject is seen less often are rejected

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        return [
            f"{key}: is {value}, expected 0 to 1"
            for key, value in (("min_confidence", self.min_confidence), ("min_valid_share", self.min_valid_share))
            if not 0 <= value <= 1
        ]


@dataclass(frozen=True)
class HrnetParams(Params):
    """YOLOv4 and HRNet-W48 as in EasyMocap's `yolo-hrnet`; body joints only."""

    min_confidence: float = 0.3  # of a detected person, 0 to 1
    max_overlap: float = 0.5  # intersection over union up to which two boxes are two people, 0 to 1
    min_valid_share: float = 0.2  # clips in which the subject is seen less often are rejected
    batch: int = 16  # pictures at a time; halved where memory does not suffice
    device: str = "auto"  # cuda, cpu, or auto: a GPU where one is visible

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        shares = ("min_confidence", "max_overlap", "min_valid_share")
        return [*_share_faults(self, *shares), *_network_faults(self.batch, self.device)]


@dataclass(frozen=True)
class EasymocapParams(Params):
    """EasyMocap's own `extract_keypoints --mode yolo-hrnet`, run in a checkout of it."""

    checkout: str = "EasyMocap"  # folder of a clone of zju3dv/EasyMocap at commit d2a0a2d, with its data/models
    python: str = "python3"  # the Python that has EasyMocap's packages
    any_commit: bool = False  # run another commit of it, too
    min_valid_share: float = 0.2  # clips in which the subject is seen less often are rejected
    device: str = "auto"  # cuda, cpu, or auto: a GPU where one is visible

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        return [*_share_faults(self, "min_valid_share"), *_network_faults(1, self.device)]


@dataclass(frozen=True)
class DwposeParams(Params):
    """YOLOX-L and DWPose's distilled whole-body network, as ONNX files."""

    min_detection: float = 0.3  # score of a detected person, 0 to 1
    min_confidence: float = 0.3  # mean of the body joints, below which a frame is not valid
    min_valid_share: float = 0.2  # clips in which the subject is seen less often are rejected
    batch: int = 8  # pictures at a time; halved where the GPU's memory does not suffice
    device: str = "auto"  # cuda, cpu, or auto: a GPU where onnxruntime was built for it

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        shares = ("min_detection", "min_confidence", "min_valid_share")
        return [*_share_faults(self, *shares), *_network_faults(self.batch, self.device)]


@dataclass(frozen=True)
class SapiensParams(Params):
    """Sapiens' 133 joints in boxes by YOLOX-L. Licence of the weights: CC-BY-NC-4.0."""

    size: str = "1b"  # of the network: 0.3b, 0.6b, 1b or 2b
    min_detection: float = 0.3  # score of a detected person, 0 to 1
    min_confidence: float = 0.3  # mean of the body joints, below which a frame is not valid
    min_valid_share: float = 0.2  # clips in which the subject is seen less often are rejected
    batch: int = 4  # pictures at a time; halved where the GPU's memory does not suffice
    half: bool = True  # 16-bit floats on a GPU
    device: str = "auto"  # cuda, cpu, or auto: a GPU where one is visible

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        shares = ("min_detection", "min_confidence", "min_valid_share")
        faults = [*_share_faults(self, *shares), *_network_faults(self.batch, self.device)]
        if self.size not in ("0.3b", "0.6b", "1b", "2b"):
            faults.append(f"size: is {self.size!r}, expected 0.3b, 0.6b, 1b or 2b")
        return faults


def _network_faults(batch: int, device: str) -> list[str]:
    faults = [] if batch >= 1 else [f"batch: is {batch}, expected 1 or more"]
    return (
        faults if device in ("auto", "cuda", "cpu") else [*faults, f"device: is {device!r}, expected auto, cuda or cpu"]
    )


def _share_faults(params: Params, *keys: str) -> list[str]:
    values = ((key, getattr(params, key)) for key in keys)
    return [f"{key}: is {value}, expected 0 to 1" for key, value in values if not 0 <= value <= 1]


STAGE = Stage(
    "keypoints",
    "find the subject and the 133 whole-body joints in every frame",
    inputs=(Frames,),
    outputs=(Keypoints,),
    backends={
        "mediapipe": Backend(
            "keypoints-mediapipe", MediapipeParams, Resources(threads=2, mem_mb=2_500), summary="MediaPipe 0.10"
        ),
        "hrnet": Backend(
            "networks",
            HrnetParams,
            Resources(threads=2, mem_mb=6_000, gpu_class="gpu-small"),
            weights=("yolov4", "hrnet-w48"),
            summary="YOLOv4 and HRNet-W48 in our own modules",
        ),
        "easymocap": Backend(
            "core",
            EasymocapParams,
            Resources(threads=2, mem_mb=6_000, gpu_class="gpu-small"),
            weights=(
                "at:{checkout}/apps/preprocess/extract_keypoints.py",
                "at:{checkout}/data/models/yolov4.weights",
                "at:{checkout}/data/models/pose_hrnet_w48_384x288.pth",
            ),
            summary="EasyMocap's yolo-hrnet, in a checkout of it",
        ),
        "dwpose": Backend(
            "onnx",
            DwposeParams,
            Resources(threads=2, mem_mb=4_000, gpu_class="gpu-small"),
            weights=("yolox-l", "dwpose-l-384"),
            summary="DWPose",
        ),
        "sapiens": Backend(
            "networks-onnx",
            SapiensParams,
            Resources(threads=2, mem_mb=12_000, gpu_class="gpu-medium"),
            weights=("sapiens-pose-133-{size}", "yolox-l"),
            summary="Sapiens and YOLOX",
        ),
    },
    default="mediapipe",
    truth=True,
)
