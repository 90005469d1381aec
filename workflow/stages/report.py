"""Report: what a curator opens."""

from __future__ import annotations

from dataclasses import dataclass

from workflow.stage import Backend, File, Params, Resources, Stage, outside
from workflow.stages.shards import INDEX, SHARD

PAGE = File("page", "reports/{split}/{shard}.html")
EVERY_PAGE = File("pages", PAGE.path, each=True)
OVERVIEW = File("overview", "reports/index.html")


@dataclass(frozen=True)
class PageParams(Params):
    """One self-contained page per shard."""

    frames: int = 6  # moments shown of every clip
    tile_px: int = 192  # height of a picture in the contact sheet
    preview_frames: int = 12  # pictures in the moving preview of every clip; 0 leaves it out

    def faults(self) -> list[str]:
        """Values that cannot work."""
        found = [] if 1 <= self.frames <= 24 else [f"frames: is {self.frames}, expected 1 to 24"]
        if not 32 <= self.tile_px <= 1024:
            found.append(f"tile_px: is {self.tile_px}, expected 32 to 1024 px")
        if not 0 <= self.preview_frames <= 120:
            found.append(f"preview_frames: is {self.preview_frames}, expected 0 to 120")
        return found


@dataclass(frozen=True)
class OverviewParams(Params):
    """One self-contained page over all shards."""

    thumbnails: int = 500  # clips that get a picture in the table; further ones have a link only

    def faults(self) -> list[str]:
        """Values that cannot work."""
        return outside(self, thumbnails=(0, None))


STAGE = Stage(
    "report",
    "a page per shard: contact sheets with overlays of every layer, figures, rejections",
    inputs=(SHARD,),
    outputs=(PAGE,),
    backends={"html": Backend("dataset", PageParams, Resources(mem_mb=1_500), summary="HTML")},
    default="html",
)

OVERVIEW_STAGE = Stage(
    "overview",
    "the front page of the report",
    inputs=(INDEX, EVERY_PAGE),
    outputs=(OVERVIEW,),
    backends={"html": Backend("dataset", OverviewParams, Resources(mem_mb=1_500), summary="HTML")},
    default="html",
)
