"""Shards: the Zarr stores a trainer reads, and their index."""

from __future__ import annotations

from dataclasses import dataclass

from workflow.stage import Backend, File, Params, Resources, Stage
from workflow.stages.body import Body
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.canonical import Canonical
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import Scene
from workflow.stages.surface import Surface

CLIPS = File("clips", "work/{shard}/clips.json")
SHARD = File("shard", "shards/{split}/{shard}.zarr/zarr.json")
EVERY_SHARD = File("shards", SHARD.path, each=True)
CATALOG = File("catalog", "catalog/current.jsonl")
INDEX = File("index", "shards/index.parquet")


@dataclass(frozen=True)
class ZarrParams(Params):
    """Zarr v3 store."""

    profile: str = "lossless"  # or "jpeg": rgb and scene as JPEG 95 4:4:4, loss declared in the store
    chunk_frames: int = 4  # frames in a chunk
    depth_error_m: float = 0.001  # largest error of stored depth where it is metric
    min_valid_share: float = 0.5  # clips in which fewer frames are valid in all layers are rejected

    def faults(self) -> list[str]:
        """Values that cannot work."""
        checks = (
            (self.profile in ("lossless", "jpeg"), f"profile: is {self.profile!r}, expected lossless or jpeg"),
            (self.chunk_frames >= 1, f"chunk_frames: is {self.chunk_frames}, expected at least 1"),
            (
                0 < self.depth_error_m <= 1,
                f"depth_error_m: is {self.depth_error_m}, expected more than 0 and at most 1",
            ),
            (0 <= self.min_valid_share <= 1, f"min_valid_share: is {self.min_valid_share}, expected 0 to 1"),
        )
        return [fault for fine, fault in checks if not fine]


@dataclass(frozen=True)
class ParquetParams(Params):
    """One row per clip."""


STAGE = Stage(
    "shards",
    "gather all layers of a shard in one Zarr store",
    inputs=(CLIPS, Frames, Keypoints, Body, Parsing, Crop, Canonical, Surface, Layers, Scene, BODY_MODEL),
    outputs=(SHARD,),
    backends={"zarr": Backend("dataset", ZarrParams, Resources(threads=2, mem_mb=2_500), version=3, summary="Zarr v3")},
    default="zarr",
)

INDEX_STAGE = Stage(
    "index",
    "one row per clip: where it lies, what it is, how good it is",
    inputs=(CATALOG, EVERY_SHARD),
    outputs=(INDEX,),
    backends={"parquet": Backend("dataset", ParquetParams, Resources(mem_mb=1_500), summary="PyArrow")},
    default="parquet",
)
