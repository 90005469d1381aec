"""The body of an export: whole, or thinned out to the number of vertices a reader insists on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_zoo.body.decimate import decimate
from model_zoo.body.smpl import SmplModel
from model_zoo.canonical import grids
from tools.nvr.clip import BodyOfClip
from workflow.errors import ToolError

NVR_VERTICES = 6890  # written into the original's code
_LONGEST_EDGE_m = 0.25  # a thinned body may have no longer one


@dataclass(frozen=True)
class Surface:
    """Which vertices and faces of the body are exported.

    Attributes:
        kept: Shape (N,), places in the body's vertices, ascending; all of them for a whole body.
        faces: Shape (F, 3), int64, rows of `kept`.
        uv: Shape (U, 2), texture coordinates.
        uv_faces: Shape (F, 3), int64, rows of `uv`; (0, 3) where there are none.
        weights: Shape (N, 24), float64.
        whole: Whether nothing was left out, so that stored grids hold.
    """

    kept: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    weights: np.ndarray
    whole: bool

    @classmethod
    def of(cls, model: SmplModel, num_vertices: int | None) -> Surface:
        """Thin a body out by merging vertices into neighbours, so that every exported vertex is one of the body's.

        Args:
            model: The body.
            num_vertices: How many to keep; None keeps all.

        Raises:
            ToolError: The body has fewer, or cannot be thinned that far.
        """
        count = len(model.v_template)
        if num_vertices is None or num_vertices == count:
            return cls(np.arange(count), model.faces, model.vt, model.ft, model.weights, True)
        if num_vertices > count:
            raise ToolError(
                f"the body has {count} vertices, fewer than the {num_vertices} asked for; use --vertices all"
            )
        texture = model.ft if len(model.ft) else model.faces
        kept, faces, uv_faces = decimate(model.v_template, model.faces, texture, num_vertices, _LONGEST_EDGE_m)
        if len(kept) != num_vertices:
            raise ToolError(f"the body could be thinned to {len(kept)} vertices only, not {num_vertices}")
        place = np.full(count, -1)
        place[kept] = np.arange(len(kept))
        if not len(model.ft):
            return cls(kept, place[faces], np.zeros((0, 2)), np.zeros((0, 3), np.int64), model.weights[kept], False)
        used, uv_faces = np.unique(uv_faces, return_inverse=True)
        return cls(kept, place[faces], model.vt[used], uv_faces.reshape(-1, 3), model.weights[kept], False)


@dataclass(frozen=True)
class BigPose:
    """`smpl_lbs` and `bigpose_uv` of an export."""

    vertices: np.ndarray  # (N, 3) float64, m
    weights: np.ndarray  # (X, Y, Z, 25) float32
    uv: np.ndarray  # (X, Y, Z, 2) float32


def big_pose(body: BodyOfClip, surface: Surface, num_threads: int = 1) -> BigPose:
    """Big-pose vertices and grids: the shard's own, made again where vertices were left out."""
    stored = body.canonical
    vertices = stored["canonical/vertices"][surface.kept]
    if surface.whole:
        return BigPose(vertices, stored["canonical/bigpose_weights"], stored["canonical/bigpose_uv"])
    closest = grids.closest_surface(grids.grid_axes(vertices), vertices, surface.faces, num_threads)
    vertex_uv = np.zeros((len(vertices), 2), np.float32)
    if len(surface.uv_faces):
        vertex_uv = grids.uv_of_vertices(surface.uv, surface.faces, surface.uv_faces, len(vertices))
    return BigPose(
        vertices,
        grids.bigpose_bw(closest, surface.faces, surface.weights),
        grids.bigpose_uv(closest, surface.faces, vertex_uv),
    )


def frame_grid(body: BodyOfClip, surface: Surface, frame: int) -> np.ndarray:
    """`bweights/{i}.npy` of a frame, shape (X, Y, Z, 25), float32."""
    if surface.whole:
        return body.grid(frame)
    pxyz = body.pxyz(frame)[surface.kept]
    axes = grids.grid_axes(pxyz)
    return grids.vertex_bw(grids.nearest_vertices(axes, pxyz), surface.weights)


def write_uv_obj(path: Path, vertices: np.ndarray, surface: Surface) -> None:
    """`smpl_uv.obj`, with the two spaces before the last corner of a face that the original's reader counts on."""
    lines = [f"v {x:.8f} {y:.8f} {z:.8f}" for x, y, z in vertices]
    lines += [f"vt {u:.8f} {v:.8f}" for u, v in surface.uv]
    lines.append("vn 0.00000000 0.00000000 1.00000000")
    for (a, b, c), (s, t, u) in zip(surface.faces + 1, surface.uv_faces + 1):
        lines.append(f"f {a}/{s}/1 {b}/{t}/1  {c}/{u}/1")
    path.write_text("\n".join(lines) + "\n")
