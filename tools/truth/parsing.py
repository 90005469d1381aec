"""True masks and part labels of the subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tools.truth.records import Record
from workflow.stage import Params
from workflow.stages.body import Body
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.parsing import Parsing


def load(params: Params, files: Mapping[str, Path]) -> Callable[[Record, Frames, Keypoints, Body], Parsing]:
    """Return the annotator."""
    del params, files
    return lambda record, frames, keypoints, body: annotate(record, keypoints)


def annotate(record: Record, keypoints: Keypoints) -> Parsing:
    """Matte, 255 or 0 by what the centre of a pixel shows, and labels of what is seen of the subject."""
    matte, labels = Parsing.spool("matte"), Parsing.spool("labels")
    area = []
    for human, parts in zip(record.masks("human"), record.pictures("parsing")):
        matte.append(human.view(np.uint8) * np.uint8(255))
        labels.append(parts)
        area.append(float(human.mean()))
    valid = keypoints.valid.copy()
    quality = {"valid_share": float(valid.mean()), "human_share": float(np.mean(area))}
    return Parsing(matte=matte.finish(), labels=labels.finish(), valid=valid, quality=quality)
