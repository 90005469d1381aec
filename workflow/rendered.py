"""Which clips of the catalog are rendered ones, whose truth lies beside them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from workflow import layout
from workflow.catalog import ACTIVE, Catalog
from workflow.errors import ToolError

ESTIMATED, TRUTH = "estimated", "truth"  # what the stages may write of a rendered clip
ANNOTATIONS = (ESTIMATED, TRUTH)
_FOLDER = "truth"  # below the rendered videos


def _names(known: Catalog, clip: str) -> list[PurePosixPath]:
    """Names of the video of a clip that lie among the rendered ones."""
    row = known.rows[clip]
    if row.clip.subject:
        return []  # the truth is about one person, the most prominent
    names = (PurePosixPath(name) for name in known.paths(row.clip.sha256))
    return [name for name in names if name.parent == PurePosixPath(layout.SYNTHETIC.as_posix())]


def shards(known: Catalog) -> set[str]:
    """Shards that hold an active clip with truth."""
    return {row.shard for row in known.rows.values() if row.status == ACTIVE and row.shard and _names(known, row.id)}


def truth_of(known: Catalog, clip: str, base: Path) -> Path | None:
    """File that says what is in a clip; None for footage.

    Raises:
        ToolError: The clip is rendered, but its file is gone.
    """
    names = _names(known, clip)
    if not names:
        return None
    for name in names:
        path = base / name.parent / _FOLDER / f"{name.stem}.npz"
        if path.exists() and (base / name).exists():
            return path
    raise ToolError(
        f"clip {clip}: {names[0].parent / _FOLDER / names[0].stem}.npz or its video is gone; remove "
        f"{layout.SYNTHETIC / layout.SYNTHETIC_SETTINGS} and {names[0]}, so that both are rendered again at the next "
        "start"
    )
