"""Depth and normals of the posed body, rasterised with the crop's camera."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Callable

import numpy as np

from model_zoo.body.smpl import SmplModel
from model_zoo.raster.attributes import pixel_normals, vertex_normals
from model_zoo.raster.zbuffer import Rasterizer
from workflow.stages.body import Body
from workflow.stages.crop import Crop
from workflow.stages.surface import MeshParams, Surface

_UNIT = 127.0  # int8 value of a unit normal's component
_FARTHEST_m = 60_000.0  # largest depth the artifact may hold (float16 ends at 65504)
_CHUNK = 16  # frames posed in one matrix product


def load(params: MeshParams, files: Mapping[str, Path]) -> Callable[[Body, Crop], Surface]:
    """Read the body model and return the renderer."""
    model = SmplModel.load(files["body_model"])
    return lambda body, crop: render(model, body, crop)


def render(model: SmplModel, body: Body, crop: Crop) -> Surface:
    """Rasterise the body of every valid frame.

    Normals are unit vectors per pixel, from area-weighted vertex normals blended over each face; depth is exact to
    float16. Pixels that see no body, and frames in which body or crop are invalid, are 0.
    """
    height, width = crop.rgb.frame_shape[:2]
    rasterizer = Rasterizer(height, width)
    poser = model.poser(body.betas)
    depth, normal = Surface.spool("depth"), Surface.spool("normal")
    no_depth, no_normal = np.zeros((height, width), np.float16), np.zeros((height, width, 3), np.int8)
    valid = body.valid & crop.valid
    covered, facing = [], []
    for start in range(0, len(valid), _CHUNK):
        span = slice(start, start + _CHUNK)
        posed = poser.vertices(body.global_orient[span], body.body_pose[span], body.transl[span])
        for t, vertices in enumerate(posed, start=start):
            seen = None
            if valid[t]:
                raster = rasterizer(vertices, model.faces, crop.intrinsics[t])
                seen = (raster.face_index >= 0) & (raster.depth < _FARTHEST_m)
                valid[t] = bool(seen.any())
            if seen is None or not valid[t]:
                depth.append(no_depth)
                normal.append(no_normal)
                continue
            normals = pixel_normals(raster, model.faces, vertex_normals(vertices, model.faces))
            normals[~seen] = 0.0
            depth.append(np.where(seen, raster.depth, 0.0).astype(np.float16))
            normal.append(np.rint(normals * _UNIT).astype(np.int8))
            covered.append(seen.mean())
            facing.append((normals[seen, 2] < 0).mean())
    quality = {"body_share": float(np.mean(covered)), "facing_share": float(np.mean(facing))} if covered else {}
    return Surface(depth=depth.finish(), normal=normal.finish(), valid=valid, metric=True, quality=quality)
