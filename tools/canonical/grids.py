"""Big pose, its blend-weight and uv grids, and per-frame nearest-vertex grids, by exact search.

The body frame is EasyMocap's: vertices = R pxyz + Th with R about the origin, so `pxyz` is the body posed without its
global rotation and translation, and Th = transl + J0 - R J0 (instant-nvr, tools/prepare_zjumocap.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import numpy as np

from model_zoo.body.skeleton import PARENTS
from model_zoo.body.smpl import Poser, SmplModel
from model_zoo.canonical import bigpose, grids
from model_zoo.canonical.packing import PackedGrid, pack_grid
from workflow.errors import Rejected
from workflow.stages.body import Body
from workflow.stages.canonical import Canonical, GridsParams

_THREADS = 1  # the job shares the machine with the stages of the crop, which do not wait for it
_CHUNK = 16  # frames posed in one matrix product and searched before they are written
_NO_GRID = PackedGrid(np.zeros(3), np.zeros((0, 0, 0), np.uint16))  # of a frame without a body


def load(params: GridsParams, files: Mapping[str, Path]) -> Callable[[Body], Canonical]:
    """Read the body model and return what makes the assets of a clip."""
    model = SmplModel.load(files["body_model"])
    return lambda body: assets(model, body, params)


def assets(model: SmplModel, body: Body, params: GridsParams) -> Canonical:
    """Canonical assets of a clip; the big pose is that of the first valid frame.

    Raises:
        Rejected: No frame has a body.
    """
    if not body.valid.any():
        raise Rejected("no frame has a body, so there is no big pose")
    poser = model.poser(body.betas)
    first = int(np.flatnonzero(body.valid)[0])
    big_vertices = _bigpose_vertices(model, poser, body.body_pose[first])
    axes = grids.grid_axes(big_vertices, params.voxel_m, params.padding_m)
    closest = grids.closest_surface(axes, big_vertices, model.faces, _THREADS)

    nearest, origin, voxels = Canonical.spool("nearest"), np.zeros((len(body.valid), 3)), []
    for t, packed in enumerate(_frame_grids(poser, body, params)):
        origin[t] = packed.origin
        nearest.append(packed.nearest)
        if body.valid[t]:
            voxels.append(packed.nearest.size)
    return Canonical(
        vertices=big_vertices,
        joints=poser.joints_rest,
        parents=np.array(PARENTS).astype(np.uint32),
        faces=model.faces.astype(np.uint32),
        weights=model.weights.astype(np.float32),
        bigpose_origin=np.array([axis[0] for axis in axes]),
        bigpose_weights=grids.bigpose_bw(closest, model.faces, model.weights),
        bigpose_uv=grids.bigpose_uv(closest, model.faces, _vertex_uv(model)),
        origin=origin,
        nearest=nearest.finish(),
        valid=body.valid.copy(),
        quality={
            "voxels_per_frame": float(np.mean(voxels)),
            "bigpose_voxels": float(closest.face.size),
            "uv_share": float(len(model.ft) > 0),
        },
    )


def _bigpose_vertices(model: SmplModel, poser: Poser, body_pose: np.ndarray) -> np.ndarray:
    """Vertices of one frame carried to the big pose, (V, 3) float64."""
    pose = np.concatenate([np.zeros(3), body_pose.astype(np.float64)])
    chain = bigpose.pose_chain(pose, poser.joints_rest, PARENTS)
    big_chain = bigpose.pose_chain(bigpose.big_pose(), poser.joints_rest, PARENTS)
    return bigpose.bigpose_vertices(_body_frame(poser, body_pose[None])[0], chain, big_chain, model.weights)


def _body_frame(poser: Poser, body_pose: np.ndarray) -> np.ndarray:
    """`pxyz` of frames, (T, V, 3) float64, m, body frame."""
    still = np.zeros((len(body_pose), 3))
    return poser.vertices(still, body_pose, still).astype(np.float64)


def _frame_grids(poser: Poser, body: Body, params: GridsParams) -> Iterator[PackedGrid]:
    """Grid of every frame in order, a few frames at a time."""

    def search(pxyz: np.ndarray) -> PackedGrid:
        axes = grids.grid_axes(pxyz, params.voxel_m, params.padding_m)
        return pack_grid(axes, grids.nearest_vertices(axes, pxyz).vertex)

    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(body.valid), _CHUNK):
            valid = body.valid[start : start + _CHUNK]
            found = pool.map(search, _body_frame(poser, body.body_pose[start : start + _CHUNK][valid]))
            for seen in valid:
                yield next(found) if seen else _NO_GRID


def _vertex_uv(model: SmplModel) -> np.ndarray:
    """Texture coordinate of every vertex, (V, 2); 0 where the body file has none."""
    if not len(model.ft):
        return np.zeros((len(model.v_template), 2), np.float32)
    return grids.uv_of_vertices(model.vt, model.faces, model.ft, len(model.v_template))
