"""A clip of a shard as a source of the same samples."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import numpy as np

from model_zoo.body.smpl import Poser, SmplModel, rodrigues
from model_zoo.canonical.bigpose import global_rotation
from model_zoo.canonical.packing import PackedGrid, unpack_grid
from tools import provenance
from tools.nvr.settings import Settings
from tools.nvr.source import Camera, Pose, Subject, View
from workflow.errors import ToolError
from workflow.shard import JUDGES
from workflow.shard_reader import Clip, Shard
from workflow.stages.body_model import BODY_MODEL

# Stages whose verdict a frame needs to be a sample.
NEEDED = ("body", "parsing", "crop", "canonical")


class BodyOfClip:
    """The body of a clip in EasyMocap's convention, posed frame by frame.

    Attributes:
        length: Frames of the clip.
        usable: Shape (T,), bool: frames with a body, a mask and a grid.
        voxel_m: Distance of voxels of the stored grids.
    """

    def __init__(self, shard: Shard, clip: Clip, body_model: Path) -> None:
        """Read a clip's small arrays.

        Args:
            shard: The shard.
            clip: One of its clips.
            body_model: The body file the shard was made with.

        Raises:
            ToolError: The body file is missing or another one.
        """
        if not body_model.exists():
            raise ToolError(f"{body_model}: no such file; name the body model that {shard.path} was made with")
        wanted, found = shard.attributes["body_model"], provenance.file_digest(body_model)
        if wanted != found:
            raise ToolError(
                f"{body_model}: is not the body that {shard.path} was made with "
                f"(SHA-256 {found[:12]}, expected {wanted[:12]})"
            )
        self.shard, self.clip, self.length = shard, clip, clip.length
        self.model = SmplModel.load(body_model)
        self.betas = shard.read_clip(clip, ["betas"])["betas"]
        layers = (
            "global_orient",
            "body_pose",
            "transl",
            "intrinsics",
            "world_from_camera",
            "layer_valid",
            "crop_from_source",
        )
        window = shard.read_window(clip, 0, clip.length, layers)
        self.Rh = window["global_orient"].astype(np.float64)
        self.body_pose = window["body_pose"].astype(np.float64)
        self.transl = window["transl"].astype(np.float64)
        self.intrinsics = window["intrinsics"]
        self.world_from_camera = window["world_from_camera"]
        self.crop_from_source = window["crop_from_source"]
        self.usable = window["layer_valid"][:, [JUDGES.index(stage) for stage in NEEDED]].all(1)
        settings = shard.attributes["provenance"].get("canonical", {}).get("settings", {})
        self.voxel_m = float(settings.get("voxel_m", 0.025))
        self._origins = shard.array("canonical/grid_origin").read(clip.start, clip.start + clip.length)

    @cached_property
    def poser(self) -> Poser:
        """What poses the body."""
        return self.model.poser(self.betas)

    @cached_property
    def canonical(self) -> dict[str, np.ndarray]:
        """Canonical arrays of the clip and those all clips share."""
        return {**self.shard.read_clip(self.clip), **self.shard.read_shared()}

    def th(self, frame: int) -> np.ndarray:
        """EasyMocap's translation, shape (3,), float64, m: transl + J0 - R J0."""
        pelvis = self.poser.joints_rest[0]
        return self.transl[frame] + pelvis - rodrigues(self.Rh[frame]) @ pelvis

    def poses(self, frame: int) -> np.ndarray:
        """Pose, shape (72,), float64, rad; the first three are 0."""
        return np.concatenate([np.zeros(3), self.body_pose[frame]])

    def pxyz(self, frame: int) -> np.ndarray:
        """Vertices in the body's own frame, shape (V, 3), float64, m: to the bit what the grids were made of."""
        still = np.zeros((1, 3))
        return self.poser.vertices(still, self.body_pose[frame : frame + 1], still)[0].astype(np.float64)

    def vertices(self, frame: int) -> np.ndarray:
        """Vertices in the camera's frame, shape (V, 3), float32, m."""
        posed = self.pxyz(frame) @ global_rotation(self.Rh[frame]).T + self.th(frame)
        return posed.astype(np.float32)

    def grid(self, frame: int) -> np.ndarray:
        """Blend weights and distance, shape (X, Y, Z, 25), float32 (`bweights/{i}.npy`)."""
        packed = PackedGrid(self._origins[frame], self.shard.read_nearest(self.clip, frame))
        return unpack_grid(packed, self.pxyz(frame), self.canonical["canonical/weights"], self.voxel_m)


class ClipSource:
    """Samples of a clip: the crop of every frame, with that frame's own camera matrix.

    The world is the camera's frame (R is the identity, T is 0), also where the camera moves. Frames without a body, a
    mask or a grid are left out; `frame_index` is the frame's number in the clip.
    """

    def __init__(self, shard: Shard, clip: Clip | str, settings: Settings, body_model: Optional[Path] = None) -> None:
        """Read the clip's small arrays.

        Args:
            shard: The shard.
            clip: Clip, or its id.
            settings: Which frames; the step counts frames of the clip.
            body_model: The body file; None takes the one where the pipeline keeps it, beside the shard.

        Raises:
            ToolError: The body file is missing, or no frame is usable.
        """
        clip = shard.clip(clip) if isinstance(clip, str) else clip
        self.body = BodyOfClip(shard, clip, body_model or body_model_beside(shard.path))
        self.num_cameras = 1
        self.views = [View(frame, 0) for frame in settings.chosen(clip.length) if self.body.usable[frame]]
        if not self.views:
            raise ToolError(f"{shard.path}: no usable frame among the chosen ones of clip {clip.id}")

    def _layer(self, view: View, name: str) -> np.ndarray:
        return self.body.shard.read_window(self.body.clip, view.frame, 1, (name,))[name][0]

    def camera(self, view: View) -> Camera:
        """See `Source`."""
        return Camera(
            self.body.intrinsics[view.frame], np.eye(3, dtype=np.float32), np.zeros((3, 1), np.float32),
            np.zeros((1, 5), np.float32),
        )  # fmt: skip

    def picture(self, view: View) -> np.ndarray:
        """See `Source`."""
        return self._layer(view, "rgb")

    def labels(self, view: View) -> np.ndarray:
        """See `Source`."""
        return self._layer(view, "parsing")

    def pose(self, view: View) -> Pose:
        """See `Source`."""
        body, t = self.body, view.frame
        return Pose(body.vertices(t), body.Rh[t : t + 1], body.th(t)[None], body.poses(t), body.grid(t))

    @cached_property
    def subject(self) -> Subject:
        """See `Source`."""
        arrays: dict[str, Any] = self.body.canonical
        return Subject.of(
            faces=arrays["canonical/faces"],
            weights=arrays["canonical/weights"],
            joints=arrays["canonical/joints"],
            parents=arrays["canonical/parents"],
            tpts=arrays["canonical/vertices"],
            tbw=arrays["canonical/bigpose_weights"],
            tuv=arrays["canonical/bigpose_uv"],
        )


def body_model_beside(shard: Path) -> Path:
    """Where the pipeline keeps the body model of a shard `<directory>/shards/<split>/<shard>.zarr`."""
    return shard.resolve().parents[2] / BODY_MODEL.path
