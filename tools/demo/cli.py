"""`python -m tools demo render FOLDER`: make the demo's videos."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.demo import render


def main(argv: list[str]) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools demo", description="videos for the demo")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("render", help="render short videos of a moving body, with a videos.csv beside them")
    made.add_argument("folder", type=Path, help="folder of the videos; made where it is missing")
    made.add_argument("--truth", type=Path, help="folder of what is exactly in them; default: `truth` beside FOLDER")
    options = parser.parse_args(argv)
    render.render(options.folder, options.truth or options.folder.absolute().parent / "truth")
    return 0
