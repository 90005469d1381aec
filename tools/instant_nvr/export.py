"""Every clip of every shard as a data root, in a folder named after the clip."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from tools.export.instant_nvr import Options, export_all
from workflow.shard_reader import Shard
from workflow.stages.instant_nvr import ExportParams
from workflow.store import replacing


def run(params: ExportParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Write the data roots that are missing or out of date, then the list of all.

    Args:
        params: Settings.
        inputs: `shards`: root zarr.json of every shard; `body_model`: the body they were made with.
        outputs: `roots`: text file, one data root a line; the data roots lie beside it.
    """
    listed, body_model = inputs["shards"], inputs["body_model"]
    shards = [Shard(path) for path in (listed if isinstance(listed, list) else [listed])]
    clips = [(shard, clip.id) for shard in shards for clip in shard.clips]
    assert isinstance(body_model, Path)
    roots = export_all(clips, outputs["roots"].parent, Options(**dataclasses.asdict(params)), body_model)
    with replacing(outputs["roots"]) as partial:
        partial.write_text("".join(f"{root}\n" for root in roots))
