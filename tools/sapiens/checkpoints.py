"""Which checkpoint file a command uses. Nothing is downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from workflow import zoo
from workflow.errors import ToolError

SEGMENTERS = {"fg-bg-1b": "sapiens-foreground-1b", "part-seg-1b": "sapiens-seg-1b", "no-bg-removal": ""}


def resolve(name: str, explicit: Path | None, directory: Path | None, option: str) -> Path:
    """Find a checkpoint: the file named, the lite layout below $SAPIENS_ROOT, a flat directory, the weights folder.

    Args:
        name: Entry of the manifest of weights.
        explicit: File named by the user.
        directory: Directory that may hold the file under its published name.
        option: Option by which a file can be named, for the message.

    Raises:
        ToolError: The file is nowhere; names it, and where it comes from.
    """
    if explicit is not None:
        if not explicit.is_file():
            raise ToolError(f"{option}: {explicit} is no file")
        return explicit
    entry = zoo.weight(name)
    file = Path(entry.file).name
    lite = zoo.lite_places(entry, os.environ)
    flat = [] if directory is None else [directory / name for name in zoo.published(entry)]
    tried = [*lite, *flat, *zoo.places(entry)]
    for path in tried:
        if path.is_file():
            return path
    places = "\n".join(f"    {path}" for path in dict.fromkeys(tried))
    raise ToolError(
        f"{entry.title}: {file} was not found; looked for\n{places}\n"
        f"  It is published at {entry.page} (licence {entry.licence}).\n"
        f"  python -m tools zoo fetch {name}, or name a file with {option}, or its folder with --checkpoint_dir"
    )
