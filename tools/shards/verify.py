"""Checks shards and their index against their checksums and against each other; finds every fault, not the first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tools.shards.shard_writer import digest_of
from workflow.errors import ContractError
from workflow.shard import CLIP, FRAME, LAYERS
from workflow.shard_array import ShardArray
from workflow.shard_reader import root_attributes

_BLOCK = 1 << 20


def shard_faults(store: Path) -> Iterator[str]:
    """Everything that is wrong with a shard.

    Args:
        store: The `.zarr` folder.
    """
    try:
        attributes = root_attributes(store / "zarr.json")
    except ContractError as error:
        yield str(error)
        return
    claimed = {key: value for key, value in attributes.items() if key != "digest"}
    if digest_of(claimed) != attributes.get("digest"):
        yield f"{store}/zarr.json: attributes were changed (digest differs); rerun the shards stage"
    listed: dict[str, list[Any]] = attributes["files"]
    present = {path.relative_to(store).as_posix() for path in store.rglob("*") if path.is_file()} - {"zarr.json"}
    for name in sorted(present - set(listed)):
        yield f"{store}/{name}: does not belong to the shard; delete it"
    damaged = False
    for name, (size, digest) in listed.items():
        fault = _file_fault(store / name, size, digest) if name in present else "is missing"
        if fault:
            damaged = True
            yield f"{store}/{name}: {fault}; rerun the shards stage"
    yield from _array_faults(store, attributes)
    if not damaged:
        yield from _table_faults(store, attributes)


def _file_fault(path: Path, size: int, digest: str) -> str:
    """What is wrong with a file; empty if nothing."""
    if path.stat().st_size != size:
        return f"has {path.stat().st_size} bytes, expected {size}"
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha.update(block)
    return "" if sha.hexdigest() == digest else "is damaged (SHA-256 differs)"


def _array_faults(store: Path, attributes: dict[str, Any]) -> Iterator[str]:
    """Arrays that do not open or have the wrong length; chunk by chunk, what of them is damaged and whose it is."""
    clips = attributes["clips"]
    names = {name.removesuffix("/zarr.json") for name in attributes["files"] if name.endswith("/zarr.json")}
    for name, layer in LAYERS.items():
        if name not in names:
            continue
        try:
            array = ShardArray(store / name)
        except ContractError as error:
            yield str(error)
            continue
        expected = {FRAME: attributes["frames"], CLIP: len(clips)}.get(layer.over)
        if expected is not None:
            expected += layer.dimensions[0].endswith("_end")
            if len(array) != expected:
                yield f"{store}/{name}: has {len(array)} items, expected {expected}; rerun the shards stage"
        for low, high, fault in array.faults():
            whose = ""
            if layer.over == FRAME:
                hit = [clip["id"] for clip in clips if clip["start"] < high and low < clip["start"] + clip["length"]]
                whose = f" (frames {low} to {high} of the shard; clips {', '.join(hit)})"
            yield f"{fault}{whose}"


def _table_faults(store: Path, attributes: dict[str, Any]) -> Iterator[str]:
    """Clips that do not lie end to end."""
    end = 0
    for clip in attributes["clips"]:
        if clip["start"] != end:
            yield f"{store}: clip {clip['id']} begins at frame {clip['start']}, expected {end}"
        end = clip["start"] + clip["length"]
    if end != attributes["frames"]:
        yield f"{store}: clips end at frame {end}, expected {attributes['frames']}"
    starts = ShardArray(store / "clip_start")
    if starts.read(0, len(starts)).tolist() != [clip["start"] for clip in attributes["clips"]]:
        yield f"{store}: clip_start differs from the clips in the attributes"


def index_faults(index: Path, stores: list[Path]) -> Iterator[str]:
    """Where an index and shards disagree.

    Args:
        index: The Parquet file.
        stores: `.zarr` folders of all shards beside it.
    """
    try:
        rows = pq.read_table(index).to_pylist()
    except (OSError, ValueError) as error:
        yield f"{index}: cannot be read ({error}); rerun the index stage"
        return
    indexed = {row["id"]: row for row in rows if row["status"] == "stored"}
    withdrawn = {row["id"] for row in rows if row["status"] == "withdrawn"}
    seen = set()
    for store in stores:
        try:
            attributes = json.loads((store / "zarr.json").read_bytes())["attributes"]
            facts = {clip["id"]: clip for clip in attributes["clips"]}
            digest = attributes["digest"]
        except (OSError, ValueError, KeyError):
            continue  # told by shard_faults
        seen.add((store.parent.name, store.stem))
        for name, clip in facts.items():
            row = indexed.get(name)
            if name in withdrawn:
                yield f"{store}: holds clip {name}, which was withdrawn; run snakemake, or delete the store"
                continue
            if row is None:
                yield f"{index}: clip {name} of {store} is not in it; rerun the index stage"
                continue
            for column, stored in (
                ("split", store.parent.name), ("shard", store.stem), ("start", clip["start"]),
                ("length", clip["length"]),
                ("clip_digest", clip["digest"]), ("shard_digest", digest),
            ):  # fmt: skip
                if row[column] != stored:
                    yield f"{index}: {name}: {column} is {row[column]}, but {stored} in {store}; rerun the index stage"
        for name, row in indexed.items():
            if (row["split"], row["shard"]) == (store.parent.name, store.stem) and name not in facts:
                yield f"{index}: clip {name} is not in {store}; rerun the index stage"
    for name, row in indexed.items():
        if (row["split"], row["shard"]) not in seen:
            yield f"{index}: clip {name}: shard {row['split']}/{row['shard']} is not there; rerun the shards stage"
