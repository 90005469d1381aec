"""Small valid artifacts and shards, made without any stage: a doll of octahedra walks before a picture.

    paths = artifacts(folder, lengths=(12, 9))      # every input of the shards stage, by name
    store = shard(root, split="train", name="s00000", lengths=(12, 9))      # root/shards/train/s00000.zarr/zarr.json
    index(root)                                     # root/shards/index.parquet and root/catalog/clips.jsonl

All in agreement with each other: the masks are the doll's, the scene is the picture behind it, the joints project to
the keypoints, `body_model` poses to the canonical vertices. Same arguments, same bytes.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from workflow import catalog
from workflow.artifact import Artifact
from workflow.conventions import SMPL_PARENTS
from workflow.stages.body import Body
from workflow.stages.canonical import Canonical
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import Scene
from workflow.stages.shards import ParquetParams, ZarrParams
from workflow.stages.surface import Surface
from workflow.store import Rejection, writing

KINDS: tuple[type[Artifact], ...] = (Frames, Keypoints, Body, Parsing, Crop, Canonical, Surface, Layers, Scene)
FPS = 25
_VOXEL = 0.1  # m
# Joints of a person of 1.7 m in T-pose, m: x to the person's left, y up.
_JOINTS = np.array(
    [
        (0, 0, 0), (0.07, -0.09, 0), (-0.07, -0.09, 0), (0, 0.11, 0), (0.1, -0.47, 0), (-0.1, -0.47, 0), (0, 0.25, 0),
        (0.09, -0.87, 0), (-0.09, -0.87, 0), (0, 0.3, 0), (0.11, -0.93, 0.12), (-0.11, -0.93, 0.12), (0, 0.51, 0),
        (0.08, 0.42, 0), (-0.08, 0.42, 0), (0, 0.6, 0), (0.17, 0.45, 0), (-0.17, 0.45, 0), (0.43, 0.44, 0),
        (-0.43, 0.44, 0), (0.68, 0.44, 0), (-0.68, 0.44, 0), (0.77, 0.44, 0), (-0.77, 0.44, 0),
    ]
)  # fmt: skip
_OCTAHEDRON = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]) * 0.12
_OCTAHEDRON_FACES = np.array(
    [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)], np.uint32
)


def body_model() -> dict[str, np.ndarray]:
    """A doll in SMPL's format: an octahedron at every joint, 144 vertices, 192 faces."""
    joints = len(_JOINTS)
    vertices = (_JOINTS[:, None] + _OCTAHEDRON).reshape(-1, 3)
    owner = np.repeat(np.arange(joints), len(_OCTAHEDRON))
    weights = np.eye(joints)[owner]
    shapedirs = np.zeros((len(vertices), 3, 10))
    for component in range(10):
        shapedirs[:, component % 3, component] = vertices[:, component % 3] * 0.03 / (1 + component)
    parents = np.array(SMPL_PARENTS).astype(np.uint32)  # -1 wraps to 4294967295, as in SMPL's files
    faces = (_OCTAHEDRON_FACES[None] + (np.arange(joints, dtype=np.uint32) * 6)[:, None, None]).reshape(-1, 3)
    return {
        "v_template": vertices,
        "shapedirs": shapedirs,
        "posedirs": np.zeros((len(vertices), 3, 207)),
        "J_regressor": weights.T / len(_OCTAHEDRON),
        "weights": weights,
        "kintree_table": np.stack([parents, np.arange(joints, dtype=np.uint32)]),
        "f": faces.astype(np.uint32),
        "vt": np.stack([owner / joints, np.tile(np.arange(6) / 6, joints)], 1),
        "ft": faces.astype(np.uint32),
    }


def _picture(length: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """(T, H, W, 3) uint8: a coloured texture that drifts."""
    y, x = np.mgrid[:height, :width]
    frequency, phase = rng.uniform(0.05, 0.3, (3, 2)), rng.uniform(0, 6, 3)
    frames = [
        np.stack([np.sin(f[0] * (x + 0.5 * t) + f[1] * y + p) for f, p in zip(frequency, phase)], 2)
        for t in range(length)
    ]
    return (127 + 90 * np.stack(frames)).astype(np.uint8)


def clip(length: int, height: int, width: int, seed: int) -> dict[str, Artifact]:
    """All artifacts of one clip, by name.

    Args:
        length: Frames, at least 2.
        height: Of the crop, px.
        width: Of the crop, px.
        seed: Other seeds, other walks and pictures.
    """
    rng = np.random.default_rng(seed)
    model = body_model()
    time = np.arange(length)
    betas = rng.normal(0, 0.5, 10).astype(np.float32)
    shaped = model["v_template"] + model["shapedirs"] @ betas
    rest = model["J_regressor"] @ shaped
    pose = np.zeros((length, 23, 3), np.float32)
    swing = 0.4 * np.sin(time / 4 + rng.uniform(0, 6))
    pose[:, 0, 0], pose[:, 1, 0] = swing, -swing  # hips
    orient = np.tile(np.array([np.pi, 0, 0], np.float32), (length, 1))  # upright in a camera whose y points down
    transl = np.stack([0.3 * np.sin(time / 6), 0 * time + 0.15, 3 + 0.2 * np.cos(time / 6)], 1).astype(np.float32)
    joints = (rest * np.array([1, -1, -1]) + transl[:, None]).astype(np.float32)  # legs are too thin to matter
    focal = 1.2 * min(height, width)
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]], np.float32)

    body = (shaped * np.array([1, -1, -1]))[None] + transl[:, None]
    pixels = body[..., :2] / body[..., 2:] * focal + intrinsics[:2, 2]
    rgb = _picture(length, height, width, rng)
    behind = rgb.copy()
    spools = {
        "rgb": Crop.spool("rgb"), "crop_matte": Crop.spool("matte"), "labels": Crop.spool("labels"),
        "inside": Crop.spool("inside"), "human": Layers.spool("human"), "occluder": Layers.spool("occluder"),
        "rest": Layers.spool("scene"), "matte": Layers.spool("matte"), "depth": Surface.spool("depth"),
        "normal": Surface.spool("normal"), "scene": Scene.spool("rgb"), "origin": Scene.spool("origin"),
        "source": Frames.spool("rgb"), "source_matte": Parsing.spool("matte"), "source_labels": Parsing.spool("labels"),
        "nearest": Canonical.spool("nearest"),
    }  # fmt: skip
    y, x = np.mgrid[:height, :width]
    grid_origin = np.zeros((length, 3))
    for t in range(length):
        depth = np.zeros((height, width), np.float32)
        label = np.zeros((height, width), np.uint8)
        for joint in range(24):  # a square for each octahedron
            points = pixels[t, joint * 6 : joint * 6 + 6]
            (left, top), (right, bottom) = points.min(0), points.max(0)
            covered = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
            distance = body[t, joint * 6 : joint * 6 + 6, 2].mean()
            nearer = covered & ((depth == 0) | (distance < depth))
            depth[nearer] = distance + 0.02 * np.sin(x[nearer])
            label[nearer] = 1 + joint % 19
        stands_before = np.abs(x - width * (0.3 + 0.1 * (seed % 3))) < 2
        human = (depth > 0) & ~stands_before
        occluder = (depth > 0) & stands_before
        frame = rgb[t]
        frame[human] = (200 - 5 * label[human][:, None] + np.array([40, 0, 20])).astype(np.uint8)
        frame[occluder] = (30, 120, 30)
        normal = np.zeros((height, width, 3), np.int8)
        normal[depth > 0] = (0, 0, -127)
        origin = np.zeros((height, width), np.uint8)
        origin[human] = np.where(x[human] % 2, 1, 2)
        scene = np.where(origin[..., None] > 0, behind[t], frame)
        low = body[t].min(0)
        grid_origin[t] = low
        size = np.ceil((body[t].max(0) - low) / _VOXEL).astype(int) + 1
        centres = low + np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), -1) * _VOXEL
        matte = (human * 255).astype(np.uint8)
        for name, value in {
            "rgb": frame, "crop_matte": matte, "labels": label * human, "inside": y < height - 1, "human": human,
            "occluder": occluder, "rest": ~(human | occluder), "matte": matte, "depth": depth.astype(np.float16),
            "normal": normal, "scene": scene, "origin": origin, "source": frame, "source_matte": matte,
            "source_labels": label * human,
            "nearest": np.abs(centres[..., None, :] - body[t]).sum(-1).argmin(-1).astype(np.uint16),
        }.items():  # fmt: skip
            spools[name].append(np.ascontiguousarray(value))
    valid = np.ones(length, bool)
    seen = valid.copy()
    seen[length // 2] = False  # the keypoint detector blinked
    keypoints = np.zeros((length, 133, 2), np.float32)
    keypoints[:, :24] = joints[..., :2] / joints[..., 2:] * focal + intrinsics[:2, 2]
    confidence = np.zeros((length, 133), np.float32)
    confidence[:, :24] = rng.uniform(0.5, 1, (length, 24))
    size = (np.ceil((shaped.max(0) - shaped.min(0)) / _VOXEL) + 1).astype(int)
    grid = rng.random((*size, 25)).astype(np.float32)
    grid[..., :24] /= grid[..., :24].sum(-1, keepdims=True)
    crop_from_source = np.tile(np.eye(3), (length, 1, 1))
    identity = np.tile(np.eye(4, dtype=np.float32), (length, 1, 1))
    made: list[Artifact] = [
        Frames(rgb=spools["source"], timestamps=time / FPS, fps=float(FPS), quality={"sharpness": 0.5 + seed / 100}),
        Keypoints(
            xy=keypoints, confidence=confidence, xyz=np.zeros((length, 133, 3), np.float32),
            xyz_valid=np.zeros((length, 133), bool), box=np.zeros((length, 4), np.float32), valid=seen,
            quality={"confidence": float(confidence.mean())},
        ),
        Body(
            betas=betas, global_orient=orient, body_pose=pose.reshape(length, 69), transl=transl, joints=joints,
            intrinsics=intrinsics, world_from_camera=identity,
            reprojection_error=np.abs(rng.normal(3, 1, length)).astype(np.float32), valid=valid,
            quality={"reprojection_error": 3.0},
        ),
        Parsing(matte=spools["source_matte"], labels=spools["source_labels"], valid=valid, quality={}),
        Crop(
            rgb=spools["rgb"], matte=spools["crop_matte"], labels=spools["labels"], inside=spools["inside"],
            crop_from_source=crop_from_source, intrinsics=np.tile(intrinsics, (length, 1, 1)), keypoints=keypoints,
            confidence=confidence, valid=valid, source_height=height, source_width=width, fps=float(FPS), quality={},
        ),
        Canonical(
            vertices=shaped, joints=rest, parents=model["kintree_table"][0], faces=model["f"],
            weights=model["weights"].astype(np.float32), bigpose_origin=shaped.min(0), bigpose_weights=grid,
            bigpose_uv=rng.random((*size, 2)).astype(np.float32), origin=grid_origin, nearest=spools["nearest"],
            valid=valid, quality={},
        ),
        Surface(depth=spools["depth"], normal=spools["normal"], valid=valid, metric=True, quality={}),
        Layers(
            human=spools["human"], occluder=spools["occluder"], scene=spools["rest"], matte=spools["matte"],
            valid=valid, quality={},
        ),
        Scene(rgb=spools["scene"], origin=spools["origin"], valid=valid, quality={"inpainted_share": 0.01}),
    ]  # fmt: skip
    return {type(artifact).name: artifact for artifact in made}


def span(number: int, length: int, height: int, width: int) -> catalog.Clip:
    """A row of a manifest."""
    sha256 = f"{number:064x}"[::-1]
    return catalog.Clip(
        id=catalog.clip_id(sha256, 0, length), sha256=sha256, start=0, end=length, subject=0, first_us=0,
        last_us=(length - 1) * 1_000_000 // FPS, fps=f"{FPS}/1", width=width, height=height, rotation=0.0,
        codec="h264 yuv420p", interlaced=False, alpha=False, range="tv", matrix="bt709", primaries="bt709",
        transfer="bt709", damaged=False,
    )  # fmt: skip


def artifacts(
    folder: Path,
    lengths: Sequence[int] = (12, 9),
    *,
    rejected: Sequence[str] = ("layers",),
    height: int = 48,
    width: int = 40,
    seed: int = 0,
    name: str = "s00000",
    split: str = "train",
) -> dict[str, Path]:
    """Write every input of the shards stage.

    Args:
        folder: Where to.
        lengths: Frames of each clip.
        rejected: Further clips, each rejected by the stage named.
        height: Of the crop, px.
        width: Of the crop, px.
        seed: Of the first clip; the next ones count on.
        name: Shard.
        split: Its split.

    Returns:
        Paths by the names of the stage's inputs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spans = [
        span(seed + number, length, height, width) for number, length in enumerate((*lengths, *(5 for _ in rejected)))
    ]
    clips = [clip(length, height, width, seed + number) for number, length in enumerate(lengths)]
    paths = {kind.name: folder / f"{kind.name}.zip" for kind in KINDS}
    for place, kind in enumerate(KINDS):
        made = {"stage": kind.name, "backend": "example", "version": 1}
        with writing(paths[kind.name], kind, made) as writer:
            for row, produced in zip(spans, clips):
                writer.add(row.id, produced[kind.name])
            for row, stage in zip(spans[len(lengths) :], rejected):
                names = [other.name for other in KINDS]
                if names.index(stage) <= place:
                    writer.reject(row.id, Rejection(stage, f"example of a clip rejected by {stage}"))
                else:
                    writer.add(row.id, clip(5, height, width, 99)[kind.name])
    content: dict[str, Any] = {"shard": name, "split": split, "clips": [dataclasses.asdict(row) for row in spans]}
    paths["clips"] = folder / "clips.json"
    paths["clips"].write_text(json.dumps(content, indent=1))
    paths["body_model"] = folder / "body_model.npz"
    np.savez(paths["body_model"], **body_model())
    return paths


def shard(
    root: Path,
    *,
    split: str = "train",
    name: str = "s00000",
    lengths: Sequence[int] = (12, 9),
    params: Optional[ZarrParams] = None,
    **settings: Any,
) -> Path:
    """Write a shard by the real stage, from example artifacts.

    Args:
        root: Working directory, as the pipeline lays it out.
        split: Split of the shard.
        name: Name of the shard.
        lengths: Frames of each clip.
        params: Settings of the stage; None takes its defaults.
        settings: Passed on to `artifacts`.

    Returns:
        The store's root zarr.json.
    """
    from tools.shards import zarr  # here, so that users of the artifacts alone need no Zarr

    inputs = artifacts(root / "work" / name, lengths, name=name, split=split, **settings)
    path = root / "shards" / split / f"{name}.zarr" / "zarr.json"
    zarr.run(params or ZarrParams(), inputs, {"shard": path})
    return path


def index(root: Path) -> Path:
    """Write a catalog and an index of all shards below a working directory; returns the index.

    Every clip of `work/*/clips.json` is in the catalog, with example facts about its video.
    """
    from tools.index import parquet

    events: list[dict[str, Any]] = []
    for path in sorted(root.glob("work/*/clips.json")):
        manifest = catalog.read_manifest(path)
        for row in manifest.clips:
            facts = {
                f.name: getattr(row, f.name) for f in dataclasses.fields(row) if hasattr(catalog.Video("-"), f.name)
            }
            facts.pop("sha256")
            video = catalog.Video(row.sha256, frames=row.frames, **facts)
            note = catalog.Note(licence="CC0-1.0", consent="example", subject="doll", source="synthetic")
            events += [
                catalog.video_event(video),
                catalog.file_event(f"videos/{row.sha256[:8]}.mp4", catalog.Seen(1, 1, row.sha256)),
                catalog.note_event(row.sha256, note),
                catalog.clip_event(catalog.Row(row, 0, manifest.split, manifest.shard)),
            ]
    log = root / "catalog" / "clips.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    catalog.append(log, events)
    output = root / "shards" / "index.parquet"
    shards: list[Path] = sorted(root.glob("shards/*/*.zarr/zarr.json"))
    parquet.run(ParquetParams(), {"catalog": log, "shards": shards}, {"index": output})
    return output
