"""Parsing: the subject's matte and body-part labels; everybody else is background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow.artifact import Artifact, array, figures, raster
from workflow.raster import Raster
from workflow.stage import Backend, Params, Resources, Stage, device_faults, outside
from workflow.stages.body import Body
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints


@dataclass(frozen=True)
class Parsing(Artifact):
    """What of the picture is the subject. A pixel is the subject's where `matte` is at least 128."""

    name = "parsing"
    version = 2

    matte: Raster = raster("time height width", "uint8", unit="1/255", frame="image")
    labels: Raster = raster("time height width", "uint8", frame="image", bounds=(0, 19))
    valid: np.ndarray = array("time", "bool")
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class SilhouetteParams(Params):
    """MediaPipe's person segmentation, cleaned by the body's silhouette; labels from the posed body."""

    min_component_share: float = 0.02  # of the mask's area; smaller islands are dropped
    reach: float = 0.12  # how far from the body's silhouette the subject may extend, share of the box height

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        return outside(self, min_component_share=(0, 1), reach=(0, 1))


@dataclass(frozen=True)
class SchpParams(Params):
    """SCHP's global and local networks for CIHP, fused and cut to the subject."""

    instances: str = "keypoints"  # who is in the picture: keypoints (the subject's box) or detectron2 (everybody)
    detectron2_python: str = ""  # the Python that has detectron2
    detectron2_weights: str = ""  # its file in the weights folder: schp/detectron2_maskrcnn_cihp_finetune.pth
    margin: float = 0.0  # by which the subject's box grows before the parsing is cut to it, share of its longer side
    batch: int = 4  # pictures at a time; halved where memory does not suffice
    device: str = "auto"  # cuda, cpu, or auto: a GPU where one is visible

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        faults = []
        if self.instances not in ("keypoints", "detectron2"):
            faults.append(f"instances: is {self.instances!r}, expected keypoints or detectron2")
        for key in ("detectron2_python", "detectron2_weights"):
            if self.instances == "detectron2" and not getattr(self, key):
                faults.append(f"{key}: is empty, and instances is detectron2")
            if self.instances == "keypoints" and getattr(self, key):
                faults.append(f"{key}: has no effect while instances is keypoints")
        if not 0 <= self.margin <= 1:
            faults.append(f"margin: is {self.margin}, expected 0 to 1")
        if self.batch < 1:
            faults.append(f"batch: is {self.batch}, expected 1 or more")
        if self.device not in ("auto", "cuda", "cpu"):
            faults.append(f"device: is {self.device!r}, expected auto, cuda or cpu")
        return faults


@dataclass(frozen=True)
class SapiensParams(Params):
    """Sapiens' 28 parts, brought to SCHP's 20. Licence of the weights: CC-BY-NC-4.0."""

    size: str = "1b"  # of the network: 0.3b, 0.6b or 1b
    min_component_share: float = 0.02  # of the mask's area; smaller islands are dropped
    batch: int = 4  # pictures at a time; halved where the GPU's memory does not suffice
    half: bool = True  # 16-bit floats on a GPU
    device: str = "auto"  # cuda, cpu, or auto: a GPU where one is visible

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        faults = device_faults(self.device)
        if self.size not in ("0.3b", "0.6b", "1b"):
            faults.append(f"size: is {self.size!r}, expected 0.3b, 0.6b or 1b")
        if not 0 <= self.min_component_share <= 1:
            faults.append(f"min_component_share: is {self.min_component_share}, expected 0 to 1")
        if self.batch < 1:
            faults.append(f"batch: is {self.batch}, expected 1 or more")
        return faults


STAGE = Stage(
    "parsing",
    "cut out the subject and label its parts with the 20 classes of SCHP",
    inputs=(Frames, Keypoints, Body, BODY_MODEL),
    outputs=(Parsing,),
    backends={
        "silhouette": Backend(
            "keypoints-mediapipe",
            SilhouetteParams,
            Resources(threads=2, mem_mb=2_500),
            version=2,
            summary="MediaPipe and body",
        ),
        "schp": Backend(
            "networks",
            SchpParams,
            Resources(threads=2, mem_mb=6_000, gpu_class="gpu-small"),
            weights=("schp-cihp-global", "schp-cihp-local", "file:{detectron2_weights}"),
            summary="SCHP in our own modules; instances by detectron2 where it is at hand",
        ),
        "sapiens": Backend(
            "networks",
            SapiensParams,
            Resources(threads=2, mem_mb=12_000, gpu_class="gpu-medium"),
            weights=("sapiens-seg-{size}",),
            summary="Sapiens",
        ),
    },
    default="silhouette",
    truth=True,
)
