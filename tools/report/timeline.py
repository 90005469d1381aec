"""What every stage says of every frame of a clip, as strips over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from tools.page import charts
from tools.page.figures import shown, spanned
from workflow.shard import FRAME_FIGURES, JUDGES
from workflow.shard_reader import Clip, Shard

_DISTANCE = "distance"


@dataclass(frozen=True)
class Strip:
    """One strip.

    Attributes:
        title: What it shows.
        told: The figures in short.
        chart: Picture.
        thin: Whether it only says yes or no.
    """

    title: str
    told: str
    chart: Markup
    thin: bool = False


@dataclass(frozen=True)
class _Line:
    """How a figure of every frame is shown: by which stage's verdict, in which unit, up to which value at least."""

    title: str
    judge: str
    unit: str
    top: float = 0.0


_LINES = {
    "keypoint_confidence": _Line("keypoint confidence", "keypoints", "", 1.0),
    "reprojection_error": _Line("reprojection error", "body", "px"),
    _DISTANCE: _Line("distance of the body", "body", "m"),
    "human_area": _Line("human, share of the frame", "layers", "%"),
    "occluder_area": _Line("occluder, share of the frame", "layers", "%"),
    "scene_other_frame": _Line("scene from other frames", "scene", "%"),
    "scene_inpainted": _Line("scene invented", "scene", "%"),
}


def strips(shard: Shard, clip: Clip, moments: Sequence[int]) -> list[Strip]:
    """Strips of a clip of at least one frame.

    Args:
        shard: Where it is.
        clip: The clip.
        moments: Frames to mark, those of the contact sheet.
    """
    span = clip.start, clip.start + clip.length
    verdicts = shard.array("layer_valid").read(*span)
    figures = shard.array("frame_quality").read(*span)
    found = [_verdict("all stages", verdicts.all(axis=1), moments)]
    found += [_verdict(name, verdicts[:, column], moments) for column, name in enumerate(JUDGES)]
    values = {name: figures[:, column] for column, name in enumerate(FRAME_FIGURES)}
    if clip.metric_depth:
        values[_DISTANCE] = shard.array("joints").read(*span)[:, 0, 2]
    for name, line in _LINES.items():
        if name in values:
            found.append(_line(line, values[name].astype(np.float64), verdicts[:, JUDGES.index(line.judge)], moments))
    return found


def _verdict(title: str, flags: np.ndarray, moments: Sequence[int]) -> Strip:
    told = f"{int(flags.sum())} of {len(flags)}"
    return Strip(title, told, charts.band(flags, moments, f"{title}: valid in {told} frames"), thin=True)


def _line(line: _Line, values: np.ndarray, known: np.ndarray, moments: Sequence[int]) -> Strip:
    if not known.any():
        chart = charts.line(values, known, 1.0, moments, f"{line.title}: nothing known")
        return Strip(line.title, "nothing known", chart)
    low, mean, high = (float(f(values[known])) for f in (np.min, np.mean, np.max))
    told = f"mean {shown(mean, line.unit)}, {spanned(low, high, line.unit)}"
    top = max(high, line.top) or 1.0
    return Strip(line.title, told, charts.line(values, known, top, moments, f"{line.title}: {told}"))
