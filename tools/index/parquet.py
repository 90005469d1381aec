"""The dataset index as one Parquet file: a row for every clip the catalog ever knew."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflow import catalog
from workflow.rendered import ESTIMATED, TRUTH
from workflow.shard_reader import root_attributes
from workflow.stages.shards import ParquetParams
from workflow.store import replacing

STORED, PENDING = "stored", "pending"
QUALITY_PREFIX = "quality."
VERSION = 1

_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("status", pa.string()),  # stored, rejected, withdrawn, or pending: not in its shard yet
        ("stage", pa.string()),  # that rejected it; empty where stored
        ("reason", pa.string()),
        ("shard", pa.string()),
        ("split", pa.string()),
        ("start", pa.int64()),  # first frame in the shard; null where not stored, as all up to shard_digest
        ("length", pa.int64()),
        ("height", pa.int64()),  # px, of the crop
        ("width", pa.int64()),
        ("metric_depth", pa.bool_()),
        ("clip_digest", pa.string()),
        ("shard_digest", pa.string()),
        ("fps", pa.float64()),
        ("source_start", pa.int64()),  # frames in the source
        ("source_end", pa.int64()),
        ("source_height", pa.int64()),  # px, upright
        ("source_width", pa.int64()),
        ("rotation", pa.float64()),  # degrees
        ("shot", pa.int64()),
        ("person", pa.int64()),  # 0 is the most prominent
        ("video", pa.string()),
        ("paths", pa.list_(pa.string())),
        ("video_sha256", pa.string()),
        ("source", pa.string()),  # real or synthetic
        ("annotations", pa.string()),  # estimated, or truth; null where not stored
        ("licence", pa.string()),
        ("consent", pa.string()),
        ("subject", pa.string()),
        ("notes", pa.string()),
    ]
)


def run(params: ParquetParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Write the index. The same catalog and shards give the same bytes.

    Args:
        params: Settings; there are none.
        inputs: `catalog`: the log; `shards`: the root zarr.json of every shard.
        outputs: `index`: the Parquet file.
    """
    log, paths = inputs["catalog"], inputs["shards"]
    assert isinstance(log, Path) and isinstance(paths, list)
    table = build(catalog.read(log), [root_attributes(path) for path in paths])
    with replacing(outputs["index"]) as partial:
        pq.write_table(table, partial, compression="zstd")


def build(known: catalog.Catalog, shards: list[dict[str, Any]]) -> pa.Table:
    """Index of a catalog.

    Args:
        known: State of the catalog.
        shards: Root attributes of every shard.
    """
    stored: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    rejected: dict[str, dict[str, Any]] = {}
    for attributes in shards:
        stored.update({clip["id"]: (attributes, clip) for clip in attributes["clips"]})
        rejected.update({clip["id"]: clip for clip in attributes["rejected"]})
    rows = [_row(known, clip_id, stored.get(clip_id), rejected.get(clip_id)) for clip_id in known.rows]
    cut = {row.clip.sha256 for row in known.rows.values()}
    rows += [_unread(video) for video in known.videos.values() if video.sha256 not in cut]
    rows.sort(key=lambda row: (row["shard"] == "", row["shard"], row["start"] is None, row["start"] or 0, row["id"]))
    figures = sorted({key for row in rows for key in row if key.startswith(QUALITY_PREFIX)})
    schema = _SCHEMA
    for name in figures:
        schema = schema.append(pa.field(name, pa.float64()))
    digests = sorted(f"{attributes['split']}/{attributes['shard']} {attributes['digest']}" for attributes in shards)
    schema = schema.with_metadata(
        {
            "format": "strata-index",
            "format_version": str(VERSION),
            "dataset_digest": hashlib.sha256("\n".join(digests).encode()).hexdigest(),
        }
    )
    return pa.Table.from_pylist(rows, schema=schema)


def _row(
    known: catalog.Catalog,
    clip_id: str,
    stored: tuple[dict[str, Any], dict[str, Any]] | None,
    rejected: dict[str, Any] | None,
) -> dict[str, Any]:
    """Row of a clip."""
    facts = known.columns(clip_id)
    row: dict[str, Any] = {
        "id": clip_id,
        "shard": facts["shard"],
        "split": facts["split"],
        "fps": float(Fraction(facts["fps"])),
        "source_start": facts["start"],
        "source_end": facts["end"],
        "source_height": facts["height"],
        "source_width": facts["width"],
        "rotation": facts["rotation"],
        "shot": facts["shot"],
        "person": facts["subject"],
        "video": facts["video"],
        "paths": facts["paths"],
        "video_sha256": facts["sha256"],
        "subject": facts["subject_name"],
        **{name: facts[name] for name in ("source", "licence", "consent", "notes")},
    }
    status, stage, reason = PENDING, "", "its shard is not written yet, or was written before the clip joined it"
    if facts["status"] != catalog.ACTIVE:
        status, stage, reason = facts["status"], "catalog", facts["reason"]
    elif rejected is not None:
        status, stage, reason = catalog.REJECTED, rejected["stage"], rejected["reason"]
    elif stored is not None:
        status, reason = STORED, ""
    row.update(status=status, stage=stage, reason=reason, start=None)
    if status == STORED:
        assert stored is not None
        attributes, clip = stored
        row.update({name: clip[name] for name in ("start", "length", "fps", "metric_depth")})
        row.update({name: attributes[name] for name in ("height", "width")})
        row.update(clip_digest=clip["digest"], shard_digest=attributes["digest"], annotations=_annotations(stored))
        for group, figures in clip["quality"].items():
            row.update({f"{QUALITY_PREFIX}{group}.{name}": value for name, value in figures.items()})
    return row


def _annotations(stored: tuple[dict[str, Any], dict[str, Any]]) -> str:
    """Whether a clip's layers are what is exactly in it, by what the stages say of how they were made."""
    attributes, clip = stored
    made = attributes.get("provenance", {}).values()
    return TRUTH if any(clip["id"] in record.get("truth", {}) for record in made) else ESTIMATED


def _unread(video: catalog.Video) -> dict[str, Any]:
    """Row of a video that gave no clip."""
    note = video.note
    return {
        "id": video.sha256[:12],
        "status": catalog.REJECTED,
        "stage": "catalog",
        "reason": video.reason or "holds no clip",
        "shard": "",
        "split": "",
        "start": None,
        "fps": float(Fraction(video.fps)),
        "source_height": video.height,
        "source_width": video.width,
        "rotation": video.rotation,
        "video": video.paths[0] if video.paths else "",
        "paths": list(video.paths),
        "video_sha256": video.sha256,
        "source": note.source,
        "licence": note.licence,
        "consent": note.consent,
        "subject": note.subject,
        "notes": note.notes,
    }
