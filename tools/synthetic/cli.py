"""`python -m tools synthetic render`: make the clips of the configuration's `synthetic:` section."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tools.synthetic import render
from workflow import layout


def main(argv: list[str]) -> int:
    """Run a command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools synthetic", description="rendered clips with truth")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("render", help="render what is missing and remove what is not asked for any more")
    made.add_argument(
        "--settings", type=json.loads, default={}, help="JSON object; see `synthetic` in docs/configuration.md"
    )
    made.add_argument("--into", type=Path, default=layout.SYNTHETIC, help="folder of the videos")
    options = parser.parse_args(argv)
    render.render(options.settings, options.into)
    return 0
