"""Surface: depth and normals of the subject in the crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow.artifact import Artifact, array, figures, raster
from workflow.raster import Raster
from workflow.stage import Backend, Params, Resources, Stage
from workflow.stages.body import Body
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.crop import Crop


@dataclass(frozen=True)
class Surface(Artifact):
    """Depth along the camera's z axis (not along the ray) and unit normals; both 0 where there is no estimate.

    Normals are in the camera frame times 127; a surface that faces the camera has negative z. `metric` says whether
    depth is in metres or only ordered and scaled per clip (larger is always farther).
    """

    name = "surface"

    depth: Raster = raster("time height width", "float16", codec="npz", unit="m", frame="camera", bounds=(0, 60_000))
    normal: Raster = raster("time height width xyz=3", "int8", codec="npz", unit="1/127", frame="camera")
    valid: np.ndarray = array("time", "bool")
    metric: bool
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class MeshParams(Params):
    """Rasterise the posed body."""


STAGE = Stage(
    "surface",
    "depth in metres and normals of the body",
    inputs=(Body, Crop, BODY_MODEL),
    outputs=(Surface,),
    backends={"mesh": Backend("body", MeshParams, Resources(threads=2, mem_mb=1_500), summary="posed body")},
    default="mesh",
)
