"""Frames: the pictures of every clip, upright, with time stamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from workflow.artifact import Artifact, array, figures, raster
from workflow.raster import Raster
from workflow.stage import Backend, File, Params, Resources, Stage, outside


@dataclass(frozen=True)
class Frames(Artifact):
    """RGB frames at source size (or `max_side`), rotation applied, standard dynamic range, with time stamps."""

    name = "frames"

    rgb: Raster = raster("time height width rgb=3", "uint8", codec="jpg", frame="image")
    timestamps: np.ndarray = array("time", "float64", unit="s")  # from the first frame of the clip
    fps: float  # frames per second, nominal
    subject: int = 0  # whom the clip is about: 0 is the most prominent person
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class FfmpegParams(Params):
    """Decode with FFmpeg."""

    fps: Optional[float] = None  # resample to this rate; null keeps every frame of the source
    max_side: Optional[int] = None  # px; larger pictures are scaled down in the decoder; null keeps the size
    jpeg_quality: int = 95  # of the frames kept between stages, 4:4:4; 1 to 100
    min_frames: int = 2  # shorter clips are rejected

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        faults = []
        if self.fps is not None and not 0 < self.fps <= 1000:
            faults.append(f"fps: is {self.fps}, expected more than 0 and at most 1000")
        if self.max_side is not None and self.max_side < 64:
            faults.append(f"max_side: is {self.max_side}, expected at least 64 px")
        if not 1 <= self.jpeg_quality <= 100:
            faults.append(f"jpeg_quality: is {self.jpeg_quality}, expected 1 to 100")
        return [*faults, *outside(self, min_frames=(1, None))]


STAGE = Stage(
    "frames",
    "decode every clip to upright RGB frames with time stamps",
    inputs=(File("clips", "work/{shard}/clips.json"),),
    outputs=(Frames,),
    backends={
        "ffmpeg": Backend("core", FfmpegParams, Resources(threads=2, mem_mb=1_500), summary="ffmpeg-python"),
    },
    default="ffmpeg",
)
