"""`videos.csv`: what people say about the footage, in a table beside it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Container, Iterable
from pathlib import Path

from workflow import catalog
from workflow.errors import ConfigError

COLUMNS = ("file", "licence", "consent", "subject", "notes", "split", "source")
SOURCES = ("real", "synthetic")


def read(tables: Iterable[str], base: Path, known: Container[str]) -> dict[str, catalog.Note]:
    """Read tables.

    Args:
        tables: Names of `videos.csv` files as the catalog calls them.
        base: Working directory.
        known: Names of files catalogued before; a row about one of those may outlive the file.

    Returns:
        Note of every file that a table names, by the file's name as the catalog calls it.

    Raises:
        ConfigError: With every fault of every table.
    """
    notes: dict[str, catalog.Note] = {}
    faults: list[str] = []
    for table in sorted(tables):
        found, wrong = _read_one(table, base, known)
        notes.update(found)  # a table in a deeper folder sorts later and knows better
        faults.extend(wrong)
    if faults:
        raise ConfigError("\n".join(faults))
    return notes


def _read_one(table: str, base: Path, known: Container[str]) -> tuple[dict[str, catalog.Note], list[str]]:
    try:
        text = (base / table).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return {}, [f"{table}: is not UTF-8 (byte {error.start}); save it as CSV UTF-8"]
    head = text.split("\n", 1)[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","  # spreadsheets of some countries write semicolons
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = [(reader.line_num, row) for row in reader]
    if not rows:
        return {}, [f"{table}: is empty; the first line names the columns: {', '.join(COLUMNS)}"]
    header = [name.strip().lower() for name in rows[0][1]]
    faults = [
        f"{table}: unknown column {name!r}; known are {', '.join(COLUMNS)}" for name in header if name not in COLUMNS
    ]
    faults += [f"{table}: column {name!r} appears twice" for name in sorted(set(header)) if header.count(name) > 1]
    if "file" not in header:
        faults.append(f"{table}: column 'file' is missing; it names the video, relative to the table")
    if faults:
        return {}, faults
    folder = Path(table).parent
    notes: dict[str, catalog.Note] = {}
    lines: dict[str, int] = {}
    for line, row in rows[1:]:
        if not any(cell.strip() for cell in row):
            continue
        where = f"{table}, line {line}"
        if len(row) > len(header):
            faults.append(f"{where}: {len(row)} cells, {len(header)} columns; put quotes around text with commas")
            continue
        cells = {name: cell.strip() for name, cell in zip(header, row)}
        file = cells.pop("file", "")
        name = os.path.normpath(folder / file)
        if not file:
            faults.append(f"{where}: 'file' is empty; name the video")
        elif not (base / name).is_file() and name not in known:
            faults.append(f"{where}: {file!r} does not exist in {folder}; correct the name or remove the row")
        elif name in lines:
            faults.append(f"{where}: {file!r} is already on line {lines[name]}; keep one of them")
        lines.setdefault(name, line)
        for key, legal in (("split", catalog.SPLITS), ("source", SOURCES)):
            if cells.get(key) and cells[key] not in legal:
                faults.append(f"{where}: {key} is {cells[key]!r}; one of {', '.join(legal)}, or empty")
        cells["source"] = cells.get("source") or SOURCES[0]
        notes[name] = catalog.Note(**cells)
    return notes, faults
