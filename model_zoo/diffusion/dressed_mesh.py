"""How far clothes and hair stand out from a body: a distance along the normals per vertex, read off outlines.

The body with these distances ("SMPL+D", Alldieck et al., CVPR 2018) covers what the camera saw of the subject.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from model_zoo.body.skeleton import JOINTS
from model_zoo.diffusion.mesh_fill import spread
from model_zoo.raster.zbuffer import Rasterizer

_INWARD_m, _OUTWARD_m, _STEP_m = 0.03, 0.10, 0.005
_GRAZING = 0.5  # largest |cosine| between normal and ray at which a vertex speaks for the outline
_EDGE_PX = 2.0  # how near the drawn body's outline such a vertex lies, at the least
_EDGE_m = 0.012
_SMOOTHNESS, _MODESTY = 1.0, 0.02  # of neighbours to each other, and of all to the body, over one view's word
# Farthest that anything stands out from a body part, m; other parts keep to `_OUTWARD_m`. What is farther is a bag, a
# racket, another person, or an arm that the pose puts elsewhere.
_LIMITS_m = {
    "head": 0.08, "neck": 0.02, "collar": 0.03, "shoulder": 0.04, "elbow": 0.025, "wrist": 0.01, "hand": 0.0,
    "ankle": 0.02, "foot": 0.015, "knee": 0.05,
}  # fmt: skip


def outline_distances(
    vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray, human: np.ndarray, intrinsics: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance from the body's outline to the subject's along the normals, where one view tells it.

    Args:
        vertices: Shape (V, 3), m, camera frame.
        normals: Shape (V, 3), unit, outwards, camera frame.
        faces: Shape (F, 3).
        human: Shape (H, W), bool, the subject.
        intrinsics: Shape (3, 3), px.

    Returns:
        distance: Shape (V,), m; outwards is positive.
        known: Shape (V,), bool.
    """
    height, width = human.shape
    body = Rasterizer(height, width)(vertices, faces, intrinsics).face_index >= 0
    rays = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    grazing = (np.abs((normals * rays).sum(1)) < _GRAZING) & (vertices[:, 2] > 0.1)
    pixel_m = np.median(vertices[:, 2]) / intrinsics[0, 0]
    edge_m = max(_EDGE_m, _EDGE_PX * pixel_m)
    outside = ~_look(body, vertices + edge_m * normals, intrinsics, beyond=False)
    known = grazing & outside & _inside(vertices, intrinsics, human.shape)
    steps = np.arange(-_INWARD_m, _OUTWARD_m + _STEP_m / 2, _STEP_m)
    places = vertices[None] + steps[:, None, None] * normals[None]
    covered = _look(human, places, intrinsics, beyond=False)  # (S, V)
    other = _look(body, places, intrinsics, beyond=False) & (steps > edge_m)[:, None]
    # From inside out: the first step at which the subject ends, after it has begun.
    begun = covered[0]
    ends = ~covered[1:] & covered[:-1]
    first = ends.argmax(0)
    found = ends.any(0) & begun
    clear = ~(other & (np.arange(len(steps))[:, None] <= first)).any(0)
    return steps[first] + _STEP_m / 2, known & found & clear


def limits(weights: np.ndarray) -> np.ndarray:
    """Largest distance (V,), m, from blend weights (V, 24)."""
    by_joint = np.array([_LIMITS_m.get(name.removeprefix("l_").removeprefix("r_"), _OUTWARD_m) for name in JOINTS])
    return weights @ by_joint


def dressed(
    operator: sparse.spmatrix, distances: np.ndarray, known: np.ndarray, mirror: np.ndarray, limit: np.ndarray
) -> np.ndarray:
    """Smooth, symmetric distances of all vertices, (V,), m.

    Args:
        operator: Laplacian of the mesh.
        distances: Shape (N, V), m, of N views.
        known: Shape (N, V), bool.
        mirror: Shape (V,), the vertex on the other side.
        limit: Shape (V,), m, from `limits`.
    """
    fitting = known & (distances <= 1.5 * limit + 0.01)
    both = np.concatenate([distances, distances[:, mirror]])
    seen = np.concatenate([fitting, fitting[:, mirror]])
    count = seen.sum(0)
    mean = (both * seen).sum(0) / np.maximum(count, 1)
    result = spread(_SMOOTHNESS * operator, mean[:, None], count.astype(np.float64), np.zeros(1), _MODESTY)[:, 0]
    result = (result + result[mirror]) / 2
    return np.clip(result, -np.minimum(limit, _INWARD_m), limit)


def project(points: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Points (..., 3) before the camera to pixels (..., 2)."""
    pixels = points @ intrinsics.T
    return pixels[..., :2] / np.maximum(pixels[..., 2:], 1e-6)


def _inside(points: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    pixels = project(points, intrinsics)
    return ((pixels >= 0) & (pixels <= np.array([size[1] - 1, size[0] - 1]))).all(-1)


def _look(mask: np.ndarray, points: np.ndarray, intrinsics: np.ndarray, *, beyond: bool) -> np.ndarray:
    """Mask at the pixels nearest to points; `beyond` is what lies outside the picture."""
    pixels = np.rint(np.clip(project(points, intrinsics), -2, 1e5)).astype(np.int64)
    x, y = pixels[..., 0], pixels[..., 1]
    within = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    return np.where(within, mask[np.where(within, y, 0), np.where(within, x, 0)], beyond)
