"""A clip of a shard as a data root of instant-nvr, which the unmodified original trains from."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
from PIL import Image

from model_zoo.body.landmarks import keypoint_regressor
from model_zoo.body.smpl import SmplModel
from model_zoo.canonical.bigpose import global_rotation
from model_zoo.canonical.palette import voc_palette
from tools import progress
from tools.export.annotations import annotation
from tools.export.body import NVR_VERTICES, BigPose, Surface, big_pose, frame_grid, write_uv_obj
from tools.export.configuration import configuration
from tools.export.pictures import Pictures, open_pictures
from tools.nvr.clip import BodyOfClip, body_model_beside
from tools.nvr.layout import META_FOLDER, OWN
from tools.nvr.objects import save_npy
from tools.nvr.root import MILLIMETRES
from workflow.conventions import BODY25_FROM_COCO, BODY25_FROM_FEET, BODY25_MEANS, NUM_KEYPOINTS
from workflow.errors import ToolError
from workflow.shard_reader import Shard

logger = logging.getLogger(__name__)

FORMAT = "strata-instant-nvr"
FACTS = "strata.json"
KEYPOINTS = "keypoints.npy"
_PALETTE = voc_palette().reshape(-1).tolist()
_STILL_m = 1e-6  # a camera that moves less than this stands still


@dataclass(frozen=True)
class Options:
    """What to export.

    Attributes:
        start: First frame of the clip.
        frames: Frames to export at most; None exports all.
        interval: Step between frames. It is applied here and nowhere else: the exported frames are numbered on, and the
            configuration says 1.
        vertices: Of the body; None exports it whole.
        pictures: "auto", "frames" or "crop"; see `open_pictures`.
        parent_config: Configuration of the original that ours builds on, relative to its checkout.
    """

    start: int = 0
    frames: Optional[int] = None
    interval: int = 1
    vertices: Optional[int] = NVR_VERTICES
    pictures: str = "auto"
    parent_config: str = "configs/inb/inb_377.yaml"


def is_current(out: Path, shard: Shard, clip_id: str, options: Options) -> bool:
    """Whether a data root is what `export` would write now: of the same clip, whole, and with the same options.

    Raises:
        ToolError: Something else is there.
    """
    if not out.exists():
        return False
    try:
        facts = json.loads((out / FACTS).read_bytes())
    except (OSError, ValueError):
        raise ToolError(f"{out}: exists and is no exported data root; name another folder") from None
    return bool(facts["clip_digest"] == shard.clip(clip_id).digest and facts["options"] == asdict(options))


def export_all(
    clips: Sequence[tuple[Shard, str]], folder: Path, options: Options = Options(), body_model: Optional[Path] = None
) -> list[Path]:
    """Data roots of several clips, each in a folder named after the clip; those that are up to date are left alone.

    Args:
        clips: Shards and ids of clips.
        folder: Where the data roots go.
        options: What to export.
        body_model: As of `export`.

    Returns:
        The data roots, in the order of the clips.

    Raises:
        ToolError: Something else lies where a data root should.
    """
    folder.mkdir(parents=True, exist_ok=True)
    roots = []
    for shard in dict.fromkeys(shard for shard, _ in clips):
        for rejected in shard.rejected:
            logger.warning("export: clip %s was rejected by %s: %s", rejected.id, rejected.stage, rejected.reason)
    for shard, clip in clips:
        out = folder / clip
        if is_current(out, shard, clip, options):
            logger.info("export: %s is up to date", out)
        else:
            if out.exists():
                shutil.rmtree(out)
            export(shard, clip, out, options, body_model)
        roots.append(out)
    return roots


def export(
    shard: Shard, clip_id: str, out: Path, options: Options = Options(), body_model: Optional[Path] = None
) -> dict[str, Any]:
    """Write a data root, whole or not at all.

    Args:
        shard: The shard.
        clip_id: Which of its clips.
        out: Data root; must not exist, or be empty.
        options: What to export.
        body_model: The body file; None takes the one the pipeline keeps beside the shard.

    Returns:
        Contents of `strata.json`.

    Raises:
        ToolError: There is something at `out`, or the clip has no usable frame.
    """
    if out.exists() and any(out.iterdir()):
        raise ToolError(f"{out}: is not empty; name a new folder")
    body = BodyOfClip(shard, shard.clip(clip_id), body_model or body_model_beside(shard.path))
    wanted = list(range(options.start, body.length, options.interval))[: options.frames]
    chosen = [frame for frame in wanted if body.usable[frame]]
    if not chosen:
        raise ToolError(
            f"{shard.path}: none of the {len(wanted)} chosen frames of clip {clip_id} has a body and a mask"
        )
    surface = Surface.of(body.model, options.vertices)
    if not surface.whole:
        logger.info("export: the body is thinned from %d to %d vertices", len(body.model.v_template), len(surface.kept))
    # Written beside its place and renamed, so that what is there is whole.
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        with open_pictures(
            body, shard.path.parents[2] / "work" / shard.attributes["shard"], options.pictures
        ) as pictures:
            facts = _write(partial, out, body, surface, pictures, wanted, chosen, options)
        if out.exists():
            out.rmdir()
        partial.rename(out)
        logger.info(
            "export: wrote %s: %d frames, %d left out, pictures from %s",
            out,
            len(facts["frames"]),
            len(facts["left_out"]),
            facts["pictures"],
        )
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return facts


def _write(
    root: Path,
    final: Path,
    body: BodyOfClip,
    surface: Surface,
    pictures: Pictures,
    wanted: list[int],
    chosen: list[int],
    options: Options,
) -> dict[str, Any]:
    sub = body.clip.id
    for folder in (
        f"images/{sub}", f"annots/{sub}", f"schp/{sub}", f"matte/{sub}", OWN.params, OWN.vertices,
        f"{OWN.lbs}/bweights", META_FOLDER,
    ):  # fmt: skip
        (root / folder).mkdir(parents=True)
    camera = _camera(body, chosen)
    images, empty, joints = [], [], []
    for number, frame in enumerate(progress.bar(chosen, len(chosen), f"export {sub}")):
        image = f"images/{sub}/{number:06d}.jpg"
        images.append(image)
        (root / image).write_bytes(pictures.jpeg(frame))
        labels = pictures.labels(frame)
        _write_indexed(root / f"schp/{sub}/{number:06d}.png", labels)
        Image.fromarray(pictures.matte(frame)).save(root / f"matte/{sub}/{number:06d}.png")
        if not labels.any():
            empty.append(number)
        keypoints = pictures.keypoints(frame)
        joints.append(np.zeros((NUM_KEYPOINTS, 3)) if keypoints is None else keypoints)
        text = annotation(image, pictures.height, pictures.width, keypoints, _box(labels, keypoints))
        (root / f"annots/{sub}/{number:06d}.json").write_bytes(text.encode("ascii"))
        _write_body(root, number, body, surface, camera, frame)
    np.save(root / KEYPOINTS, np.array(joints, np.float32))  # the annotations have two decimals only
    _write_canonical(root, body, surface, big_pose(body, surface))
    save_npy(
        root / "annots.npy",
        {
            "cams": {
                "K": [np.asarray(pictures.K, np.float32)],
                "R": [camera.R.astype(np.float32)],
                "T": [(camera.T * MILLIMETRES).astype(np.float32)],
                "D": [np.zeros((1, 5), np.float32)],
            },
            "ims": [{"ims": [image]} for image in images],
        },
    )
    name = final.name
    (root / f"{name}.yaml").write_text(configuration(name, final.resolve(), len(images), options.parent_config))
    times = body.shard.read_window(body.clip, 0, body.length, ("timestamps",))["timestamps"]
    if empty:
        logger.warning("export: %d frames have an empty mask: %s", len(empty), empty)
    facts = {
        "format": FORMAT,
        "version": 1,
        "clip": sub,
        "shard": body.shard.attributes["shard"],
        "shard_digest": body.shard.attributes["digest"],
        "clip_digest": body.clip.digest,
        "body_model": body.shard.attributes["body_model"],
        "fps": body.clip.fps,
        "height": pictures.height,
        "width": pictures.width,
        "pictures": pictures.origin,
        "camera": "world" if camera.still else "moving; the world is the camera's frame",
        "vertices": len(surface.kept),
        "options": asdict(options),
        "frames": chosen,
        "timestamps": [float(times[frame]) for frame in chosen],
        "left_out": [frame for frame in wanted if not body.usable[frame]],
        "empty_masks": empty,
        "metadata": dict(body.clip.metadata),
    }
    (root / FACTS).write_text(json.dumps(facts, indent=1) + "\n")
    return facts


@dataclass(frozen=True)
class _Camera:
    """Camera of an export; `R` (3, 3) and `T` (3, 1) in m are camera from world."""

    R: np.ndarray
    T: np.ndarray
    still: bool


def _camera(body: BodyOfClip, chosen: list[int]) -> _Camera:
    """The clip's camera where it stands still; where it moves, the world is its frame: there is one per video."""
    poses = body.world_from_camera[chosen].astype(np.float64)
    if np.abs(poses - poses[0]).max() > _STILL_m:
        return _Camera(np.eye(3), np.zeros((3, 1)), False)
    rotation = poses[0, :3, :3].T
    return _Camera(rotation, -rotation @ poses[0, :3, 3:], True)


def _write_body(root: Path, number: int, body: BodyOfClip, surface: Surface, camera: _Camera, frame: int) -> None:
    rotation = camera.R.T @ global_rotation(body.Rh[frame])
    translation = camera.R.T @ (body.th(frame)[:, None] - camera.T)
    pxyz = body.pxyz(frame)[surface.kept]
    np.save(root / OWN.vertices / f"{number}.npy", (pxyz @ rotation.T + translation.T).astype(np.float32))
    unmoved = not camera.T.any() and np.array_equal(camera.R, np.eye(3))
    vector = body.Rh[frame] if unmoved else cv2.Rodrigues(rotation)[0].reshape(3)
    params = {
        "Rh": vector.reshape(1, 3).astype(np.float64),
        "Th": translation.reshape(1, 3).astype(np.float64),
        "poses": body.poses(frame).reshape(1, 72),
        "shapes": body.betas.astype(np.float64).reshape(1, -1),
    }
    save_npy(root / OWN.params / f"{number}.npy", params)
    np.save(root / OWN.lbs / "bweights" / f"{number}.npy", frame_grid(body, surface, frame))


def _write_canonical(root: Path, body: BodyOfClip, surface: Surface, big: BigPose) -> None:
    parents = body.canonical["canonical/parents"].astype(np.uint32)
    faces = surface.faces.astype(np.uint32)
    lbs, meta = root / OWN.lbs, root / META_FOLDER
    np.save(lbs / "parents.npy", parents)
    np.save(lbs / "joints.npy", body.canonical["canonical/joints"].astype(np.float64))
    np.save(lbs / "faces.npy", faces)
    np.save(lbs / "bigpose_vertices.npy", big.vertices.astype(np.float64))
    np.save(lbs / "bigpose_bw.npy", big.weights)
    np.save(root / "bigpose_uv.npy", big.uv)
    np.save(meta / "faces.npy", faces)
    np.save(meta / "weights.npy", surface.weights)
    np.save(meta / "parents.npy", parents)
    np.save(meta / "J_regressor_body25.npy", body25_regressor(body.model)[:, surface.kept] if surface.whole else
            body25_regressor(_thinned(body.model, surface)))  # fmt: skip
    if len(surface.uv_faces):
        write_uv_obj(meta / "smpl_uv.obj", body.model.v_template[surface.kept], surface)


def _thinned(model: SmplModel, surface: Surface) -> SmplModel:
    """The exported vertices as a body of their own, for finding landmarks on it."""
    kept = surface.kept
    regressor = model.J_regressor[:, kept]
    return SmplModel(
        model.v_template[kept], model.shapedirs[kept], model.posedirs[kept],
        regressor / regressor.sum(1, keepdims=True), surface.weights, surface.faces, np.zeros((0, 2)),
        np.zeros((0, 3), np.int64),
    )  # fmt: skip


def body25_regressor(model: SmplModel) -> np.ndarray:
    """Rows of our landmarks in the order of BODY25, shape (25, V), float64."""
    rows = keypoint_regressor(model)
    out = np.zeros((25, rows.shape[1]))
    out[list(BODY25_FROM_COCO)] = rows[: len(BODY25_FROM_COCO)]
    out[list(BODY25_FROM_FEET)] = rows[len(BODY25_FROM_COCO) :]
    for joint, (first, second) in BODY25_MEANS.items():
        out[joint] = (out[first] + out[second]) / 2
    return out


def _box(labels: np.ndarray, keypoints: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """Box of the mask and of the body joints that are seen, px; None where there is neither."""
    corners = []
    if labels.any():
        x, y, width, height = cv2.boundingRect((labels > 0).view(np.uint8))
        corners += [(x, y), (x + width, y + height)]
    if keypoints is not None:
        corners += [tuple(point[:2]) for point in keypoints[:17] if point[2] > 0.3]
    if not corners:
        return None
    corners_2 = np.array(corners, np.float64)
    return np.concatenate([corners_2.min(0), corners_2.max(0)])


def _write_indexed(path: Path, labels: np.ndarray) -> None:
    """Indexed PNG with the VOC palette, as SCHP writes; everybody but the subject is 0 in our labels already."""
    picture = Image.frombytes("P", labels.shape[::-1], np.ascontiguousarray(labels).tobytes())
    picture.putpalette(_PALETTE)
    picture.save(path)
