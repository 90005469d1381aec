"""What is done to a picture before it is stored: the scene reduced, depth rounded, images encoded."""

from __future__ import annotations

import math

import cv2
import numpy as np

from workflow.conventions import SCENE_OBSERVED
from workflow.errors import ContractError

JPEG_BLOCK = 8  # px; without chroma subsampling every 8 x 8 block of a JPEG stands for itself
_HALF_MANTISSA = 11  # significant bits of float16


def stored_scene(scene: np.ndarray, rgb: np.ndarray, origin: np.ndarray, label: str) -> np.ndarray:
    """Keep only what the frame itself does not say.

    Args:
        scene: (H, W, 3) uint8, the whole picture.
        rgb: (H, W, 3) uint8, the frame.
        origin: (H, W) uint8, `conventions.SCENE_*`.
        label: What the error calls the frame.

    Returns:
        (H, W, 3) uint8: the scene where `origin` is not 0, else 0.

    Raises:
        ContractError: The scene differs from the frame where it claims to be it.
    """
    own = origin == SCENE_OBSERVED
    differs = own & (scene != rgb).any(2)
    if differs.any():
        row, column = np.argwhere(differs)[0]
        raise ContractError(
            f"{label}: scene differs from the crop's rgb at {int(differs.sum())} pixels where origin is 0 "
            f"(first at row {row}, column {column}); mend the scene backend"
        )
    kept = scene.copy()
    kept[own] = 0
    return kept


def depth_quantum(error_m: float) -> float:
    """Step that depth is rounded to, m: the largest power of two whose half is within the error."""
    return 2.0 ** math.floor(math.log2(2 * error_m))


def rounded_depth(depth: np.ndarray, quantum: float) -> np.ndarray:
    """Round metric depth to multiples of a power of two, so that it compresses.

    Float16 holds multiples of the quantum exactly below 2**11 quanta, and is coarser than the quantum above, so no
    second rounding happens. A depth that is there never becomes 0, which would mean no estimate.

    Args:
        depth: (H, W) float16, m; 0 where there is no estimate.
        quantum: m, a power of two.
    """
    fine = depth < quantum * 2**_HALF_MANTISSA
    steps = np.rint(depth.astype(np.float32) * np.float32(1 / quantum))
    near = (np.maximum(steps, depth > 0) * np.float32(quantum)).astype(np.float16)
    return np.where(fine, near, depth)


def scene_for_jpeg(scene: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Clear the blocks of the whole scene of which nothing is needed.

    The other blocks stay whole, so that no edge between stored and not stored rings in the JPEG.

    Args:
        scene: (H, W, 3) uint8, the whole picture.
        origin: (H, W) uint8.
    """
    height, width = origin.shape
    padded = np.zeros((-(-height // JPEG_BLOCK) * JPEG_BLOCK, -(-width // JPEG_BLOCK) * JPEG_BLOCK), bool)
    padded[:height, :width] = origin != SCENE_OBSERVED
    blocks = padded.reshape(padded.shape[0] // JPEG_BLOCK, JPEG_BLOCK, -1, JPEG_BLOCK).any((1, 3))
    kept = scene.copy()
    kept[~blocks.repeat(JPEG_BLOCK, 0).repeat(JPEG_BLOCK, 1)[:height, :width]] = 0
    return kept


def squared_error(stored: np.ndarray, true: np.ndarray, where: np.ndarray | None = None) -> tuple[float, int]:
    """Sum of squared differences of uint8 pictures, and the number of values in it.

    Args:
        stored: (H, W, 3).
        true: (H, W, 3).
        where: (H, W) bool; None takes all pixels.
    """
    difference = cv2.absdiff(stored, true)
    if where is not None:
        difference = difference[where]
    values = difference.reshape(-1).astype(np.float32)
    return float(np.dot(values, values)), values.size


def psnr_db(error: float, count: int) -> float:
    """Peak signal-to-noise ratio of 8-bit values, dB; at most 100, which also stands for no error."""
    return min(100.0, 10 * math.log10(255**2 * count / error)) if error else 100.0
