"""True human, occluder and scene masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tools.layering import HALF, Layering
from tools.truth.cropped import nearest
from tools.truth.records import Record
from workflow.stage import Params
from workflow.stages.crop import Crop
from workflow.stages.layers import Layers
from workflow.stages.surface import Surface


def load(params: Params, files: Mapping[str, Path]) -> Callable[[Record, Crop, Surface], Layers]:
    """Return the annotator."""
    del params, files
    return lambda record, crop, surface: annotate(record, crop, surface)


def annotate(record: Record, crop: Crop, surface: Surface) -> Layers:
    """The subject's mask as the crop resampled it, what truly hides the subject, and the rest."""
    height, width = crop.rgb.frame_shape[:2]
    layers = Layering(crop.valid & surface.valid)
    for t, (matte, before) in enumerate(zip(crop.matte, record.masks("occluder"))):
        human = matte >= HALF
        layers.add(human, nearest(before, crop.crop_from_source[t], height, width) & ~human, matte)
    return layers.finish()
