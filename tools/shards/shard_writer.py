"""Writes the arrays of a shard, clip after clip, frame after frame."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from model_zoo.metrics.quality import ClipFigures, Frame, halved
from tools.shards.array_writer import ArrayWriter
from tools.shards.pictures import (
    depth_quantum,
    psnr_db,
    rounded_depth,
    scene_for_jpeg,
    squared_error,
    stored_scene,
)
from tools.shards.sources import ClipSources
from workflow.conventions import BODY, SCENE_FROM_OTHER_FRAME, SCENE_INPAINTED, SCENE_OBSERVED
from workflow.errors import ContractError
from workflow.images import decode_jpg, encode_jpg
from workflow.shard import (
    FORMAT,
    FORMAT_VERSION,
    FRAME,
    FRAME_FIGURES,
    JPEG,
    JPEG_PICTURES,
    JUDGES,
    LAYERS,
    Layer,
)
from workflow.stages.shards import ZarrParams

_SMALL_CHUNK_FRAMES = 64  # frames in a chunk of an array that is no picture
_CHUNK_BYTES = 1 << 19  # aimed at in arrays over clips, shared and ragged ones
_JPEG_CHUNK_BYTES = 1 << 17  # about one file, so that reading one takes little more than itself


def _chunk_length(layer: Layer, item_bytes: int, params: ZarrParams) -> int:
    """Items in a chunk of an array."""
    if layer.picture:
        return params.chunk_frames
    if layer.over == FRAME:
        return _SMALL_CHUNK_FRAMES
    aimed = _JPEG_CHUNK_BYTES if layer in JPEG else _CHUNK_BYTES
    return max(1, 1 << (aimed // max(item_bytes, 1)).bit_length() - 1)


class ShardWriter:
    """A shard under construction in a folder."""

    def __init__(self, root: Path, params: ZarrParams, pool: Executor) -> None:
        """Start an empty shard.

        Args:
            root: Empty folder.
            params: Settings.
            pool: Threads that encode chunks.
        """
        self._root = root
        self._params = params
        self._pool = pool
        self._arrays: dict[str, ArrayWriter] = {}
        self._shared: dict[str, np.ndarray] = {}
        self._clips: list[dict[str, Any]] = []
        self._frames = 0
        self._size: tuple[int, int] | None = None
        self._quantum = depth_quantum(params.depth_error_m)
        self._depth_error = 0.0
        self._losses = {name: [0.0, 0] for name in JPEG_PICTURES}
        self._digests: dict[str, Any] = {}
        jpeg_names = {layer.name for layer in JPEG}
        if params.profile == "jpeg":
            self._names = [name for name in LAYERS if name not in JPEG_PICTURES]
        else:
            self._names = [name for name in LAYERS if name not in jpeg_names]

    # --- arrays -------------------------------------------------------------------------------------------

    def _array(self, name: str, item_shape: tuple[int, ...]) -> ArrayWriter:
        """Array of the store, made when its first item comes."""
        found = self._arrays.get(name)
        if found is None:
            layer = LAYERS[name]
            item_bytes = int(np.prod([max(size, 1) for size in item_shape])) * np.dtype(layer.dtype).itemsize
            found = ArrayWriter(
                self._root,
                name,
                item_shape=item_shape,
                dtype=layer.dtype,
                chunk_length=_chunk_length(layer, item_bytes, self._params),
                dimensions=layer.dimensions,
                attributes={
                    "about": layer.about,
                    "unit": layer.unit,
                    **({"frame": layer.frame} if layer.frame else {}),
                    "over": layer.over,
                },
                pool=self._pool,
                compress=not name.endswith("_jpeg"),
            )
            self._arrays[name] = found
            if name.endswith("_offset"):
                found.extend(np.zeros(1, np.uint64))
        return found

    def _extend(self, name: str, items: np.ndarray) -> None:
        """Add items to an array."""
        self._array(name, items.shape[1:]).extend(items)

    def _hash(self, name: str, values: np.ndarray) -> None:
        """Add values of the current clip to its digest."""
        found = self._digests.get(name)
        if found is None:
            found = self._digests[name] = hashlib.sha256()
        found.update(f"{values.dtype.str} {values.shape}".encode())
        found.update(np.ascontiguousarray(values).data)

    def _put(self, name: str, items: np.ndarray) -> None:
        """Add items to an array and to the clip's digest."""
        self._hash(name, items)
        self._extend(name, items)

    def _share(self, name: str, values: np.ndarray) -> None:
        """Store what all clips must have in common."""
        self._hash(name, values)
        known = self._shared.get(name)
        if known is None:
            self._shared[name] = values
            self._extend(name, values)
        elif not np.array_equal(known, values):
            raise ContractError(f"{name}: clips of one shard have different bodies; rerun the canonical stage")

    def _put_ragged(self, name: str, offset_name: str, items: np.ndarray) -> None:
        self._put(name, items)
        self._extend(offset_name, np.array([self._arrays[name].length], np.uint64))

    # --- one clip -----------------------------------------------------------------------------------------

    def add(self, clip_id: str, sources: ClipSources, metadata: dict[str, Any]) -> Iterator[None]:
        """Write one clip, a frame at every step of the iteration.

        Args:
            clip_id: Clip id.
            sources: Its artifacts.
            metadata: What the catalog knows of it.
        """
        length = len(sources.crop.valid)
        height, width = sources.crop.rgb.shape[1:3]
        size = (height, width)
        if self._size not in (None, size):
            raise ContractError(
                f"clip {clip_id}: crop is {size}, but {self._size} in the clips before; rerun the crop stage"
            )
        self._size = size
        self._digests = {}
        self._put_arrays(sources, length)
        figures = np.zeros((length, len(FRAME_FIGURES)), np.float32)
        agreement, valid = ClipFigures(), sources.layer_valid.all(1)
        figures[:, 0] = sources.body.reprojection_error
        figures[:, 1] = sources.crop.confidence[:, BODY].mean(1)
        frames = zip(
            sources.crop.rgb, sources.scene.rgb, sources.scene.origin, sources.layers.human, sources.layers.occluder,
            sources.layers.scene, sources.layers.matte, sources.crop.inside, sources.crop.labels,
            sources.surface.depth, sources.surface.normal, sources.canonical.nearest,
        )  # fmt: skip
        for index, (
            rgb,
            scene,
            origin,
            human,
            occluder,
            rest,
            matte,
            inside,
            parsing,
            depth,
            normal,
            nearest,
        ) in enumerate(frames):
            label = f"clip {clip_id}, frame {index}"
            if ((human.view(np.uint8) + occluder.view(np.uint8) + rest.view(np.uint8)) != 1).any():
                raise ContractError(
                    f"{label}: human, occluder and scene do not cover the frame once; mend the layers backend"
                )
            self._put_images(rgb, scene, origin, label)
            self._put_depth(depth, sources.surface.metric)
            for name, picture in (
                ("scene_origin", origin), ("human", human), ("occluder", occluder), ("matte", matte),
                ("inside", inside), ("parsing", parsing), ("normal", normal),
            ):  # fmt: skip
                self._put(name, picture[None])
            self._extend("canonical/grid_size", np.array([nearest.shape], np.uint64))
            self._put_ragged("canonical/nearest", "canonical/nearest_offset", nearest.reshape(-1))
            figures[index, 2:] = (
                human.mean(),
                occluder.mean(),
                (origin == SCENE_FROM_OTHER_FRAME).mean(),
                (origin == SCENE_INPAINTED).mean(),
            )
            if valid[index]:
                agreement.add(
                    halved(
                        Frame(
                            rgb, human, occluder, matte, scene, origin != SCENE_OBSERVED, depth, normal, inside,
                            sources.crop.keypoints[index], sources.crop.confidence[index], sources.body.joints[index],
                            sources.crop.intrinsics[index], index > 0 and bool(valid[index - 1]),
                        )
                    )
                )  # fmt: skip
            yield
        self._extend("frame_quality", figures)
        lines = "".join(f"{name} {digest.hexdigest()}\n" for name, digest in sorted(self._digests.items()))
        self._clips.append(
            {
                "id": clip_id,
                "start": self._frames,
                "length": length,
                "fps": float(sources.crop.fps),
                "source_height": sources.crop.source_height,
                "source_width": sources.crop.source_width,
                "metric_depth": sources.surface.metric,
                "digest": hashlib.sha256(lines.encode()).hexdigest(),
                "metadata": metadata,
                "quality": {**sources.quality, "shards": {**_own_figures(sources, figures), **agreement.figures()}},
            }
        )
        self._frames += length

    def _put_arrays(self, sources: ClipSources, length: int) -> None:
        """Everything of a clip that is no picture."""
        crop, body, canonical = sources.crop, sources.body, sources.canonical
        verdicts = sources.layer_valid
        for name, values in {
            "keypoints": np.concatenate([crop.keypoints, crop.confidence[:, :, None]], axis=2),
            "global_orient": body.global_orient,
            "body_pose": body.body_pose,
            "transl": body.transl,
            "joints": body.joints,
            "intrinsics": crop.intrinsics,
            "world_from_camera": body.world_from_camera,
            "crop_from_source": crop.crop_from_source,
            "timestamps": sources.frames.timestamps,
            "valid": verdicts.all(1),
            "layer_valid": verdicts,
            "canonical/grid_origin": canonical.origin,
            # One entry per clip from here on.
            "clip_start": np.array([self._frames], np.uint64),
            "clip_length": np.array([length], np.uint64),
            "source_intrinsics": body.intrinsics[None],
            "betas": body.betas[None],
            "canonical/vertices": canonical.vertices[None],
            "canonical/joints": canonical.joints[None],
            "canonical/bigpose_origin": canonical.bigpose_origin[None],
            "canonical/bigpose_size": np.array([canonical.bigpose_weights.shape[:3]], np.uint64),
        }.items():
            if name == "clip_start":
                self._extend(name, values)  # where a clip lies is not what it is
            else:
                self._put(name, values)
        for name in ("parents", "faces", "weights"):
            self._share(f"canonical/{name}", getattr(canonical, name))
        self._put("canonical/bigpose_uv", canonical.bigpose_uv.reshape(-1, 2))
        self._put_ragged(
            "canonical/bigpose_weights", "canonical/bigpose_offset", canonical.bigpose_weights.reshape(-1, 25)
        )

    def _put_depth(self, depth: np.ndarray, metric: bool) -> None:
        self._hash("depth", depth)
        if metric:
            rounded = rounded_depth(depth, self._quantum)
            error = np.abs(rounded.astype(np.float32) - depth.astype(np.float32)).max(initial=0)
            self._depth_error = max(self._depth_error, float(error))
            depth = rounded
        self._extend("depth", depth[None])

    def _put_images(self, rgb: np.ndarray, scene: np.ndarray, origin: np.ndarray, label: str) -> None:
        """Write the frame and the stored part of its scene, in the chosen profile."""
        kept = stored_scene(scene, rgb, origin, label)
        self._hash("rgb", rgb)
        self._hash("scene", scene)
        if self._params.profile != "jpeg":
            self._extend("rgb", rgb[None])
            self._extend("scene", kept[None])
            return
        needed = origin != SCENE_OBSERVED
        for name, picture, where in (("rgb", rgb, None), ("scene", scene_for_jpeg(scene, origin), needed)):
            data = encode_jpg(picture)
            error, count = squared_error(decode_jpg(data), picture, where)
            self._losses[name][0] += error
            self._losses[name][1] += count
            self._extend(f"{name}_jpeg", np.frombuffer(data, np.uint8))
            self._extend(f"{name}_jpeg_offset", np.array([self._arrays[f"{name}_jpeg"].length], np.uint64))

    # --- the end ------------------------------------------------------------------------------------------

    def close(self, attributes: dict[str, Any]) -> None:
        """Write the metadata, the root's last of all.

        Args:
            attributes: Of the root: rejected clips, provenance and the like.
        """
        height, width = self._size or (0, 0)
        for name in self._names:
            if name not in self._arrays:
                self._array(name, self._empty_item(LAYERS[name], height, width))
        self._arrays["layer_valid"].attributes["stages"] = list(JUDGES)
        self._arrays["frame_quality"].attributes["figures"] = list(FRAME_FIGURES)
        self._arrays["frame_quality"].attributes["units"] = list(FRAME_FIGURES.values())
        self._arrays["depth"].attributes.update(
            quantum_m=self._quantum,
            error_bound_m=self._params.depth_error_m,
            error_m=self._depth_error,
            note="bound and error are against the surface stage's float16, of clips with metric_depth; others exact",
        )
        for name in JPEG_PICTURES if self._params.profile == "jpeg" else ():
            error, count = self._losses[name]
            self._arrays[f"{name}_jpeg"].attributes["loss"] = {
                "codec": "JPEG, quality 95, 4:4:4",
                "psnr_db": round(psnr_db(error, int(count)), 3),
                "over": "all pixels" if name == "rgb" else "pixels where scene_origin is not 0",
            }
        files: dict[str, list[Any]] = {}
        for name in self._names:
            self._arrays[name].close()
            files.update({path: list(facts) for path, facts in self._arrays[name].files.items()})
        for group in sorted({name.rpartition("/")[0] for name in self._names} - {""}):
            data = _group({"about": "what avatar models need besides pictures"})
            _write(self._root / group / "zarr.json", data)
            files[f"{group}/zarr.json"] = [len(data), hashlib.sha256(data).hexdigest()]
        root = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "profile": self._params.profile,
            "frames": self._frames,
            "height": height,
            "width": width,
            "conventions": CONVENTIONS,
            "clips": self._clips,
            **attributes,
            "files": dict(sorted(files.items())),
        }
        _write(self._root / "zarr.json", _group({**root, "digest": digest_of(root)}))

    def _empty_item(self, layer: Layer, height: int, width: int) -> tuple[int, ...]:
        """Shape of an item of an array that got none."""
        known = {"height": height, "width": width}
        return tuple(
            known.get(axis, 0) if size is None else size for axis, size in zip(layer.dimensions[1:], layer.sizes[1:])
        )

    def abort(self) -> None:
        """Close all files unfinished."""
        for array in self._arrays.values():
            array.abort()


CONVENTIONS = {
    "image": "x right, y down, origin at the centre of the top-left pixel; row is y, column is x",
    "camera": "x right, y down, z forward, metres; world_from_camera maps homogeneous camera to world coordinates",
    "crop": "the stored pictures; crop_from_source maps homogeneous source pixels to crop pixels",
    "scene": "equal to rgb where scene_origin is 0, and not stored there",
    "keypoints": "COCO-WholeBody, 133 joints",
    "body": "SMPL, 24 joints, 10 betas; vertices = LBS(betas, global_orient, body_pose) + transl",
    "parsing": "CIHP classes in the order of SCHP, 0 to 19",
    "absence": "valid and layer_valid; values of frames that are not valid mean nothing; NaN never occurs",
}


def digest_of(attributes: dict[str, Any]) -> str:
    """Digest of a shard: SHA-256 of its root attributes, which hold the digest of every other file.

    Args:
        attributes: Without the key "digest".
    """
    return hashlib.sha256(json.dumps(attributes, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _own_figures(sources: ClipSources, figures: np.ndarray) -> dict[str, float]:
    """Figures of a clip that this stage adds: shares of valid frames, and means over the valid frames."""
    verdicts = sources.layer_valid
    valid = verdicts.all(1)
    shares = {"valid_share": float(valid.mean())}
    shares.update({f"{name}_valid_share": float(share) for name, share in zip(JUDGES, verdicts.mean(0))})
    if valid.any():
        means = figures[valid].astype(np.float64).mean(0)
        shares.update({name: float(mean) for name, mean in zip(FRAME_FIGURES, means)})
    return shares


def _group(attributes: dict[str, Any]) -> bytes:
    return json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes}, indent=1).encode()


def _write(path: Path, data: bytes) -> None:
    """Write a file and make it durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
