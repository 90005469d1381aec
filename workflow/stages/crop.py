"""Crop: one smooth window around the subject, at the training size; every later raster lies in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow.artifact import Artifact, array, figures, raster
from workflow.raster import Raster
from workflow.stage import Backend, Params, Resources, Stage, outside
from workflow.stages.body import Body
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.parsing import Parsing


@dataclass(frozen=True)
class Crop(Artifact):
    """The subject's window. `crop_from_source` maps homogeneous source pixels to crop pixels."""

    name = "crop"
    version = 2

    rgb: Raster = raster("time height width rgb=3", "uint8", frame="crop")
    matte: Raster = raster("time height width", "uint8", unit="1/255", frame="crop")
    labels: Raster = raster("time height width", "uint8", frame="crop", bounds=(0, 19))
    inside: Raster = raster("time height width", "bool", frame="crop")  # false outside the source
    crop_from_source: np.ndarray = array("time row=3 column=3", "float64", unit="px", frame="crop")
    intrinsics: np.ndarray = array("time row=3 column=3", "float32", unit="px", frame="crop")
    keypoints: np.ndarray = array("time joint=133 xy=2", "float32", unit="px", frame="crop")
    confidence: np.ndarray = array("time joint=133", "float32", bounds=(0, 1))
    valid: np.ndarray = array("time", "bool")
    source_height: int
    source_width: int
    fps: float
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class WindowParams(Params):
    """Smooth box path."""

    height: int = 512  # px, of the training frames; set by the top-level key
    width: int = 512  # px
    margin: float = 0.15  # of the person's box, on each side; less where the source has no room for it
    smooth_s: float = 1.0  # time constant of the path
    fixed_scale: bool = True  # one zoom for the whole clip; false lets it follow the subject slowly

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        sizes = [
            f"{key}: is {value}, expected a multiple of 8 from 64 to 4096 px"
            for key, value in (("height", self.height), ("width", self.width))
            if value % 8 or not 64 <= value <= 4096
        ]
        return [*sizes, *outside(self, margin=(0, 2), smooth_s=(0, 60))]


STAGE = Stage(
    "crop",
    "follow the subject with one smooth window at the training size",
    inputs=(Frames, Keypoints, Body, Parsing),
    outputs=(Crop,),
    backends={
        "window": Backend(
            "core", WindowParams, Resources(threads=2, mem_mb=1_500), version=2, summary="smooth box path"
        )
    },
    default="window",
)
