"""Heatmaps to joints, and what the joints are called."""

from __future__ import annotations

import cv2
import numpy as np

from model_zoo.dwpose.region import Region, cut
from model_zoo.sapiens.network import HEIGHT, WIDTH

HEATMAP_WIDTH, HEATMAP_HEIGHT = 192, 256
_BLUR = 11  # px, kernel of DARK
_FARTHEST = 3.0  # px a refinement may move a peak; the log of a flat heatmap has no peak to speak of

BODY_17 = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
_FEET = ("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel")
_HAND = ("wrist",) + tuple(
    f"{finger}_{joint}" for finger in ("thumb", "index", "middle", "ring", "little") for joint in range(1, 5)
)
# Goliath's hands run from the tip of each finger to its root, thumb first.
_GOLIATH_HAND = tuple(
    f"{finger}{end}"
    for finger in ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
    for end in ("4", "3", "2", "_third_joint")
)
NAMES = {
    17: BODY_17,
    133: (
        *BODY_17,
        *_FEET,
        *(f"face_{i}" for i in range(68)),
        *(f"{side}_hand_{name}" for side in ("left", "right") for name in _HAND),
    ),
    308: (
        *BODY_17[:9],
        *BODY_17[11:],
        *_FEET,
        *(f"right_{name}" for name in (*_GOLIATH_HAND, "wrist")),
        *(f"left_{name}" for name in (*_GOLIATH_HAND, "wrist")),
        *(f"{side}_{name}" for name in ("olecranon", "cubital_fossa", "acromion") for side in ("left", "right")),
        "neck",
        *(f"face_{i}" for i in range(238)),
    ),
}


def picture_of(rgb: np.ndarray, region: Region) -> np.ndarray:
    """What the network sees of a region: (1024, 768, 3) uint8, warped from border pixel to border pixel (UDP)."""
    return cut(rgb, region.udp_matrix((WIDTH, HEIGHT)), (WIDTH, HEIGHT))


def peaks(heatmaps: np.ndarray) -> np.ndarray:
    """Highest points of heatmaps, refined below a pixel (DARK, Zhang et al., CVPR 2020, in UDP's form).

    The logarithm of the smoothed heatmap is taken for a parabola at its highest pixel, and one Newton step made.

    Args:
        heatmaps: Shape (K, H, W), float32.

    Returns:
        Shape (K, 3): x, y, px of the heatmap, and its highest value.
    """
    count, height, width = heatmaps.shape
    flat = heatmaps.reshape(count, -1)
    where = flat.argmax(1)
    score = flat[np.arange(count), where]
    x, y = where % width, where // width
    log = np.empty((count, height + 2, width + 2), np.float32)
    for k, heatmap in enumerate(heatmaps):
        smooth = cv2.GaussianBlur(heatmap, (_BLUR, _BLUR), 0, borderType=cv2.BORDER_CONSTANT)
        top = float(smooth.max())
        smooth *= float(score[k]) / top if top > 0 else 1.0
        log[k] = np.pad(np.log(np.clip(smooth, 1e-3, 50.0)), 1, mode="edge")
    k = np.arange(count)

    def at(dx: int, dy: int) -> np.ndarray:
        return log[k, y + 1 + dy, x + 1 + dx].astype(np.float64)

    middle = at(0, 0)
    gradient = np.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], 1) / 2
    across = at(1, 0) - 2 * middle + at(-1, 0)
    down = at(0, 1) - 2 * middle + at(0, -1)
    mixed = (at(1, 1) - at(1, 0) - at(0, 1) + 2 * middle - at(-1, 0) - at(0, -1) + at(-1, -1)) / 2
    hessian = np.stack([np.stack([across, mixed], 1), np.stack([mixed, down], 1)], 1)
    hessian += np.finfo(np.float32).eps * np.eye(2)
    step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    step = np.clip(step, -_FARTHEST, _FARTHEST)
    step[score <= 0] = 0
    return np.column_stack([x - step[:, 0], y - step[:, 1], score])


def decode(heatmaps: np.ndarray, region: Region) -> np.ndarray:
    """Joints of one person.

    Args:
        heatmaps: Shape (K, 256, 192).
        region: Where the network looked.

    Returns:
        Shape (K, 3): x, y px of the source, and the heatmap's highest value.
    """
    found = peaks(heatmaps)
    xy = found[:, :2] / (heatmaps.shape[2], heatmaps.shape[1]) * region.scale + region.centre - region.scale / 2
    return np.column_stack([xy, found[:, 2]])
