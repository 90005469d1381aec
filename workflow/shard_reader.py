"""Opens a shard for whoever reads it: the trainer and the report.

An allowed exception to the numpy-only core: it needs numcodecs and google-crc32c (which zarr brings along) and OpenCV.
A `Shard` keeps no file open and may be shared by threads; nothing is cached but the arrays' indices.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from workflow.errors import ContractError
from workflow.images import decode_jpg
from workflow.shard import CLIP, FORMAT, FORMAT_VERSION, JPEG_PICTURES, LAYERS, SHARED, WINDOW_LAYERS
from workflow.shard_array import ShardArray

_COMPOSED = ("rgb", "scene_origin", "scene")  # what the whole scene is made of


@dataclass(frozen=True)
class Clip:
    """One clip of a shard.

    Attributes:
        id: Clip id.
        start: First frame in the shard.
        length: Frames.
        fps: Frames per second, nominal.
        metric_depth: Whether `depth` is in metres; else it is only ordered, larger is farther.
        metadata: What the catalog knows of it: source, licence, subject ...
        quality: Figures of every stage, by "<stage>.<name>".
        digest: SHA-256 of the clip's contents, the same in whatever shard and profile it is stored.
    """

    id: str
    start: int
    length: int
    fps: float
    metric_depth: bool
    metadata: Mapping[str, Any]
    quality: Mapping[str, float]
    digest: str


@dataclass(frozen=True)
class RejectedClip:
    """A clip that is not in the shard, the stage that rejected it, and why."""

    id: str
    stage: str
    reason: str
    metadata: Mapping[str, Any]


def root_attributes(path: Path) -> dict[str, Any]:
    """Attributes of a shard's root group.

    Args:
        path: The shard's root `zarr.json`.

    Raises:
        ContractError: It is not a shard, or of another format version.
    """
    try:
        attributes: dict[str, Any] = json.loads(path.read_bytes())["attributes"]
        found = f"{attributes['format']} v{attributes['format_version']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ContractError(f"{path}: is not a shard ({error!r}); rerun the shards stage") from None
    if found != f"{FORMAT} v{FORMAT_VERSION}":
        raise ContractError(f"{path}: holds {found}, expected {FORMAT} v{FORMAT_VERSION}; rerun the shards stage")
    return attributes


class Buffers(dict[str, np.ndarray]):
    """Arrays by name that `Shard.read_window` fills again and again.

    Attributes:
        room: By name, the larger array that each lies in; its ends are scratch, see `ShardArray.read`.
    """

    def __init__(self) -> None:
        """Start without arrays."""
        super().__init__()
        self.room: dict[str, np.ndarray] = {}

    def room_for(self, name: str, margin: int) -> Optional[np.ndarray]:
        """The larger array, if it has the margin that another shard's chunks need; None reads without it."""
        room, inner = self.room.get(name), self.get(name)
        fits = room is not None and inner is not None and inner.base is room and len(room) == len(inner) + 2 * margin
        return room if fits else None


class Shard:
    """A shard of clips.

    Attributes:
        path: Folder of the store.
        attributes: Attributes of its root.
        clips: Its clips, in the order of time in the arrays.
        rejected: Clips that are not in it.
        length: Frames of all clips together.
        height: Of the pictures, px; 0 in a shard without clips.
        width: Of the pictures, px.
    """

    def __init__(self, path: Path) -> None:
        """Open a shard.

        Args:
            path: The `.zarr` folder, or the `zarr.json` in it.

        Raises:
            ContractError: It is not a shard, or of another format version.
        """
        path = Path(path)
        self.path = path.parent if path.name == "zarr.json" else path
        self.attributes = root_attributes(self.path / "zarr.json")
        self.clips = tuple(
            Clip(
                id=row["id"],
                start=row["start"],
                length=row["length"],
                fps=row["fps"],
                metric_depth=row["metric_depth"],
                metadata=row["metadata"],
                quality={
                    f"{stage}.{name}": v for stage, figures in row["quality"].items() for name, v in figures.items()
                },
                digest=row["digest"],
            )
            for row in self.attributes["clips"]
        )
        self.rejected = tuple(
            RejectedClip(row["id"], row["stage"], row["reason"], row["metadata"]) for row in self.attributes["rejected"]
        )
        self.length: int = self.attributes["frames"]
        self.height: int = self.attributes["height"]
        self.width: int = self.attributes["width"]
        self._jpeg = JPEG_PICTURES if self.attributes["profile"] == "jpeg" else ()
        self._by_id = {clip.id: number for number, clip in enumerate(self.clips)}
        self._arrays: dict[str, ShardArray] = {}

    def clip(self, clip_id: str) -> Clip:
        """Clip by its id."""
        return self.clips[self._number(clip_id)]

    def array(self, name: str) -> ShardArray:
        """Array by its path in the store."""
        found = self._arrays.get(name)
        if found is None:
            if name not in LAYERS:
                raise KeyError(f"{self.path}: no array {name!r}; one of {', '.join(LAYERS)}")
            found = self._arrays.setdefault(name, ShardArray(self.path / name))
        return found

    def _number(self, clip: Clip | str) -> int:
        name = clip if isinstance(clip, str) else clip.id
        if name not in self._by_id:
            raise KeyError(f"{self.path}: no clip {name}")
        return self._by_id[name]

    def empty_window(self, length: int, layers: Sequence[str] = WINDOW_LAYERS) -> Buffers:
        """Arrays that `read_window` can fill, to be used again and again; they serve shards of the same chunks."""
        made = Buffers()
        for name in layers:
            if name in self._jpeg:
                made[name] = np.empty((length, self.height, self.width, 3), LAYERS[name].dtype)
                continue
            array = self.array(name)
            made.room[name] = np.empty((length + 2 * array.margin, *array.shape[1:]), LAYERS[name].dtype)
            made[name] = made.room[name][array.margin : array.margin + length]
        return made

    def read_window(
        self,
        clip: Clip | str,
        start: int,
        length: int,
        layers: Sequence[str] = WINDOW_LAYERS,
        out: Optional[Mapping[str, np.ndarray]] = None,
        pool: Optional[Executor] = None,
    ) -> dict[str, np.ndarray]:
        """Consecutive frames of a clip from several layers.

        Args:
            clip: Clip, or its id.
            start: First frame, counted from the clip's first.
            length: Frames.
            layers: Names out of `WINDOW_LAYERS`. "scene" comes whole: `rgb` wherever `scene_origin` is 0.
            out: Arrays to fill, as `empty_window` makes them; None makes new ones.
            pool: Threads that read the layers side by side; must not be the pool this call runs in.

        Returns:
            By name, shape (length, ...) as `workflow.shard` declares.

        Raises:
            ContractError: A checksum differs.
            IndexError: The frames are not all inside the clip.
        """
        span = self.clips[self._number(clip)]
        if not 0 <= start <= start + length <= span.length:
            raise IndexError(
                f"{self.path}: frames {start} to {start + length} of clip {span.id}, which has {span.length}"
            )
        unknown = [name for name in layers if name not in WINDOW_LAYERS]
        if unknown:
            raise KeyError(f"{self.path}: no window layers {', '.join(unknown)}; some of {', '.join(WINDOW_LAYERS)}")
        composed = [name for name in _COMPOSED if "scene" in layers]
        rest = [name for name in layers if name not in composed]
        begin, end = span.start + start, span.start + start + length
        given = out or {}

        def read(name: str) -> np.ndarray:
            if name in self._jpeg:
                return self._read_jpegs(name, begin, end, given.get(name))
            array = self.array(name)
            room = given.room_for(name, array.margin) if isinstance(given, Buffers) else None
            return array.read(begin, end, given.get(name), room)

        each = map if pool is None else pool.map
        found = dict(zip(composed, each(read, composed)))
        if composed:  # at once, while they are in the processor's cache
            compose_scene(found["scene"], found["rgb"], found["scene_origin"])
        found |= zip(rest, each(read, rest))
        return {name: found[name] for name in layers}

    def _read_jpegs(self, name: str, begin: int, end: int, out: Optional[np.ndarray]) -> np.ndarray:
        """(n, H, W, 3) uint8 of frames [begin, end) of a picture that is kept as JPEG files."""
        if out is None:
            out = np.empty((end - begin, self.height, self.width, 3), np.uint8)
        offsets = self.array(f"{name}_jpeg_offset").read(begin, end + 1).astype(np.int64)
        data = self.array(f"{name}_jpeg").read(int(offsets[0]), int(offsets[-1]))
        places = offsets - offsets[0]
        for index in range(end - begin):
            out[index] = decode_jpg(data[places[index] : places[index + 1]].tobytes())
        return out

    def read_clip(self, clip: Clip | str, names: Optional[Sequence[str]] = None) -> dict[str, np.ndarray]:
        """What a clip has once: `betas`, `source_intrinsics`, `canonical/vertices`, `canonical/joints` ...

        Args:
            clip: Clip, or its id.
            names: Arrays over clips; None takes all, and the big-pose grids, reshaped to (x, y, z, ...), too.
        """
        number = self._number(clip)
        grids = ("canonical/bigpose_weights", "canonical/bigpose_uv")
        if names is None:
            names = [layer.name for layer in LAYERS.values() if layer.over == CLIP and layer.dimensions[0] == "clip"]
            names += grids
        found = {}
        for name in names:
            if name in grids:
                low, high = self.array("canonical/bigpose_offset").read(number, number + 2).tolist()
                size = self.array("canonical/bigpose_size").read(number, number + 1)[0].tolist()
                found[name] = self.array(name).read(low, high).reshape(*size, -1)
            else:
                found[name] = self.array(name).read(number, number + 1)[0]
        return found

    def read_shared(self) -> dict[str, np.ndarray]:
        """What all clips share: `canonical/parents`, `canonical/faces`, `canonical/weights`."""
        names = [layer.name for layer in LAYERS.values() if layer.over == SHARED]
        return {name: self.array(name).read(0, len(self.array(name))) for name in names}

    def read_nearest(self, clip: Clip | str, frame: int) -> np.ndarray:
        """(x, y, z) uint16: the nearest vertex of every voxel of a frame's grid; see `canonical/grid_origin`."""
        span = self.clips[self._number(clip)]
        if not 0 <= frame < span.length:
            raise IndexError(f"{self.path}: frame {frame} of clip {span.id}, which has {span.length}")
        at = span.start + frame
        low, high = self.array("canonical/nearest_offset").read(at, at + 2).tolist()
        size = self.array("canonical/grid_size").read(at, at + 1)[0].tolist()
        return self.array("canonical/nearest").read(low, high).reshape(size)


def compose_scene(scene: np.ndarray, rgb: np.ndarray, origin: np.ndarray) -> None:
    """Fill the part of the scene that is not stored, in place.

    Args:
        scene: (T, H, W, 3) uint8, as stored; contiguous.
        rgb: (T, H, W, 3) uint8.
        origin: (T, H, W) uint8; where it is 0 the scene is the frame's own pixel.
    """
    if not scene.size:
        return
    rows, width = scene.shape[0] * scene.shape[1], scene.shape[2]
    own = (origin == 0).view(np.uint8).reshape(rows, width)
    # OpenCV's masked copy is some ten times faster than numpy's where the mask has no channels.
    cv2.copyTo(rgb.reshape(rows, width, 3), own, scene.reshape(rows, width, 3))
