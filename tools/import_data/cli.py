"""`python -m tools import instant-nvr ROOT ...`: recordings of others in place of the first stages.

Takes data roots of instant-nvr, recordings of ZJU-MoCap and output folders of EasyMocap. Writes frames, keypoints, body
and, where there are masks, parsing of a new shard; the stages after them run as ever.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from tools.import_data import data_root, easymocap
from tools.import_data.recording import Recording
from tools.import_data.register import place_body_model, register
from tools.nvr.settings import Settings
from workflow.catalog import SPLITS
from workflow.errors import ToolError

logger = logging.getLogger(__name__)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools import", description=__doc__)
    nvr = parser.add_subparsers(dest="format", required=True).add_parser(
        "instant-nvr", help="data root, or EasyMocap's output"
    )
    nvr.add_argument("roots", type=Path, nargs="+", metavar="ROOT")
    nvr.add_argument("--body-model", type=Path, help="SMPL-format file (.pkl or .npz) the recording was fitted with")
    nvr.add_argument("--directory", type=Path, default=Path(), help="working directory of the pipeline")
    nvr.add_argument("--split", choices=SPLITS, default="train")
    nvr.add_argument("--fps", type=float, help="frames per second of the source; 30 where the recording does not say")
    nvr.add_argument("--views", type=int, nargs="+", help="cameras; all if left out")
    nvr.add_argument("--start", type=int, default=0, help="first frame")
    nvr.add_argument("--frames", type=int, help="frames to take at most")
    nvr.add_argument("--interval", type=int, default=1, help="step between frames")
    return parser


def recordings(root: Path, settings: Settings) -> list[Recording]:
    """Recordings of a folder, whatever kind it is of.

    Raises:
        ToolError: There is nothing to import.
    """
    if not root.is_dir():
        raise ToolError(f"{root}: no such folder")
    read = data_root.read if data_root.is_data_root(root) else easymocap.read
    found = [recording for recording in read(root, settings) if recording.shots]
    if not found:
        raise ToolError(f"{root}: no frame among the chosen ones")
    return found


def main(argv: list[str]) -> int:
    """Run the command."""
    given = _parser().parse_args(argv)
    try:
        settings = Settings(
            begin_ith_frame=given.start, num_train_frame=given.frames, frame_interval=given.interval,
            views=tuple(given.views) if given.views else None,
        )  # fmt: skip
    except ValueError as error:
        raise ToolError(str(error)) from None
    found = [recording for root in given.roots for recording in recordings(root, settings)]
    body_model = place_body_model(given.directory, given.body_model)
    for recording in found:
        unknown = sum(shot.params is None for shot in recording.shots)
        logger.info(
            "import: %s: %d frames, %d without a body, %s masks", recording.name, len(recording.shots), unknown,
            "with" if recording.has_masks else "without",
        )  # fmt: skip
    for clip in register(found, given.directory, body_model, given.split, given.fps):
        logger.info("import: clip %s", clip)
    return 0
