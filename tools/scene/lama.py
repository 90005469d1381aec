"""The scene without the subject: pixels of other frames first, LaMa for what no frame shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import cv2
import numpy as np

from model_zoo.lama.network import Lama
from model_zoo.loading.device import choose
from tools.faults import of_networks
from tools.scene import temporal
from tools.scene.motion import Motion, estimate
from workflow.conventions import SCENE_INPAINTED
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import LamaParams, Scene, TemporalParams

WEIGHT = "big-lama"
_LABEL = "scene/lama"
_PAINTINGS = 6  # kept; what was invented once is shown again in the frames that follow
_WORTH_KEEPING = 0.05  # share of a hole that was painted anew
_SEEN = 250  # of 255, in a warped mask

Filler = Callable[[Frames, Parsing, Crop, Layers], Scene]
Painter = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Painting:
    """A frame that was painted: its index, the picture, and where it was invented, shape (H, W)."""

    index: int
    rgb: np.ndarray
    where: np.ndarray


def load(params: LamaParams, files: Mapping[str, Path]) -> Filler:
    """Open LaMa and return the filler.

    Raises:
        ToolError: The file is not LaMa, or the device is not there.
    """
    with of_networks(_LABEL):
        network = Lama(files[WEIGHT], choose(params.device))
    fill = temporal.load(TemporalParams(dilate_px=params.dilate_px, samples=params.samples), {})

    def remove(frames: Frames, parsing: Parsing, crop: Crop, layers: Layers) -> Scene:
        filled = fill(frames, parsing, crop, layers)
        if not filled.quality.get("inpainted_share"):
            return filled
        motion = estimate(frames.rgb, parsing.matte)
        with of_networks(_LABEL):
            return paint(network, filled, crop, motion)

    return remove


def paint(network: Painter, filled: Scene, crop: Crop, motion: Motion) -> Scene:
    """Replace what the temporal fill inpainted.

    A place that was painted in an earlier frame is shown again, camera motion compensated, so that the invented
    background stands still; only the rest goes through the network.

    Args:
        network: Maps a picture (H, W, 3) uint8 and a hole (H, W) bool to a painted picture.
        filled: Result of the temporal fill.
        crop: Where the frames of the scene lie in the source.
        motion: Camera motion.
    """
    rgb = Scene.spool("rgb")
    paintings: deque[_Painting] = deque(maxlen=_PAINTINGS)
    runs = 0
    for t, (picture, origin, inside) in enumerate(zip(filled.rgb, filled.origin, crop.inside)):
        hole = origin == SCENE_INPAINTED
        if not hole.any():
            rgb.append(picture)
            continue
        rest = hole.copy()
        for painting in paintings:  # oldest first: what was invented first stays
            if rest.any():
                _show_again(picture, rest, painting, t, crop, motion)
        if rest.any():
            painted = network(picture, rest | ~inside)
            picture[rest] = painted[rest]
            runs += 1
            if rest.sum() > _WORTH_KEEPING * hole.sum():
                paintings.append(_Painting(t, picture.copy(), hole))
        rgb.append(picture)
    quality = {**filled.quality, "painted_frames": runs / max(len(filled.valid), 1)}
    return Scene(rgb=rgb.finish(), origin=filled.origin, valid=filled.valid, quality=quality)


def _show_again(picture: np.ndarray, rest: np.ndarray, painting: _Painting, t: int, crop: Crop, motion: Motion) -> None:
    """Copy what an earlier frame invented to where it is now; clears `rest` there."""
    matrix = crop.crop_from_source[t] @ motion.between(t, painting.index)
    matrix = matrix @ np.linalg.inv(crop.crop_from_source[painting.index])
    size = rest.shape[::-1]
    there = cv2.warpPerspective(painting.where.astype(np.uint8) * 255, matrix, size) >= _SEEN
    take = rest & there
    if take.any():
        moved = cv2.warpPerspective(painting.rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        picture[take] = moved[take]
        rest &= ~take
