"""One Zarr v3 store per shard, all layers in it; docs/shard-format.md describes it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools import progress, provenance
from tools.shards.publish import replacing_folder
from tools.shards.shard_writer import ShardWriter
from tools.shards.sources import Sources, check_valid_share
from workflow import catalog
from workflow.errors import Rejected
from workflow.stages.shards import STAGE, ZarrParams

logger = logging.getLogger(__name__)

_THREADS = STAGE.backends["zarr"].resources.threads


def run(params: ZarrParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Gather the artifacts of a shard in a store.

    The same inputs give the same bytes. Memory does not grow with the length of a clip or the number of clips.

    Args:
        params: Settings.
        inputs: Path of every artifact, of `clips` and of `body_model`.
        outputs: `shard`: the store's root zarr.json.
    """
    listed, model = inputs["clips"], inputs["body_model"]
    assert isinstance(listed, Path) and isinstance(model, Path)
    manifest = catalog.read_manifest(listed)
    rows = {row.id: dataclasses.asdict(row) for row in manifest.clips}
    with Sources(inputs) as sources, replacing_folder(outputs["shard"].parent) as root:
        sources.check_clips(tuple(rows))
        with ThreadPoolExecutor(_THREADS) as pool:
            writer = ShardWriter(root, params, pool)
            try:
                rejected = _write_clips(writer, sources, rows, params)
                body = provenance.file_digest(model)
                digests = {**sources.digests, "body_model": body, "clips": provenance.file_digest(listed)}
                made = provenance.record(
                    "shards", "zarr", STAGE.backends["zarr"].version, dataclasses.asdict(params), digests
                )
                writer.close(
                    {
                        "shard": outputs["shard"].parent.stem,
                        "split": outputs["shard"].parent.parent.name,
                        "rejected": rejected,
                        "body_model": body,
                        "provenance": {**sources.provenance, "shards": made},
                    }
                )
            finally:
                writer.abort()


def _write_clips(
    writer: ShardWriter, sources: Sources, rows: Mapping[str, dict[str, Any]], params: ZarrParams
) -> list[dict[str, Any]]:
    """Write every clip that no stage rejected; returns the others with stage and reason."""
    rejected = []
    for clip, metadata in rows.items():
        found = sources.rejection(clip)
        if found is None:
            gathered = sources.read(clip)
            try:
                check_valid_share(gathered, params.min_valid_share)
            except Rejected as verdict:
                logger.warning("shards: clip %s rejected: %s", clip, verdict.reason)
                rejected.append({"id": clip, "stage": "shards", "reason": verdict.reason, "metadata": metadata})
                continue
            frames = writer.add(clip, gathered, metadata)
            for _ in progress.bar(frames, len(gathered.crop.valid), f"shards {clip}"):
                pass
        else:
            rejected.append({"id": clip, "stage": found.stage, "reason": found.reason, "metadata": metadata})
    return rejected
