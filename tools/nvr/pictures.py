"""Pictures and masks of a sample: undistorted, scaled, with the subject's rim marked."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from model_zoo.canonical.parts import PART_NAMES, SEMANTIC_LABELS, semantic_table
from tools.nvr.source import Camera

RIM = 100  # value of mask pixels that may or may not be the subject's
TRAIN_RIM_PX = 5  # side of the square that dilates and erodes
TEST_RIM_PX = 10

_FOREGROUND = (np.arange(256) > 0).astype(np.uint8)
_SEMANTIC = {name: semantic_table(name) for name in SEMANTIC_LABELS}


def with_rim(mask: np.ndarray, side: int) -> np.ndarray:
    """Mark what a square of `side` px dilates but does not erode.

    Args:
        mask: Shape (H, W), uint8, 0 and 1.
        side: px.

    Returns:
        Copy with the rim set to 100. Outside the picture counts as neither, as in OpenCV.
    """
    kernel = np.ones((side, side), np.uint8)
    out = mask.copy()
    out[cv2.dilate(mask, kernel) - cv2.erode(mask, kernel) == 1] = RIM
    return out


class Undistortion:
    """`cv2.undistort` with its maps made once per camera and picture size."""

    def __init__(self) -> None:
        """Nothing is made before it is needed."""
        self._maps: dict[tuple[bytes, bytes, int, int], tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, mask: np.ndarray, camera: Camera) -> np.ndarray:
        """Undistort a mask; one of a camera without distortion is given back as it is."""
        if not camera.D.any():
            return mask
        return cv2.remap(mask, *self._of(camera, mask.shape[:2]), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

    def part(self, picture: np.ndarray, camera: Camera, x: slice, y: slice) -> np.ndarray:
        """Part of an undistorted picture.

        Args:
            picture: Shape (H, W, 3), uint8.
            camera: Camera it was taken with.
            x: Columns of the part, with both ends given.
            y: Rows of the part.

        Returns:
            Shape (rows, columns, 3), float32, 0 to 1.
        """
        if not camera.D.any():
            return picture[y, x].astype(np.float32) / np.float32(255)
        places, fractions = (table[y, x] for table in self._of(camera, picture.shape[:2]))
        height, width = picture.shape[:2]
        low = np.clip(places.reshape(-1, 2).min(0), 0, (width - 1, height - 1))
        high = np.clip(places.reshape(-1, 2).max(0) + 2, 1, (width, height))
        needed = picture[low[1] : high[1], low[0] : high[0]].astype(np.float32) / np.float32(255)
        moved = np.ascontiguousarray(places - low.astype(np.int16))
        return cv2.remap(
            needed, moved, np.ascontiguousarray(fractions), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )

    def _of(self, camera: Camera, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        matrix, distortion = camera.K.astype(np.float64), camera.D.astype(np.float64)
        key = (matrix.tobytes(), distortion.tobytes(), *shape)
        if key not in self._maps:
            self._maps[key] = cv2.initUndistortRectifyMap(matrix, distortion, None, matrix, shape[::-1], cv2.CV_16SC2)
        return self._maps[key]


@dataclass(frozen=True)
class Masks:
    """Masks of a sample at its resolution, all uint8.

    Attributes:
        msk: Shape (H, W): 0, 1, or 100 on the rim.
        orig_msk: Shape (H, W): 0 and 1.
        sem_mask: Shape (5, H, W): body, leg, head, larm, rarm.
        focus: Shape (H, W): the semantic mask that training patches are drawn about; None for the whole subject.
    """

    msk: np.ndarray
    orig_msk: np.ndarray
    sem_mask: np.ndarray
    focus: np.ndarray | None


def masks(
    labels: np.ndarray,
    source_size: tuple[int, int],
    size: tuple[int, int],
    camera: Camera,
    undistort: Undistortion,
    *,
    rim: bool,
    focus: str = "",
) -> Masks:
    """Masks of a sample.

    Args:
        labels: Shape (h, w), uint8.
        source_size: (H, W) of the picture's file, px.
        size: (H, W) of the sample, px.
        camera: Camera at the file's size.
        undistort: Maps.
        rim: Whether the rim is marked.
        focus: Name of a semantic mask, or empty.
    """
    whole = cv2.LUT(labels, _FOREGROUND)

    def scaled(mask: np.ndarray) -> np.ndarray:
        if mask.shape != source_size:
            mask = cv2.resize(mask, source_size[::-1], interpolation=cv2.INTER_NEAREST)
        return _nearest(undistort(mask, camera), size)

    wanted = (*PART_NAMES, focus) if focus else PART_NAMES
    if camera.D.any():  # blends masks bilinearly, so that each must go its own way
        semantic = [scaled(cv2.LUT(labels, _SEMANTIC[name])) for name in wanted]
        original = scaled(whole)
    else:
        small = scaled(labels)
        semantic = [cv2.LUT(small, _SEMANTIC[name]) for name in wanted]
        original = cv2.LUT(small, _FOREGROUND)
    msk = scaled(with_rim(whole, TRAIN_RIM_PX)) if rim else original.copy()
    return Masks(msk, original, np.stack(semantic[: len(PART_NAMES)]), semantic[-1] if focus else None)


def _nearest(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return mask if mask.shape == size else cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST)


def area_region(
    picture: np.ndarray,
    camera: Camera,
    undistort: Undistortion,
    size: tuple[int, int],
    region: tuple[int, int, int, int] | None = None,
) -> np.ndarray:
    """Part of a picture undistorted and scaled down by area, as if that had been done to the whole.

    Args:
        picture: Shape (H, W, 3), uint8.
        camera: Camera it was taken with.
        undistort: Maps.
        size: (h, w) that the whole would have, px.
        region: x, y, width, height of the part, px of the scaled picture; None for the whole.

    Returns:
        Shape (height, width, 3), float32, 0 to 1.
    """
    x, y, width, height = region or (0, 0, size[1], size[0])
    if size == picture.shape[:2]:
        return undistort.part(picture, camera, slice(x, x + width), slice(y, y + height))
    shrinks = size[0] <= picture.shape[0] and size[1] <= picture.shape[1]
    if region is None or not shrinks:  # OpenCV's rule for enlarging is another one
        whole = undistort.part(picture, camera, slice(0, picture.shape[1]), slice(0, picture.shape[0]))
        return cv2.resize(whole, size[::-1], interpolation=cv2.INTER_AREA)[y : y + height, x : x + width].copy()
    rows, top = _area_weights(picture.shape[0], size[0], y, height)
    columns, left = _area_weights(picture.shape[1], size[1], x, width)
    part = undistort.part(picture, camera, slice(left, left + columns.shape[1]), slice(top, top + rows.shape[1]))
    down = (rows @ part.reshape(len(part), -1)).reshape(height, part.shape[1], 3)
    return np.ascontiguousarray(np.einsum("hsc,ws->hwc", down, columns, optimize=True))


def _area_weights(source: int, target: int, start: int, count: int) -> tuple[np.ndarray, int]:
    """Share of source pixels in `count` target pixels, and the first source pixel there is a column for."""
    scale = source / target
    low = (start + np.arange(count)) * scale
    high = np.minimum(low + scale, source)
    first, last = int(low[0]), min(source, int(np.ceil(high[-1])))
    pixels = np.arange(first, last)
    overlap = np.minimum(high[:, None], pixels + 1) - np.maximum(low[:, None], pixels)
    return (np.clip(overlap, 0, None) / (high - low)[:, None]).astype(np.float32), first
