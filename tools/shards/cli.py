"""`python -m tools shards verify [PATH...]`: are the shards whole, and does the index agree with them?"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from tools import progress
from tools.shards.verify import index_faults, shard_faults
from workflow.errors import ToolError
from workflow.stages.shards import INDEX

logger = logging.getLogger(__name__)


def _found(path: Path) -> tuple[list[Path], list[Path]]:
    """Stores and indices that a path on the command line means.

    Raises:
        ToolError: None.
    """
    if path.name == "zarr.json":
        path = path.parent
    if path.suffix == ".parquet":
        return [], [path]
    if path.suffix == ".zarr":
        return [path], []
    stores = sorted(path.glob("**/*.zarr"))
    indices = sorted(path.glob("**/index.parquet"))
    if not stores and not indices:
        raise ToolError(
            f"{path}: no shard and no index here; name a .zarr folder, an index.parquet or a folder of them"
        )
    return stores, indices


def main(argv: list[str]) -> int:
    """Run the command; returns 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools shards", description=__doc__)
    verify = parser.add_subparsers(dest="command", required=True).add_parser("verify", help="check all checksums")
    verify.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="shards, index or folders; shards/ if none")
    options = parser.parse_args(argv)
    stores: list[Path] = []
    indices: list[Path] = []
    for path in options.paths or [Path(INDEX.path).parent]:
        if not path.exists():
            raise ToolError(
                f"{path}: no such file or folder here ({Path.cwd()}); name the shards, or go where they are"
            )
        more_stores, more_indices = _found(path)
        stores += more_stores
        indices += more_indices
    faults = 0
    for store in progress.bar(stores, len(stores), "shards verify"):
        for fault in shard_faults(store):
            faults += 1
            logger.error("%s", fault)
    for index in indices:
        for fault in index_faults(index, sorted(index.parent.glob("*/*.zarr"))):
            faults += 1
            logger.error("%s", fault)
    logger.info("%d shards and %d indices verified, %d faults", len(stores), len(indices), faults)
    return 1 if faults else 0
