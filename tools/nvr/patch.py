"""The training patch: a random square about the subject."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import cv2
import numpy as np

ROOM_PX = 10  # about the subject
SLIMMEST = 1.5  # a crop that is longer than this, side over side, is widened


class Patch(NamedTuple):
    """Where a patch lies, px of the scaled picture."""

    x: int
    y: int
    width: int
    height: int


def subject_crop(mask: np.ndarray, size: tuple[int, int], patch_size: int) -> Optional[Patch]:
    """Crop about a mask.

    Args:
        mask: Shape (H, W), uint8.
        size: (H, W) of the picture, px.
        patch_size: A subject narrower or lower than this is not cropped.

    Returns:
        The crop, or None for the whole picture. As in the original, the last row and the last column of the picture
        are in no crop.
    """
    x, y, width, height = cv2.boundingRect(mask)
    if width < patch_size or height < patch_size:
        return None
    low = np.array([x - ROOM_PX, y - ROOM_PX])
    high = np.array([x + width + ROOM_PX, y + height + ROOM_PX])
    sides = high - low
    for axis in (0, 1):
        other = 1 - axis
        wanted = int(sides[other] / SLIMMEST)
        if sides[other] / sides[axis] > SLIMMEST and sides[axis] < wanted:
            room = (wanted - sides[axis]) // 2
            low[axis], high[axis] = low[axis] - room, high[axis] + room
    last = np.array([size[1] - 1, size[0] - 1])
    low, high = np.clip(low, 0, last), np.clip(high, 0, last)
    return Patch(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def random_patch(mask: np.ndarray, patch_size: int, draws: Any) -> Patch:
    """Square patch about a random pixel of the subject; draws two numbers.

    Args:
        mask: Shape (H, W), uint8; pixels that are exactly 1 may be the middle. Where there are none, any pixel may.
        patch_size: Largest side, px.
        draws: `numpy.random` or a `RandomState`.

    Returns:
        Patch in px of the mask. Its side is a multiple of 8, unless the picture is smaller than that.
    """
    height, width = mask.shape
    smallest = min(height, width)
    largest = min(patch_size, smallest)
    side = (int(draws.randint(int(min(patch_size, 0.8 * largest)), largest)) | 7) + 1
    side = min(side, smallest)
    places = np.flatnonzero(mask == 1)
    if not len(places):
        places = np.arange(mask.size)
    middle_y, middle_x = divmod(int(places[draws.randint(0, len(places))]), width)
    x = min(max(middle_x - side // 2, 0), width - side)
    y = min(max(middle_y - side // 2, 0), height - side)
    return Patch(x, y, side, side)


def training_patch(msk: np.ndarray, focus: Optional[np.ndarray], patch_size: int, draws: Any) -> Patch:
    """Patch of a training sample, px of the scaled picture.

    Args:
        msk: Shape (H, W), uint8, with rim.
        focus: Semantic mask to crop about first; `msk` where it is None or empty.
        patch_size: Largest side, px.
        draws: As of `random_patch`.
    """
    about = msk if focus is None or not focus.any() else focus
    crop = subject_crop(about, msk.shape[:2], patch_size) or Patch(0, 0, msk.shape[1], msk.shape[0])
    inner = random_patch(msk[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width], patch_size, draws)
    return Patch(crop.x + inner.x, crop.y + inner.y, inner.width, inner.height)
