"""The `.npy` files of instant-nvr that hold Python objects: cameras (`annots.npy`), bodies (`smpl_params/{i}.npy`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from model_zoo.loading.pickles import read_npy


def load_npy(path: Path) -> Any:
    """Contents of a `.npy` file, read without running what a pickle may ask for.

    Args:
        path: The file.

    Returns:
        An array; where the file holds one object in a 0-d array, as `np.save` of a dictionary does, that object.

    Raises:
        ValueError: The file is damaged, or asks for anything but numbers, strings and containers.
    """
    with path.open("rb") as file:
        return read_npy(file, str(path))


def save_npy(path: Path, content: Any) -> None:
    """Write a dictionary as the original does: one object in a 0-d array."""
    boxed = np.empty((), object)
    boxed[()] = content
    np.save(path, boxed, allow_pickle=True)
