"""instant-nvr: a data root for every person, from which reconstruction of moving humans trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from workflow.stage import Backend, File, Params, Resources, Stage
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.shards import EVERY_SHARD

ROOTS = File("roots", "instant_nvr/roots.txt")
_PICTURES = ("auto", "frames", "crop")


@dataclass(frozen=True)
class ExportParams(Params):
    """Data roots of instant-nvr, `instant_nvr/<clip>/`; see docs/instant-nvr.md."""

    start: int = 0  # first frame of each clip
    frames: Optional[int] = None  # frames of each clip at most; null exports all
    interval: int = 1  # step between frames; applied once, here
    vertices: Optional[int] = 6_890  # of the body, as the original's code expects; null keeps all
    pictures: str = "auto"  # frames: the stored frames; crop: the crops put back; auto: frames where there are any
    parent_config: str = "configs/inb/inb_377.yaml"  # configuration of the original to build on

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        checks = (
            (self.start >= 0, f"start: is {self.start}, expected at least 0"),
            (self.frames is None or self.frames >= 1, f"frames: is {self.frames}, expected at least 1"),
            (self.interval >= 1, f"interval: is {self.interval}, expected at least 1"),
            (self.vertices is None or self.vertices >= 100, f"vertices: is {self.vertices}, expected at least 100"),
            (self.pictures in _PICTURES, f"pictures: is {self.pictures!r}, expected {', '.join(_PICTURES)}"),
        )
        return [fault for fine, fault in checks if not fine]


STAGE = Stage(
    "instant_nvr",
    "a data root of instant-nvr for every clip; made when asked for",
    inputs=(EVERY_SHARD, BODY_MODEL),
    outputs=(ROOTS,),
    backends={"export": Backend("train", ExportParams, Resources(mem_mb=2_500), summary="images, masks, SMPL, grids")},
    default="export",
)
