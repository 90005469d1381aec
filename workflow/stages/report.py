"""Report: what a curator opens."""

from __future__ import annotations

from dataclasses import dataclass

from workflow.stage import Backend, File, Params, Resources, Stage
from workflow.stages.shards import EVERY_SHARD, INDEX, SHARD

PAGE = File("page", "reports/{split}/{shard}.html")
EVERY_PAGE = File("pages", PAGE.path, each=True)
OVERVIEW = File("overview", "reports/index.html")


@dataclass(frozen=True)
class PageParams(Params):
    """One self-contained page per shard."""

    frames: int = 6  # moments shown of every clip
    tile_px: int = 192  # height of a picture in the contact sheet


@dataclass(frozen=True)
class OverviewParams(Params):
    """One self-contained page over all shards."""


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
