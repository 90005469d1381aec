"""True human, occluder and scene masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tools.truth.cropped import nearest
from tools.truth.records import Record
from workflow.stage import Params
from workflow.stages.crop import Crop
from workflow.stages.layers import Layers
from workflow.stages.surface import Surface

_HALF = 128  # of the matte: at least half covered is human


def load(params: Params, files: Mapping[str, Path]) -> Callable[[Record, Crop, Surface], Layers]:
    """Return the annotator."""
    del params, files
    return lambda record, crop, surface: annotate(record, crop, surface)


def annotate(record: Record, crop: Crop, surface: Surface) -> Layers:
    """The subject's mask as the crop resampled it, what truly hides the subject, and the rest."""
    height, width = crop.rgb.frame_shape[:2]
    human, occluder, scene = Layers.spool("human"), Layers.spool("occluder"), Layers.spool("scene")
    soft = Layers.spool("matte")
    valid = crop.valid & surface.valid
    humans, hidden = [], []
    for t, (matte, before) in enumerate(zip(crop.matte, record.masks("occluder"))):
        body = matte >= _HALF
        covered = nearest(before, crop.crop_from_source[t], height, width) & ~body
        human.append(body)
        occluder.append(covered)
        scene.append(~(body | covered))
        soft.append(np.where(covered, 0, matte).astype(np.uint8))
        if valid[t]:
            humans.append(float(body.mean()))
            hidden.append(float(covered.sum()) / max(float(body.sum()), 1.0))
    quality = {"valid_share": float(valid.mean()) if len(valid) else 0.0}
    if humans:
        quality |= {
            "human_share": float(np.mean(humans)),
            "occluder_share": float(np.mean(hidden)),  # of the human's visible area
            "occluded_frames": float(np.mean(np.array(hidden) > 0)),
        }
    return Layers(
        human=human.finish(), occluder=occluder.finish(), scene=scene.finish(), matte=soft.finish(), valid=valid,
        quality=quality,
    )  # fmt: skip
