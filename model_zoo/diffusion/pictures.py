"""Layers of a clip, as arrays, to what the model takes: sized, scaled, masked, with the camera moved along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from model_zoo.diffusion.config import MimoConfig

# Layers of a shard that the model is made from (docs/shard-format.md).
LAYERS = ("rgb", "scene", "human", "occluder", "valid", "global_orient", "body_pose", "transl", "intrinsics")
LAYERS_WITH_LATENTS = tuple(name for name in LAYERS if name not in ("rgb", "scene"))
REFERENCE_MARGIN = 0.05  # of the subject's height, around the subject (menyifang/MIMO)
_WHITE = 255


class ClipArrays(NamedTuple):
    """A window of a clip at the model's size; in a batch every array has one axis more in front.

    Attributes:
        video: Shape (3, T, H, W), float32, -1 to 1.
        scene: Same.
        occluder: Same; black outside the occluders.
        human_mask: Shape (T, H, W), float32, 0 to 1.
        occluder_mask: Same.
        valid: Shape (T,), bool; false for frames without a subject and for padding.
        betas: Shape (10,), float32.
        pose: Shape (T, 72), float32, rad.
        transl: Shape (T, 3), float32, m, camera frame.
        intrinsics: Shape (T, 3, 3), float32, px of the motion raster.
        reference: Shape (3, S, S), float32, -1 to 1; the subject on white.
    """

    video: np.ndarray
    scene: np.ndarray
    occluder: np.ndarray
    human_mask: np.ndarray
    occluder_mask: np.ndarray
    valid: np.ndarray
    betas: np.ndarray
    pose: np.ndarray
    transl: np.ndarray
    intrinsics: np.ndarray
    reference: np.ndarray


class ClipBatch(NamedTuple):
    """`ClipArrays` of several windows as tensors on one device; see there."""

    video: Tensor
    scene: Tensor
    occluder: Tensor
    human_mask: Tensor
    occluder_mask: Tensor
    valid: Tensor
    betas: Tensor
    pose: Tensor
    transl: Tensor
    intrinsics: Tensor
    reference: Tensor


class LatentArrays(NamedTuple):
    """A window whose pictures the frozen networks have seen already; what is not said here is as in `ClipArrays`.

    Attributes:
        video: Shape (4, T, h, w), float32, latents.
        scene: Same.
        occluder: Same.
        reference: Shape (4, s, s), float32, latents of the identity picture.
        embedding: Shape (512,), float32, of the identity picture.
    """

    video: np.ndarray
    scene: np.ndarray
    occluder: np.ndarray
    human_mask: np.ndarray
    occluder_mask: np.ndarray
    valid: np.ndarray
    betas: np.ndarray
    pose: np.ndarray
    transl: np.ndarray
    intrinsics: np.ndarray
    reference: np.ndarray
    embedding: np.ndarray


class LatentBatch(NamedTuple):
    """`LatentArrays` of several windows as tensors on one device; see there."""

    video: Tensor
    scene: Tensor
    occluder: Tensor
    human_mask: Tensor
    occluder_mask: Tensor
    valid: Tensor
    betas: Tensor
    pose: Tensor
    transl: Tensor
    intrinsics: Tensor
    reference: Tensor
    embedding: Tensor


class Framing(NamedTuple):
    """Which part of a frame is taken.

    Attributes:
        zoom: Enlargement; 1 takes as much of the frame as fits the target's aspect.
        across: Where the part lies: share of what is cut off that lies left of it.
        down: The same above it.
    """

    zoom: float = 1.0
    across: float = 0.5
    down: float = 0.5


WHOLE = Framing()


class Placement(NamedTuple):
    """How a source frame fills a target: a part of whole pixels is resampled to the target's size.

    Rounding to whole pixels may scale the two axes a little differently; `intrinsics` know.
    """

    top: int  # px of the source
    left: int
    rows: int
    columns: int
    height: int  # px of the target
    width: int

    @classmethod
    def cover(cls, source: tuple[int, int], target: tuple[int, int], framing: Framing = WHOLE) -> Placement:
        """Smallest scaling that fills `target` (H, W) from `source` (H, W), or a closer framing."""
        scale = max(target[0] / source[0], target[1] / source[1]) * framing.zoom
        rows, columns = min(round(target[0] / scale), source[0]), min(round(target[1] / scale), source[1])
        top, left = round((source[0] - rows) * framing.down), round((source[1] - columns) * framing.across)
        return cls(top, left, rows, columns, *target)

    @property
    def scale(self) -> float:
        """Pixels of the target per pixel of the source, down."""
        return self.height / self.rows

    def picture(self, image: np.ndarray) -> np.ndarray:
        """Resample (H, W) or (H, W, 3), uint8 or float32; areas are averaged where it shrinks."""
        part = image[self.top : self.top + self.rows, self.left : self.left + self.columns]
        how = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_LINEAR
        return cv2.resize(part, (self.width, self.height), interpolation=how)

    def intrinsics(self, matrices: np.ndarray) -> np.ndarray:
        """Camera matrices (..., 3, 3) of the target; pixel centres lie on whole numbers in both frames."""
        moved = matrices.astype(np.float64)
        for row, (scale, cut) in enumerate(((self.width / self.columns, self.left), (self.scale, self.top))):
            moved[..., row, :] *= scale
            moved[..., row, 2] += (0.5 - cut) * scale - 0.5
        return moved.astype(np.float32)


def clip_arrays(
    layers: Mapping[str, np.ndarray],
    betas: np.ndarray,
    reference: np.ndarray,
    config: MimoConfig,
    frames: int,
    framing: Framing = WHOLE,
) -> ClipArrays:
    """Make a sample of a window.

    Args:
        layers: `LAYERS` by name, each with t >= 1 frames in front; a window shorter than `frames` is padded with its
            last frame, marked as not valid.
        betas: Shape (10,), SMPL shape.
        reference: Shape (3, S, S), float32, -1 to 1, the picture that shows who the subject is.
        config: Sizes.
        frames: T of the sample.
        framing: Which part of the frames is taken; the camera follows.
    """
    rgb, scene = layers["rgb"], layers["scene"]
    place = Placement.cover(rgb.shape[1:3], (config.height, config.width), framing)
    index = np.minimum(np.arange(frames), len(rgb) - 1)
    video = np.stack([place.picture(frame) for frame in rgb])
    hidden = np.stack([place.picture(_on_black(frame, mask)) for frame, mask in zip(rgb, layers["occluder"])])
    return ClipArrays(
        video=_signed(video)[:, index],
        scene=_signed(np.stack([place.picture(frame) for frame in scene]))[:, index],
        occluder=_signed(hidden)[:, index],
        **_beside_pictures(layers, betas, config, frames, framing),
        reference=reference,
    )


def latent_arrays(
    layers: Mapping[str, np.ndarray],
    betas: np.ndarray,
    latents: Mapping[str, np.ndarray],
    config: MimoConfig,
    frames: int,
) -> LatentArrays:
    """Make a sample of a window from latents that were made before.

    Args:
        layers: `LAYERS_WITH_LATENTS` by name; see `clip_arrays`.
        betas: Shape (10,), SMPL shape.
        latents: "video", "scene", "occluder", each of shape (t, 4, h, w); "reference", (4, s, s); "embedding", (512,).
        config: Sizes.
        frames: T of the sample.
    """
    index = np.minimum(np.arange(frames), len(layers["human"]) - 1)
    return LatentArrays(
        **{name: latents[name][index].transpose(1, 0, 2, 3) for name in ("video", "scene", "occluder")},
        **_beside_pictures(layers, betas, config, frames, WHOLE),
        reference=np.array(latents["reference"]),
        embedding=np.array(latents["embedding"]),
    )


def _beside_pictures(
    layers: Mapping[str, np.ndarray], betas: np.ndarray, config: MimoConfig, frames: int, framing: Framing
) -> dict[str, np.ndarray]:
    """Masks, validity, body and camera of a sample."""
    length, *source = layers["human"].shape
    place = Placement.cover((source[0], source[1]), (config.height, config.width), framing)
    raster = Placement.cover((source[0], source[1]), config.motion_size, framing)
    index = np.minimum(np.arange(frames), length - 1)
    return {
        "human_mask": np.stack([place.picture(mask.astype(np.float32)) for mask in layers["human"]])[index],
        "occluder_mask": np.stack([place.picture(mask.astype(np.float32)) for mask in layers["occluder"]])[index],
        "valid": layers["valid"][index] & (np.arange(frames) < length),
        "betas": betas.astype(np.float32),
        "pose": np.concatenate([layers["global_orient"], layers["body_pose"]], 1)[index].astype(np.float32),
        "transl": layers["transl"][index].astype(np.float32),
        "intrinsics": raster.intrinsics(layers["intrinsics"])[index],
    }


def reference_picture(rgb: np.ndarray, human: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The subject on white, cropped to a square with a margin; all white where there is no subject.

    Args:
        rgb: Shape (H, W, 3), uint8.
        human: Shape (H, W), bool.
        size: (S, S).

    Returns:
        Shape (3, S, S), float32, -1 to 1.
    """
    rows, columns = np.flatnonzero(human.any(1)), np.flatnonzero(human.any(0))
    if not len(rows):
        return np.ones((3, *size), np.float32)
    height, width = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    side = int(np.ceil(max(height, width) * (1 + 2 * REFERENCE_MARGIN)))
    square = np.full((side, side, 3), _WHITE, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    inside = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    square[top : top + height, left : left + width] = np.where(human[inside][..., None], rgb[inside], np.uint8(_WHITE))
    return _signed(Placement.cover((side, side), size).picture(square)[None])[:, 0]


def signed_picture(picture: np.ndarray) -> np.ndarray:
    """Picture (H, W, 3), uint8, as (3, H, W), float32, -1 to 1."""
    return _signed(picture[None])[:, 0]


def collate(samples: Sequence[ClipArrays] | Sequence[LatentArrays], device: torch.device) -> Any:
    """Stack samples along a new first axis: a `ClipBatch` or a `LatentBatch`."""
    made = LatentBatch if isinstance(samples[0], LatentArrays) else ClipBatch
    return made(*(torch.from_numpy(np.stack(arrays)).to(device, non_blocking=True) for arrays in zip(*samples)))


def to_pictures(video: Tensor) -> np.ndarray:
    """Tensor (3, T, H, W), -1 to 1, as uint8 frames (T, H, W, 3)."""
    scaled = (video.detach().float().cpu() / 2 + 0.5).clamp(0, 1) * 255
    return scaled.round().to(torch.uint8).permute(1, 2, 3, 0).contiguous().numpy()


def _on_black(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Frame (H, W, 3) uint8 where the mask (H, W) bool is true, black elsewhere."""
    # OpenCV's masked copy is some ten times faster than numpy's where the mask has no channels.
    return cv2.copyTo(frame, mask.view(np.uint8), np.zeros_like(frame))


def _signed(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) uint8 as (3, T, H, W) float32, -1 to 1."""
    made = np.ascontiguousarray(frames.transpose(3, 0, 1, 2), np.float32)
    made /= np.float32(127.5)
    made -= np.float32(1)
    return made
