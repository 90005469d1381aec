"""Layers: human, occluder and scene masks of the crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow.artifact import Artifact, array, figures, raster
from workflow.raster import Raster
from workflow.stage import Backend, Params, Resources, Stage, outside
from workflow.stages.crop import Crop
from workflow.stages.surface import Surface


@dataclass(frozen=True)
class Layers(Artifact):
    """Disjoint masks that cover the frame.

    The occluder layer holds what stands between camera and subject: where the body should be seen and is not.
    `matte` is the human's soft coverage: more than 0 in the soft edge outside `human`, less than 255 inside it.
    """

    name = "layers"
    version = 2

    human: Raster = raster("time height width", "bool", frame="crop")
    occluder: Raster = raster("time height width", "bool", frame="crop")
    scene: Raster = raster("time height width", "bool", frame="crop")
    matte: Raster = raster("time height width", "uint8", unit="1/255", frame="crop")
    valid: np.ndarray = array("time", "bool")
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class GeometryParams(Params):
    """Compare the subject's matte with where the body is."""

    min_area: float = 0.01  # share of the body's area below which a missing piece is fit error, not an occluder
    min_depth_px: float = 6.0  # how far inside the body's outline a missing piece must reach, px at 512

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        return outside(self, min_area=(0, 1), min_depth_px=(0, 512))


STAGE = Stage(
    "layers",
    "split every frame into human, occluder and scene",
    inputs=(Crop, Surface),
    outputs=(Layers,),
    backends={
        "geometry": Backend(
            "core", GeometryParams, Resources(threads=1, mem_mb=1_500), version=3, summary="body and matte"
        )
    },
    default="geometry",
    truth=True,
)
