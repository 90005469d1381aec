"""The true body and camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from model_zoo.body.smpl import SmplModel
from tools.truth.records import Record
from workflow.errors import ToolError
from workflow.stage import Params
from workflow.stages.body import Body
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints

_SAME_m = 1e-3  # how far joints posed by the body model may lie from those of the clip


def load(params: Params, files: Mapping[str, Path]) -> Callable[[Record, Frames, Keypoints], Body]:
    """Read the body model and return the annotator."""
    del params
    model = SmplModel.load(files["body_model"])
    return lambda record, frames, keypoints: annotate(record, model, keypoints)


def annotate(record: Record, model: SmplModel, keypoints: Keypoints) -> Body:
    """Body of a clip, in the world it was rendered in: y up, the ground at 0.

    Raises:
        ToolError: The body model is another one than was rendered.
    """
    betas = record.array("betas")
    orient, pose, transl = (record.of_frames(name) for name in ("global_orient", "body_pose", "transl"))
    joints = record.of_frames("joints")
    posed = model.poser(betas).joints(orient, pose, transl)
    apart = float(np.abs(posed - joints).max())
    if apart > _SAME_m:
        raise ToolError(
            f"{record.path}: the body model poses joints {1e3 * apart:.0f} mm from the rendered body's; "
            "annotations: truth needs the body that clips are rendered with, backend anny of body_model"
        )
    valid = keypoints.valid & (joints[:, :, 2].min(1) > 0)
    return Body(
        betas=betas,
        global_orient=orient,
        body_pose=pose,
        transl=transl,
        joints=joints,
        intrinsics=record.array("intrinsics"),
        world_from_camera=record.of_frames("world_from_camera"),
        reprojection_error=_bent(record),
        valid=valid,
        quality={"valid_share": float(valid.mean())},
    )


def _bent(record: Record) -> np.ndarray:
    """How far a pinhole sees the keypoints in the picture from where the lens shows them, (T,) float32, px."""
    space, seen = record.of_frames("keypoints_xyz").astype(np.float64), record.of_frames("keypoints_in_view")
    pixels = space @ record.array("intrinsics").T.astype(np.float64)
    pixels = pixels[..., :2] / np.maximum(pixels[..., 2:], 1e-3)
    apart = np.linalg.norm(pixels - record.of_frames("keypoints"), axis=2) * seen
    return (apart.sum(1) / np.maximum(seen.sum(1), 1)).astype(np.float32)
