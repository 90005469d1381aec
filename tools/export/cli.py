"""`python -m tools export instant-nvr SHARD OUT`: a data root of instant-nvr for every person of a shard."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.export.body import NVR_VERTICES
from tools.export.instant_nvr import Options, export, export_all
from workflow.errors import ToolError
from workflow.shard_reader import Shard


def _count(text: str) -> int | None:
    return None if text == "all" else int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools export", description=__doc__)
    nvr = parser.add_subparsers(dest="format", required=True).add_parser("instant-nvr", help="data root of instant-nvr")
    nvr.add_argument("shard", type=Path, help="the .zarr folder, its zarr.json, or a folder of shards")
    nvr.add_argument("out", type=Path, help="data root; one folder per clip in it where there are several clips")
    nvr.add_argument("--clip", help="id of the clip to export; all if left out")
    nvr.add_argument("--start", type=int, default=0, help="first frame of the clip")
    nvr.add_argument("--frames", type=int, help="frames to export at most")
    nvr.add_argument("--interval", type=int, default=1, help="step between frames; applied here and nowhere else")
    nvr.add_argument(
        "--vertices", type=_count, default=NVR_VERTICES, metavar="N",
        help=f"vertices of the body, or all; {NVR_VERTICES} is what the original's code expects",
    )  # fmt: skip
    nvr.add_argument(
        "--pictures", choices=("auto", "frames", "crop"), default="auto", help="whole frames, or the crops put back"
    )
    nvr.add_argument("--body-model", type=Path, help="body file; work/body_model.npz beside the shards if left out")
    nvr.add_argument("--parent-config", default=Options.parent_config, help="configuration of the original to build on")
    return parser


def _shards(path: Path) -> list[Shard]:
    if path.name == "zarr.json" or path.suffix == ".zarr":
        return [Shard(path)]
    found = sorted(path.glob("**/*.zarr"))
    if not found:
        raise ToolError(f"{path}: no shard here; name a .zarr folder")
    return [Shard(each) for each in found]


def main(argv: list[str]) -> int:
    """Run the command."""
    given = _parser().parse_args(argv)
    if given.start < 0 or given.interval < 1 or (given.frames is not None and given.frames < 1):
        raise ToolError("--start must be at least 0, --interval and --frames at least 1")
    options = Options(given.start, given.frames, given.interval, given.vertices, given.pictures, given.parent_config)
    shards = _shards(given.shard)
    clips = [(shard, clip.id) for shard in shards for clip in shard.clips if given.clip in (None, clip.id)]
    if given.clip is not None and not clips:
        raise ToolError(f"{given.shard}: no clip {given.clip}")
    if not clips:
        reasons = "; ".join(f"{each.id}: {each.reason}" for shard in shards for each in shard.rejected)
        raise ToolError(f"{given.shard}: holds no clip ({reasons or 'it is empty'})")
    if len(clips) > 1:
        export_all(clips, given.out, options, given.body_model)
    else:
        export(*clips[0], given.out, options, given.body_model)
    return 0
