"""Texture coordinates of a body from a Wavefront OBJ file, such as `smpl_uv.obj`."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_obj(path: Path, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texture coordinates of the corners of a mesh.

    Args:
        path: OBJ file of the same mesh with `vt` lines and triangles `f a/t b/t c/t`; any number of spaces between.
        faces: Shape (F, 3), faces of the body; those of the file must be the same, in the same order.

    Returns:
        vt: Shape (N, 2), float64, origin at the bottom left.
        ft: Shape (F, 3), int64, into `vt`.

    Raises:
        ValueError: The file has other faces or no texture coordinates.
    """
    texture, corners = [], []
    for line in path.read_text(errors="replace").splitlines():
        word, *rest = line.split() or [""]
        if word == "vt":
            texture.append([float(number) for number in rest[:2]])
        elif word == "f":
            corners.append([[int(number) for number in corner.split("/")[:2]] for corner in rest])
    try:
        table = np.array(corners, dtype=np.int64).reshape(-1, 3, 2) - 1
    except ValueError as error:
        raise ValueError(f"{path}: faces must be triangles with texture coordinates, f a/t b/t c/t") from error
    if not np.array_equal(table[..., 0], faces):
        raise ValueError(f"{path}: its {len(table)} faces are not those of the body, which has {len(faces)}")
    vt = np.array(texture, dtype=np.float64).reshape(-1, 2)
    if not len(vt) or table[..., 1].min() < 0 or table[..., 1].max() >= len(vt):
        raise ValueError(f"{path}: texture coordinates are missing")
    return vt, table[..., 1].copy()
