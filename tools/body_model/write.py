"""Write a body in SMPL's format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from model_zoo.body.smpl import SmplModel
from workflow.store import replacing


def write_model(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Check the arrays of a body and write them as one `.npz`, whole or not at all; same arrays, same bytes.

    Args:
        arrays: Named as in an SMPL file.
        path: File to write.

    Raises:
        ValueError: They are no body in SMPL's format.
    """
    model = SmplModel.from_arrays(dict(arrays), str(path))
    # An open file, because numpy appends .npz to a name that lacks it; numpy gives all members the same time stamp.
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **model.arrays())
