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


STAGE = Stage(
    "keypoints",
    "find the subject and the 133 whole-body joints in every frame",
    inputs=(Frames,),
    outputs=(Keypoints,),
    backends={
        "mediapipe": Backend(
            "keypoints-mediapipe", MediapipeParams, Resources(threads=2, mem_mb=2_500), summary="MediaPipe 0.10"
        ),
    },
    default="mediapipe",
)
