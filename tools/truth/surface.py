"""True depth and normals of the dressed subject, also where something stands before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tools.truth.cropped import nearest
from tools.truth.records import Record
from workflow.stage import Params
from workflow.stages.body import Body
from workflow.stages.crop import Crop
from workflow.stages.surface import Surface


def load(params: Params, files: Mapping[str, Path]) -> Callable[[Record, Body, Crop], Surface]:
    """Return the annotator."""
    del params, files
    return lambda record, body, crop: annotate(record, body, crop)


def annotate(record: Record, body: Body, crop: Crop) -> Surface:
    """Depth in metres and normals in the camera frame, by the nearest pixel of what was rendered."""
    height, width = crop.rgb.frame_shape[:2]
    depth, normal = Surface.spool("depth"), Surface.spool("normal")
    valid = body.valid & crop.valid
    covered = []
    for t, (far, facing) in enumerate(zip(record.pictures("body_depth"), record.pictures("body_normal"))):
        depth_here = nearest(far, crop.crop_from_source[t], height, width)
        normal_here = nearest(facing, crop.crop_from_source[t], height, width)
        valid[t] = valid[t] and bool(depth_here.any())
        if not valid[t]:
            depth_here[:], normal_here[:] = 0, 0
        else:
            covered.append(float((depth_here > 0).mean()))
        depth.append(depth_here)
        normal.append(normal_here)
    quality = {"body_share": float(np.mean(covered))} if covered else {}
    return Surface(depth=depth.finish(), normal=normal.finish(), valid=valid, metric=True, quality=quality)
