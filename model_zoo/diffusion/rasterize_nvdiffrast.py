"""Which face a pixel sees, by nvdiffrast on CUDA: all frames at once (Laine et al., SIGGRAPH Asia 2020).

nvdiffrast is optional and not part of any environment; where it is missing, `rasterize.seen_faces_torch` does the work.
Only visibility is taken from it. Barycentrics and their gradients are computed as on the CPU, so the maps agree.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

import torch
from torch import Tensor

from model_zoo.raster.zbuffer import NEAR

_LARGEST_ID = 1 << 24  # nvdiffrast gives face numbers as float32


@functools.cache
def installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("nvdiffrast") is not None


def clip_from_camera(vertices: Tensor, intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """Camera-space points as clip-space ones, for a rasteriser of OpenGL's conventions whose row 0 is our top row.

    nvdiffrast keeps the row of y/w = -1 first. Here y points down and row 0 is the top, so both agree without a flip
    of anything. The pixel in column j and row i has its centre at x/w = (2 j + 1) / W - 1, y/w = (2 i + 1) / H - 1;
    z/w grows from -1 at the near plane to 1 at the far plane.

    Args:
        vertices: Shape (B, V, 3), m; x right, y down, z forward.
        intrinsics: Shape (B, 3, 3), px, origin at the centre of the top-left pixel.
        size: (H, W).

    Returns:
        Shape (B, V, 4), float32: x, y, z, w with w the camera's z. The near plane lies at `NEAR`, or halfway to the
        nearest vertex where that is farther; the far plane behind the farthest vertex.
    """
    points = vertices.double()
    pixels = points @ intrinsics.double().transpose(1, 2)  # u w, v w, w
    w = points[..., 2]
    half = torch.tensor([2.0 / size[1], 2.0 / size[0]], dtype=torch.float64, device=points.device)
    xy = (pixels[..., :2] + 0.5 * w[..., None]) * half - w[..., None]
    near = (0.5 * w.amin(1, keepdim=True)).clamp(min=NEAR)
    far = torch.maximum(1.1 * w.amax(1, keepdim=True), 2 * near)
    z = (w * (far + near) - 2 * far * near) / (far - near)
    return torch.cat([xy, z[..., None], w[..., None]], -1).float()


def seen_faces_nvdiffrast(vertices: Tensor, faces: Tensor, intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """Face that every pixel sees; faces are cut at the near plane.

    Args:
        vertices: Shape (B, V, 3), m, camera frame, on a GPU.
        faces: Shape (F, 3), int64.
        intrinsics: Shape (B, 3, 3), px of the map.
        size: (H, W) of the map.

    Returns:
        Shape (B, H, W), int64; -1 where none is seen.

    Raises:
        ValueError: There are more faces than nvdiffrast can number.
    """
    if len(faces) >= _LARGEST_ID:
        raise ValueError(f"{len(faces)} faces, nvdiffrast numbers at most {_LARGEST_ID - 1}")
    render = importlib.import_module("nvdiffrast.torch")
    with torch.no_grad():
        clip = clip_from_camera(vertices, intrinsics, size).contiguous()
        drawn, _ = render.rasterize(
            _context(vertices.device), clip, faces.to(torch.int32).contiguous(), list(size), grad_db=False
        )
        return drawn[..., 3].round().long() - 1


@functools.cache
def _context(device: torch.device) -> Any:
    """What nvdiffrast keeps between calls; one per device."""
    return importlib.import_module("nvdiffrast.torch").RasterizeCudaContext(device=device)
