"""Pictures and arrays in and out, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from workflow.errors import ToolError
from workflow.store import replacing


def read(path: Path) -> np.ndarray:
    """Picture (H, W, 3), uint8, RGB.

    Raises:
        ToolError: It is absent or no picture.
    """
    if not path.is_file():
        raise ToolError(f"{path}: is no file")
    found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if found is None:
        raise ToolError(f"{path}: is no picture that OpenCV reads")
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGB)


def write(path: Path, rgb: np.ndarray) -> None:
    """Write a picture (H, W, 3), uint8, RGB; the suffix says in which format.

    Raises:
        ToolError: OpenCV knows no such format.
    """
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    except cv2.error:
        done = False
    if not done:
        raise ToolError(f"{path}: {path.suffix or 'a name without a suffix'} is no picture format")
    with replacing(path) as partial:
        partial.write_bytes(data.tobytes())


def write_array(path: Path, values: np.ndarray) -> None:
    """Write an .npy file under exactly this name."""
    with replacing(path) as partial, partial.open("wb") as file:
        np.save(file, values, allow_pickle=False)
