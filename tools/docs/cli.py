"""`python -m tools docs`: write the generated files; `--check` only says which ones are out of step."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

from tools.docs import configuration, environments, pipeline
from workflow import layout

logger = logging.getLogger(__name__)


def generated() -> Iterator[tuple[Path, str]]:
    """Path and text of every generated file."""
    root = layout.repository
    yield root / "docs" / "pipeline.md", pipeline.page()
    yield root / "docs" / "configuration.md", configuration.page()
    yield root / "workflow" / "config.schema.json", configuration.schema()
    yield from environments.files(root / "envs")


def main(argv: list[str]) -> int:
    """Write or check the generated files; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a file is out of step")
    options = parser.parse_args(argv)
    stale = [(path, text) for path, text in generated() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        logger.info("%s %s", "out of step:" if options.check else "wrote", path.relative_to(layout.repository))
        if not options.check:
            path.write_text(text)
    return 1 if stale and options.check else 0
