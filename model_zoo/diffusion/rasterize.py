"""Differentiable rasterisation: per-vertex attributes to a feature map, with gradients to attributes and vertices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from model_zoo.diffusion.rasterize_nvdiffrast import installed, seen_faces_nvdiffrast
from model_zoo.raster.zbuffer import NEAR, Rasterizer

BACKGROUND = -1
_PAIRS_AT_ONCE = 4_000_000  # pixel and face pairs the torch path expands at a time


def seen_faces_numba(vertices: Tensor, faces: Tensor, intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """Face that every pixel sees, by the z-buffer of `model_zoo.raster` on the CPU.

    Args:
        vertices: Shape (B, V, 3), m, camera frame.
        faces: Shape (F, 3), int64.
        intrinsics: Shape (B, 3, 3), px of the map.
        size: (H, W) of the map.

    Returns:
        Shape (B, H, W), int64, on the device of `vertices`; -1 where none is seen.
    """
    draw = Rasterizer(*size)
    corners = faces.cpu().numpy().astype(np.int32)
    points = vertices.detach().cpu().double().numpy()
    cameras = intrinsics.detach().cpu().double().numpy()
    drawn = [draw(mesh, corners, camera).face_index.copy() for mesh, camera in zip(points, cameras)]
    return torch.from_numpy(np.stack(drawn).astype(np.int64)).to(vertices.device)


def seen_faces_torch(vertices: Tensor, faces: Tensor, intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """Face that every pixel sees, by expanding each face to the pixels of its bounding box; runs on any device.

    Faces that reach in front of the near plane are left out. Arguments and result as in `seen_faces_numba`.
    """
    height, width = size
    result = []
    for points, camera in zip(vertices.detach().double(), intrinsics.detach().double()):
        corners = points[faces]  # (F, 3, 3)
        index = (corners[..., 2] > NEAR).all(1).nonzero()[:, 0]
        pixels = corners[index] @ camera.T
        pixels = pixels[..., :2] / pixels[..., 2:]
        first = pixels.amin(1).ceil().clamp(min=0).long()
        last = pixels.amax(1).floor().long()
        last = torch.minimum(last, torch.tensor([width - 1, height - 1], device=last.device))
        extent = (last - first + 1).clamp(min=0)
        count = extent.prod(1)
        depth = torch.full((height * width,), torch.inf, dtype=torch.float64, device=points.device)
        seen = torch.full((height * width,), BACKGROUND, dtype=torch.int64, device=points.device)
        for part in _portions(count):
            row = torch.repeat_interleave(part, count[part])
            place = torch.arange(len(row), device=row.device)
            place = place - torch.repeat_interleave(count[part].cumsum(0) - count[part], count[part])
            x = first[row, 0] + place % extent[row, 0]
            y = first[row, 1] + place // extent[row, 0]
            z, inside = _hit(corners[index[row]], _rays(torch.linalg.inv(camera), x, y))
            row, x, y, z = row[inside], x[inside], y[inside], z[inside]
            pixel = y * width + x
            nearest = torch.full_like(depth, torch.inf).scatter_reduce(0, pixel, z, "amin")
            winner = torch.full_like(seen, len(faces)).scatter_reduce(
                0, pixel, torch.where(z == nearest[pixel], index[row], len(faces)), "amin"
            )
            better = nearest < depth
            depth = torch.where(better, nearest, depth)
            seen = torch.where(better, winner, seen)
        result.append(seen.reshape(height, width))
    return torch.stack(result)


def _portions(count: Tensor) -> list[Tensor]:
    """Indices of faces in runs of bounded total size."""
    portion = torch.div(count.cumsum(0), _PAIRS_AT_ONCE, rounding_mode="floor")
    return [(portion == i).nonzero()[:, 0] for i in portion.unique().tolist()]


def _rays(inverse_camera: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Directions of pixels with z = 1, shape (N, 3), for an inverse camera (3, 3) or one per pixel (N, 3, 3)."""
    pixel = torch.stack([x, y, torch.ones_like(x)], -1).to(inverse_camera.dtype)
    return (inverse_camera @ pixel[..., None])[..., 0]


def _hit(corners: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Depth where rays meet faces, and whether they do; shapes (N,)."""
    weights = _ray_weights(corners, rays)
    total = weights.sum(-1)
    inside = ((weights >= 0).all(-1) | (weights <= 0).all(-1)) & (total != 0)
    share = weights / torch.where(total == 0, torch.ones_like(total), total)[:, None]
    return (share * corners[..., 2]).sum(-1), inside


def _ray_weights(corners: Tensor, rays: Tensor) -> Tensor:
    """Signed volumes of ray and edges: perspective-correct barycentrics before normalising (Olano and Greer 1997).

    Args:
        corners: Shape (N, 3, 3), camera frame.
        rays: Shape (N, 3).

    Returns:
        Shape (N, 3).
    """
    a, b, c = corners.unbind(-2)
    normals = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], -2)
    return (normals * rays[:, None]).sum(-1)


def finder(device: torch.device) -> Callable[[Tensor, Tensor, Tensor, tuple[int, int]], Tensor]:
    """What finds the seen faces: numba on the CPU, nvdiffrast on CUDA where it is installed, torch elsewhere."""
    if device.type == "cpu":
        return seen_faces_numba
    return seen_faces_nvdiffrast if device.type == "cuda" and installed() else seen_faces_torch


class DifferentiableRasterizer(nn.Module):
    """Draw per-vertex attributes, perspective-correct.

    Which face a pixel sees is found without gradients by what suits the device (`finder`); where on the face it looks
    is computed in torch, so gradients reach the attributes and the vertices of the faces that are seen. As with every
    rasteriser of hard edges there is no gradient across the outline.
    """

    def __init__(self, image_size: tuple[int, int]) -> None:
        """Set (H, W) of the map."""
        super().__init__()
        self.image_size = image_size

    def forward(
        self, verts_cam: Tensor, faces: Tensor, attrs: Tensor, intrinsics: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rasterise.

        Args:
            verts_cam: Shape (B, V, 3), m, camera frame.
            faces: Shape (F, 3), int64.
            attrs: Shape (V, C) or (B, V, C).
            intrinsics: Shape (B, 3, 3), px of the map, origin at the centre of its top-left pixel.

        Returns:
            features: Shape (B, C, H, W), 0 where no face is seen.
            mask: Shape (B, 1, H, W), bool.
            depth: Shape (B, 1, H, W), m, camera z; 0 where no face is seen.
        """
        # Rays of bfloat16 miss their pixels, at 256 px by half of one: other places on the face, or beside it.
        with torch.autocast(verts_cam.device.type, enabled=False):
            return self._drawn(verts_cam, faces, attrs, intrinsics)

    def _drawn(
        self, verts_cam: Tensor, faces: Tensor, attrs: Tensor, intrinsics: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        seen = finder(verts_cam.device)(verts_cam, faces, intrinsics, self.image_size)
        mask = seen >= 0
        frame, y, x = mask.nonzero(as_tuple=True)
        corner = faces[seen[mask]]  # (N, 3) vertex indices
        corners = verts_cam[frame[:, None], corner]
        weights = _ray_weights(corners, _rays(torch.linalg.inv(intrinsics)[frame], x, y))
        total = weights.sum(-1, keepdim=True)
        flat = total == 0  # seen exactly edge-on
        weights = torch.where(
            flat, torch.full_like(weights, 1 / 3), weights / torch.where(flat, torch.ones_like(total), total)
        )
        values = attrs[corner] if attrs.ndim == 2 else attrs[frame[:, None], corner]
        drawn = (weights[..., None] * values).sum(1)
        batch, (height, width) = len(verts_cam), self.image_size
        features = drawn.new_zeros(batch, height, width, attrs.shape[-1]).index_put((frame, y, x), drawn)
        depth = weights.new_zeros(batch, height, width).index_put((frame, y, x), (weights * corners[..., 2]).sum(-1))
        return features.permute(0, 3, 1, 2), mask[:, None], depth[:, None]
