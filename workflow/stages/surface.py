"""Surface: depth and normals of the subject in the crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow.artifact import Artifact, array, figures, raster
from workflow.raster import Raster
from workflow.stage import Backend, Params, Resources, Stage, device_faults
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
    version = 2

    depth: Raster = raster("time height width", "float16", unit="m", frame="camera", bounds=(0, 60_000))
    normal: Raster = raster("time height width xyz=3", "int8", unit="1/127", frame="camera")
    valid: np.ndarray = array("time", "bool")
    metric: bool
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class MeshParams(Params):
    """Rasterise the posed body."""


@dataclass(frozen=True)
class SapiensParams(Params):
    """Sapiens depth and normals; depth is relative. Licence of the weights: CC-BY-NC-4.0."""

    size: str = "1b"  # of the networks: 0.3b, 0.6b, 1b or 2b
    batch: int = 4  # pictures at a time; halved where the GPU's memory does not suffice
    half: bool = True  # 16-bit floats on a GPU
    device: str = "auto"  # auto, cpu or cuda
    normal_axes: str = "opengl"  # of the network: opengl (y up, z to the camera) or opencv (y down, z away from it)

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        faults = device_faults(self.device)
        if self.size not in ("0.3b", "0.6b", "1b", "2b"):
            faults.append(f"size: is {self.size!r}, expected 0.3b, 0.6b, 1b or 2b")
        if self.batch < 1:
            faults.append(f"batch: is {self.batch}, expected 1 or more")
        if self.normal_axes not in ("opengl", "opencv"):
            faults.append(f"normal_axes: is {self.normal_axes!r}, expected opengl or opencv")
        return faults


@dataclass(frozen=True)
class MidasParams(Params):
    """MiDaS 2.1 small; relative depth, no normals (they are 0)."""

    batch: int = 8  # pictures at a time; halved where the GPU's memory does not suffice
    device: str = "auto"  # auto, cpu or cuda

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        faults = device_faults(self.device)
        return faults if self.batch >= 1 else [*faults, f"batch: is {self.batch}, expected 1 or more"]


STAGE = Stage(
    "surface",
    "depth in metres and normals of the body",
    inputs=(Body, Crop, BODY_MODEL),
    outputs=(Surface,),
    backends={
        "mesh": Backend("body", MeshParams, Resources(threads=1, mem_mb=1_500), summary="posed body"),
        "sapiens": Backend(
            "networks",
            SapiensParams,
            Resources(threads=2, mem_mb=16_000, gpu_class="gpu-medium"),
            weights=("sapiens-depth-{size}", "sapiens-normal-{size}"),
            summary="Sapiens",
        ),
        "midas": Backend(
            "networks",
            MidasParams,
            Resources(threads=2, mem_mb=4_000, gpu_class="gpu-small"),
            weights=("midas-small",),
            summary="MiDaS 2.1 small",
        ),
    },
    default="mesh",
    truth=True,
)
