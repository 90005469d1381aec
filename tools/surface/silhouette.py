"""Where the posed body is in the crop, for backends whose network sees pictures only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from model_zoo.body.smpl import SmplModel
from model_zoo.raster.zbuffer import Rasterizer
from workflow.stages.body import Body
from workflow.stages.crop import Crop

_CHUNK = 16  # frames posed in one matrix product


def silhouettes(model: SmplModel, body: Body, crop: Crop) -> Iterator[np.ndarray]:
    """Pixels of the body, whether it is visible or covered, frame by frame, shape (H, W), bool.

    Empty where body or crop are not valid.
    """
    height, width = crop.rgb.frame_shape[:2]
    rasterizer = Rasterizer(height, width)
    poser = model.poser(body.betas)
    valid = body.valid & crop.valid
    for start in range(0, len(valid), _CHUNK):
        span = slice(start, start + _CHUNK)
        posed = poser.vertices(body.global_orient[span], body.body_pose[span], body.transl[span])
        for t, vertices in enumerate(posed, start=start):
            if valid[t]:
                yield rasterizer(vertices, model.faces, crop.intrinsics[t]).face_index >= 0
            else:
                yield np.zeros((height, width), bool)
