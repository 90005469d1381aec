"""One self-contained HTML page per shard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools import progress
from tools.page.render import embedded, render
from tools.page.words import counted
from tools.report import facts, timeline
from tools.report.sheet import KINDS, contact_sheet
from workflow.shard_reader import Clip, RejectedClip, Shard
from workflow.stages.report import PageParams
from workflow.store import replacing

_TEMPLATE = Path(__file__).with_name("page.html.j2")


def run(params: PageParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Write the page. The same shard gives the same bytes; memory does not grow with the length of its clips.

    Args:
        params: Settings.
        inputs: `shard`: the store's root zarr.json.
        outputs: `page`: the HTML file.
    """
    path = inputs["shard"]
    assert isinstance(path, Path)
    shard = Shard(path)
    clips = [_clip(shard, clip, params) for clip in progress.bar(shard.clips, len(shard.clips), "report")]
    page = render(
        _TEMPLATE,
        name=shard.attributes["shard"],
        split=shard.attributes["split"],
        profile=shard.attributes["profile"],
        digest=shard.attributes["digest"],
        summary=_summary(shard),
        kinds=KINDS,
        clips=clips,
        rejected=_rejected(shard.rejected),
        provenance=facts.provenance(shard.attributes),
        posters=embedded({clip["id"]: clip["sheet"].poster for clip in clips}),
    )
    with replacing(outputs["page"]) as partial:
        partial.write_text(page, encoding="utf-8")


def _summary(shard: Shard) -> str:
    seconds = sum(clip.length / clip.fps for clip in shard.clips)
    told = f"{counted(len(shard.clips), 'clip')}, {counted(shard.length, 'frame')}, {seconds / 60:.1f} minutes"
    return told + (f", {len(shard.rejected)} rejected" if shard.rejected else "")


def _clip(shard: Shard, clip: Clip, params: PageParams) -> dict[str, Any]:
    """What the template needs of a clip."""
    sheet = contact_sheet(
        shard, clip, frames=params.frames, tile_px=params.tile_px, preview_frames=params.preview_frames
    )
    figures = facts.measured(clip.quality)
    return {
        "id": clip.id,
        "sheet": sheet,
        "figures": figures,
        "odd": [found for found in figures if found.odd],
        "facts": facts.source(shard, clip),
        "strips": timeline.strips(shard, clip, [moment.frame for moment in sheet.moments]),
        "seconds": f"{clip.length / clip.fps:.1f}",
        "length": clip.length,
    }


def _rejected(clips: tuple[RejectedClip, ...]) -> list[dict[str, str]]:
    found = []
    for clip in clips:
        about = clip.metadata
        span = f"frames {about['start']} to {about['end'] - 1}" if "start" in about and "end" in about else ""
        found.append({"id": clip.id, "stage": clip.stage, "reason": clip.reason, "span": span})
    return found
