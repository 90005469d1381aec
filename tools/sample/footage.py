"""Pictures and videos that somebody names, as arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from model_zoo.diffusion.pictures import Placement
from tools.decoder import Decoding
from workflow.errors import ToolError


def picture(path: Path) -> np.ndarray:
    """A picture, (H, W, 3) RGB or (H, W, 4) RGBA, uint8; EXIF rotations are applied to pictures without alpha.

    Raises:
        ToolError: It cannot be read.
    """
    data = _bytes(path)
    found = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if found is None:
        raise ToolError(f"{path}: no readable picture")
    if found.dtype == np.uint16:
        found = (found >> 8).astype(np.uint8)
    if found.dtype != np.uint8:
        raise ToolError(f"{path}: holds {found.dtype}, expected a picture of 8 or 16 bits")
    if found.ndim == 3 and found.shape[2] == 4:
        return cv2.cvtColor(found, cv2.COLOR_BGRA2RGBA)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def mask(path: Path) -> np.ndarray:
    """A mask, (H, W), uint8.

    Raises:
        ToolError: It cannot be read.
    """
    found = cv2.imdecode(_bytes(path), cv2.IMREAD_GRAYSCALE)
    if found is None:
        raise ToolError(f"{path}: no readable picture")
    return found


def video(path: Path, fps: float, frames: int, size: tuple[int, int]) -> np.ndarray:
    """The first frames of a video at a frame rate, filled to a size: (T, H, W, 3), uint8; T may be less than asked.

    Raises:
        ToolError: No picture comes out of it.
    """

    def at_rate(stream: Any) -> Any:
        return stream.filter("fps", fps=f"{fps:.6f}")

    if not path.is_file():
        raise ToolError(f"{path}: is not there")
    decoding = Decoding(path, picture=at_rate, threads=1)
    found = []
    for frame in decoding:
        found.append(Placement.cover(frame.shape[:2], size).picture(frame))
        if len(found) == frames:
            break
    if not found:
        raise decoding.failure()
    return np.stack(found)


def _bytes(path: Path) -> np.ndarray:
    try:
        return np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}") from None
