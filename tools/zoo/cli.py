"""`python -m tools zoo`: list, check, fetch and add weight files, and say what their licences are."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from tools.zoo import fetch
from workflow import layout, pins, zoo
from workflow.errors import ToolError
from workflow.zoo import Manifest, Weight

logger = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools zoo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=layout.WEIGHTS, help="weights folder")
    parser.add_argument("--manifest", type=Path, default=zoo.MANIFEST, help="list of weights")
    commands = parser.add_subparsers(dest="command", required=True)
    names = "names, groups, or backends such as surface/sapiens"
    for command, told in (
        ("list", "what there is, and what of it is here"),
        ("check", "compare files with their sums"),
    ):
        commands.add_parser(command, help=told).add_argument("names", nargs="*", help=f"{names}; all by default")
    get = commands.add_parser("fetch", help="download")
    get.add_argument("names", nargs="+", help=names)
    get.add_argument("--again", action="store_true", help="also what is there already")
    put = commands.add_parser("add", help="take over a file you downloaded yourself")
    put.add_argument("file", type=Path)
    put.add_argument("--as", dest="name", help="its name in the list, where the file's own name does not tell")
    put.add_argument("--mine", action="store_true", help="take it although it is not the published one, and pin it")
    commands.add_parser("licences", help="terms of every file").add_argument("names", nargs="*", help=names)
    options = parser.parse_args(argv)
    manifest = zoo.read(options.manifest)
    folder: Path = options.folder
    if options.command == "add":
        entry = _entry(manifest, options.name) if options.name else fetch.entry_for(manifest, options.file)
        logger.info("%s: %s", entry.name, fetch.add(entry, options.file, folder, options.mine))
        return 0
    chosen = fetch.select(manifest, options.names) if options.names else list(manifest.weights.values())
    if options.command == "list":
        return _told(_list(chosen, folder))
    if options.command == "licences":
        return _told(_licences(chosen))
    if options.command == "check":
        return _check(chosen, folder, everything=not options.names)
    return _fetch(manifest, chosen, folder, options.again)


def _entry(manifest: Manifest, name: str) -> Weight:
    if name not in manifest.weights:
        raise ToolError(f"{name!r} is not in the list; see `python -m tools zoo list`")
    return manifest.weights[name]


def _told(lines: list[str]) -> int:
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _rows(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _list(chosen: list[Weight], folder: Path) -> list[str]:
    rows: list[tuple[str, ...]] = [("name", "here", "needs", "for", "what")]
    for entry in chosen:
        path = zoo.locate(entry, folder=folder)
        here = "-" if path is None else f"{path.stat().st_size / 1e6:.0f} MB"
        needs = "by hand" if entry.form else "fetch"
        rows.append((entry.name, here, needs, ", ".join(entry.backends) or "-", entry.title))
    return _rows(rows)


def _licences(chosen: list[Weight]) -> list[str]:
    return _rows(
        [("name", "licence", "cite", "page"), *((e.name, e.licence, e.citation or "-", e.page) for e in chosen)]
    )


def _check(chosen: list[Weight], folder: Path, everything: bool) -> int:
    """Compare every file that is there; one asked for by name must be there."""
    rows: list[tuple[str, ...]] = [("name", "state", "file")]
    wrong = 0
    for entry in chosen:
        path = zoo.locate(entry, folder=folder)
        if path is None:
            if not everything:
                wrong += 1
                rows.append((entry.name, "not here", str(folder / entry.file)))
            continue
        known = bool(pins.expected(entry, folder))
        try:
            size, wanted = path.stat().st_size, zoo.size(entry, folder)
            if wanted not in (None, size) and not zoo.own(entry, path):
                raise ToolError(f"{entry.name}: {path} has {size} bytes, expected {wanted}")
            pins.verified(entry, path, folder)
            rows.append((entry.name, "as expected" if known else "recorded now", str(path)))
        except ToolError as error:
            wrong += 1
            logger.error("%s", error)
            rows.append((entry.name, "WRONG", str(path)))
    _told(_rows(rows))
    return 1 if wrong else 0


def _fetch(manifest: Manifest, chosen: list[Weight], folder: Path, again: bool) -> int:
    """Fetch one after the other; what fails does not keep the others from being fetched."""
    failed = 0
    for entry in chosen:
        try:
            path = fetch.fetch(manifest, entry, folder, again)
            logger.info("%s: %s, licence %s", entry.name, path, entry.licence)
        except ToolError as error:
            failed += 1
            logger.error("%s", error)
    return 1 if failed else 0
