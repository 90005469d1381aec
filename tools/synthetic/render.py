"""Brings a folder of rendered clips in step with its settings; the same settings give the same bytes."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_zoo.body import free
from model_zoo.body.smpl import SmplModel
from model_zoo.synthetic.casting import cast
from model_zoo.synthetic.everything import Surveyor
from model_zoo.synthetic.recipes import Recipe, Take
from model_zoo.synthetic.recordings import Recording
from model_zoo.synthetic.truth import TruthOfClip, pictures, pictures_of_everything
from tools import progress
from tools.demo import video
from tools.synthetic.truth_file import TruthFile
from workflow import layout
from workflow.errors import ToolError
from workflow.store import replacing

logger = logging.getLogger(__name__)

TABLE = "videos.csv"
TRUTH = "truth"
_KEYS = ("poses", "trans", "mocap_framerate", "mocap_frame_rate")
_COLUMNS = ("file", "licence", "consent", "subject", "notes", "split", "source")
_SHARES = ("street", "moving", "occluded", "company", "hard", "focal", "recorded")
_OWN = ("motions", "everything")  # settings that are not the casting's


def recordings(folder: str) -> dict[str, Recording]:
    """Recorded motions below a folder by their path in it; AMASS's files without motion (`shape.npz`) are left out.

    Raises:
        ToolError: A file is no recording, or there is none.
    """
    found = {}
    for path in sorted(Path(folder).expanduser().rglob("*.npz")):
        if path.name == "shape.npz":
            continue
        try:
            with np.load(path, allow_pickle=False) as arrays:
                known = {key: arrays[key] for key in arrays.files if key in _KEYS}
            found[path.relative_to(Path(folder).expanduser()).as_posix()] = Recording.from_arrays(known, str(path))
        except ValueError as error:
            raise ToolError(f"synthetic.motions: {path}: {error}") from None
    if not found:
        raise ToolError(f"synthetic.motions: there is no .npz in {folder}")
    return found


def recipes(settings: Mapping[str, Any], known: Mapping[str, Recording] | None = None) -> list[Recipe]:
    """What the settings ask for, with these recorded motions.

    Raises:
        ToolError: A setting is missing or unknown.
    """
    plain = {key: value for key, value in settings.items() if key not in (*_SHARES, *_OWN)}
    lengths = [(name, recording.seconds) for name, recording in (known or {}).items()]
    try:
        return cast(**plain, shares={key: settings[key] for key in _SHARES}, recordings=lengths)
    except (TypeError, KeyError) as error:
        raise ToolError(f"synthetic: --settings: {error}") from None


def name_of(recipe: Recipe, everything: bool = False) -> str:
    """Name of a clip's files: its own, and a digest of its recipe, so that another recipe is another file."""
    text = json.dumps(
        {"version": layout.SYNTHETIC_VERSION, "everything": everything, **dataclasses.asdict(recipe)}, sort_keys=True
    )
    return f"{recipe.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def render(settings: Mapping[str, Any], into: Path, model: SmplModel | None = None) -> None:
    """Render the clips that are not there, and remove rendered ones that are not asked for any more.

    Killed in between, it goes on where it was: a clip's video appears whole, after its truth.

    Args:
        settings: Fields of the configuration's `synthetic` section.
        into: Folder of the videos and of `videos.csv`; truth goes to `truth/<clip>.npz` below it.
        model: The body; the free one by default.
    """
    known = recordings(settings["motions"]) if settings.get("motions") else {}
    everything = bool(settings.get("everything"))
    wanted = {name_of(recipe, everything): recipe for recipe in recipes(settings, known)}
    missing = [name for name in wanted if not (into / f"{name}.mp4").exists()]
    if missing and model is None:
        logger.info("synthetic: deriving the free body from anny; about ten seconds, up to a minute the first time")
        model = SmplModel.from_arrays(free.derive())
    for name in progress.bar(missing, len(missing), "synthetic"):
        assert model is not None
        _film(wanted[name], name, into, model, known.get(wanted[name].recording), everything)
    for path in _rendered(into):
        if path.stem not in wanted:
            path.unlink()
            (into / TRUTH / f"{path.stem}.npz").unlink(missing_ok=True)
    with replacing(into / TABLE) as partial:
        partial.write_text(_table(wanted), encoding="utf-8")
    with replacing(into / layout.SYNTHETIC_SETTINGS) as partial:
        partial.write_text(
            json.dumps({"settings": dict(settings), "version": layout.SYNTHETIC_VERSION}, indent=1) + "\n"
        )


def _rendered(into: Path) -> Sequence[Path]:
    """Videos in the folder that this module wrote, by their names."""
    return sorted(into.glob("clip-?????-view-*-????????.mp4"))


def _film(
    recipe: Recipe, name: str, into: Path, model: SmplModel, recording: Recording | None, everything: bool
) -> None:
    take = Take(recipe, model, recording=recording)
    known = TruthOfClip(take.shot, with_pictures=False)
    survey = Surveyor(take.shot) if everything else None

    def filmed() -> Iterator[np.ndarray]:
        for t in range(len(take)):
            truth = take.truth(t)
            known.add(truth)
            seen = pictures(truth)
            if survey is not None:
                seen |= pictures_of_everything(survey(t), take.background(t))
            file.add(seen)
            yield take.frame(t)
        file.finish(known.arrays())

    with contextlib.closing(TruthFile(into / TRUTH / f"{name}.npz")) as file:
        video.write(filmed(), recipe.height, recipe.width, recipe.fps, into / f"{name}.mp4", recipe.crf)


def _table(wanted: Mapping[str, Recipe]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for name, recipe in wanted.items():
        notes = f"{recipe.action} in a {recipe.place}, {recipe.camera} camera"
        subject = f"synthetic-{recipe.name.rpartition('-view-')[0]}-{recipe.person}"  # views of one motion: one split
        writer.writerow((f"{name}.mp4", "CC0-1.0", "rendered, nobody is shown", subject, notes, "", "synthetic"))
    return text.getvalue()
