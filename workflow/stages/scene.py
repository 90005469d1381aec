"""Scene: the picture without the human."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow.artifact import Artifact, array, figures, raster
from workflow.raster import Raster
from workflow.stage import Backend, Params, Resources, Stage, device_faults, outside
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing


@dataclass(frozen=True)
class Scene(Artifact):
    """Background in the crop's frame. Equal to the crop's `rgb` wherever `origin` is 0."""

    name = "scene"
    version = 2

    rgb: Raster = raster("time height width rgb=3", "uint8", frame="crop")
    origin: Raster = raster("time height width", "uint8", frame="crop", bounds=(0, 2))
    # 0 this frame's own pixel, 1 seen in another frame, 2 inpainted (conventions.SCENE_*)
    valid: np.ndarray = array("time", "bool")
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class TemporalParams(Params):
    """Pixels of other frames, camera motion compensated; patches of the picture for what no frame shows."""

    dilate_px: int = 8  # by which the human grows before it is removed, px at 512 (hair, soft shadow edge)
    samples: int = 24  # frames of the clip that are searched for the background
    inpaint_radius_px: int = 5  # of the diffusion that closes small holes where no frame shows the background

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        return outside(self, dilate_px=(0, 256), samples=(1, None), inpaint_radius_px=(1, 64))


@dataclass(frozen=True)
class LamaParams(Params):
    """As temporal, with LaMa painting what no frame shows; a place is painted once and shown again."""

    dilate_px: int = 8  # by which the human grows before it is removed, px at 512 (hair, soft shadow edge)
    samples: int = 24  # frames of the clip that are searched for the background
    device: str = "auto"  # auto, cpu or cuda

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        return [*outside(self, dilate_px=(0, 256), samples=(1, None)), *device_faults(self.device)]


STAGE = Stage(
    "scene",
    "remove the human: pixels of other frames first, then inpainting",
    inputs=(Frames, Parsing, Crop, Layers),
    outputs=(Scene,),
    backends={
        "temporal": Backend(
            "core", TemporalParams, Resources(threads=2, mem_mb=2_500), version=2, summary="temporal fill"
        ),
        "lama": Backend(
            "networks",
            LamaParams,
            Resources(threads=2, mem_mb=6_000, gpu_class="gpu-small"),
            weights=("big-lama",),
            version=2,
            summary="temporal fill, then LaMa",
        ),
    },
    default="temporal",
    truth=True,
)
