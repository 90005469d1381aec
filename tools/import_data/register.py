"""Put imported clips where the pipeline looks for them: the catalog and the artifacts of a new shard."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from model_zoo.body.smpl import SmplModel
from tools import provenance
from tools.import_data import bodies, joints, pictures
from tools.import_data.recording import Recording
from workflow import catalog, layout
from workflow.errors import ToolError
from workflow.footage import Seen, name_of
from workflow.raster import Spool
from workflow.stages.body import Body
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.parsing import Parsing
from workflow.store import replacing, writing

logger = logging.getLogger(__name__)

BACKEND = "import"


def place_body_model(base: Path, given: Path | None) -> Path:
    """The body model of a working directory, put there if it is not.

    Args:
        base: Working directory.
        given: Body file (.pkl or .npz) of the user's; None where the directory has one.

    Raises:
        ToolError: There is none, or another one than the given.
    """
    place = base / BODY_MODEL.path
    if given is None:
        if not place.exists():
            raise ToolError(f"{place}: no body model here; name the one the recording was fitted with by --body-model")
        return place
    try:
        model = SmplModel.load(given)
    except ValueError as error:
        raise ToolError(str(error)) from None
    if place.exists():
        there = SmplModel.load(place)
        if not all(np.array_equal(a, b) for a, b in zip(model.arrays().values(), there.arrays().values())):
            raise ToolError(f"{place}: is another body than {given}; import into a directory of its own")
        return place
    with replacing(place) as partial, partial.open("wb") as file:
        if given.suffix == ".npz":
            file.write(given.read_bytes())
        else:
            np.savez(file, **model.arrays())
    return place


def register(recordings: Sequence[Recording], base: Path, body_model: Path, split: str, fps: float | None) -> list[str]:
    """Write the artifacts of recordings as one new shard, then their catalog rows.

    Args:
        recordings: One clip each.
        base: Working directory of the pipeline.
        body_model: Body file of that directory.
        split: Split of the new shard.
        fps: Frames per second; None where the recordings say, or are taken at 30.

    Returns:
        Clip ids; of those that were imported before, too.

    Raises:
        ToolError: A recording is not whole, or not of this body.
    """
    model, digest = SmplModel.load(body_model), provenance.file_digest(body_model)
    with catalog.locked(base, lambda: logger.info("catalog: another run is at it; waiting")):
        known = catalog.read(base / catalog.LOG)
        shard = f"s{known.next_shard:05d}"
        folder = base / layout.manifest(shard).parent
        rows, events, fresh = [], [], []
        for recording in recordings:
            identity = _identity(recording)
            row = _row(recording, identity, shard, split, fps)
            rows.append(row)
            if row.id in known.rows:
                logger.info("import: %s is in the catalog already, in %s", recording.name, known.rows[row.id].shard)
                continue
            params = bodies.convert(recording, model)
            bodies.check_model(recording, params, model, digest)
            fresh.append((row, recording, params))
            events += _events(recording, row, identity, base, split)
        if fresh:
            after = catalog.fold(events, known)
            masks = {recording.has_masks for _, recording, _ in fresh}
            if len(masks) > 1:
                raise ToolError("some recordings have masks and some have not; import them one at a time")
            # Artifacts in the order in which stages read each other's, so that none looks out of date.
            catalog.write_manifests(after, base)
            _write(fresh, folder, model, digest, masks.pop(), fps)
            catalog.append(base / catalog.LOG, events)
    return [row.id for row in rows]


def _write(
    fresh: list[tuple[catalog.Row, Recording, bodies.Params]],
    folder: Path,
    model: SmplModel,
    digest: str,
    masks: bool,
    fps: float | None,
) -> None:
    Spool.directory = folder
    rows = sorted(fresh, key=lambda entry: entry[0].id)  # as the manifest
    kinds = (Frames, Keypoints, Body, Parsing) if masks else (Frames, Keypoints, Body)
    with contextlib.ExitStack() as stack:
        writers: dict[str, Any] = {}
        opened = []
        for kind in kinds:
            made = provenance.record(kind.name, BACKEND, 1, {"fps": fps}, {"body_model": digest})
            opened.append((kind, writing(folder / f"{kind.name}.zip", kind, made)))
        for kind, context in reversed(opened):  # closed in the order of the stages
            writers[kind.name] = stack.enter_context(context)
        for row, recording, params in rows:
            frames = pictures.frames(recording, fps)
            found = joints.artifact(recording, params, model)
            exact = np.concatenate([found.xy, found.confidence[..., None]], axis=2)
            writers["frames"].add(row.id, frames)
            writers["keypoints"].add(row.id, found)
            writers["body"].add(row.id, bodies.artifact(recording, params, model, exact, found.valid))
            if masks:
                writers["parsing"].add(row.id, pictures.parsing(recording, frames.rgb.frame_shape[:2]))
    for kind in kinds:  # strictly one after the other, also where the clock of the file system is coarse
        time.sleep(0.01)
        (folder / f"{kind.name}.zip").touch()


def _identity(recording: Recording) -> str:
    """SHA-256 of what a recording holds: pictures, masks, body parameters and camera."""
    sha = hashlib.sha256()
    for array in (recording.camera.K, recording.camera.R, recording.camera.T, recording.camera.D):
        sha.update(np.ascontiguousarray(array, np.float64).tobytes())
    for shot in recording.shots:
        for path in (shot.image, shot.labels, shot.annotation):
            sha.update(b"-" if path is None else provenance.file_digest(path).encode())
        for key in ("Rh", "Th", "poses", "shapes"):
            sha.update(b"-" if shot.params is None else np.asarray(shot.params[key], np.float64).tobytes())
    return sha.hexdigest()


def _row(recording: Recording, identity: str, shard: str, split: str, fps: float | None) -> catalog.Row:
    picture = pictures.first_picture(recording)
    rate = fps or recording.fps or pictures.DEFAULT_FPS
    fraction = Fraction(rate).limit_denominator(100_000)
    count = len(recording.shots)
    clip = catalog.Clip(
        id=catalog.clip_id(identity, 0, count), sha256=identity, start=0, end=count, subject=0, first_us=0,
        last_us=round((count - 1) * 1e6 / rate), fps=f"{fraction.numerator}/{fraction.denominator}",
        width=picture.shape[1], height=picture.shape[0], rotation=0.0, codec="imported", interlaced=False, alpha=False,
        range="pc", matrix="unknown", primaries="unknown", transfer="unknown", damaged=False,
    )  # fmt: skip
    return catalog.Row(clip, 0, split, shard)


def _events(recording: Recording, row: catalog.Row, identity: str, base: Path, split: str) -> list[dict[str, Any]]:
    clip = row.clip
    video = catalog.Video(
        sha256=identity, bytes=sum(shot.image.stat().st_size for shot in recording.shots), frames=clip.frames,
        fps=clip.fps, width=clip.width, height=clip.height, codec=clip.codec, range=clip.range,
    )  # fmt: skip
    source = recording.root / "annots.npy"  # what `videos:` may name; of EasyMocap's folders the first picture
    if not source.exists():
        source = recording.shots[0].image
    stat = source.stat()
    path = name_of(str(source.resolve()), str(base.resolve()))
    return [
        catalog.video_event(video),
        catalog.file_event(path, Seen(stat.st_size, stat.st_mtime_ns, identity)),
        catalog.note_event(identity, catalog.Note(notes=f"imported from {recording.name}", split=split)),
        catalog.clip_event(row),
    ]
