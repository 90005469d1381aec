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
_RIM_px = 4.0  # width of that rim, at 512; a wide one shows again what moves with the subject
_CONTEXT_px = 64.0  # round a sliver, that the network sees, at 512
_SEEN = 250  # of 255, in a warped mask

Filler = Callable[[Frames, Parsing, Crop, Layers], Scene]
Painter = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Painting:
    """A frame that was painted: its index, the picture, and where it may be shown again, shape (H, W), bool.

    That is where it was invented and a rim of what was known beside it, which fills the slivers that differ from
    frame to frame.
    """

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
    pixels = 0
    scale = max(crop.rgb.frame_shape[:2]) / 512
    radius = max(int(_RIM_px * scale), 1)
    brush = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
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
            much = rest.sum() > _WORTH_KEEPING * hole.sum()
            part = (slice(None), slice(None)) if much else _round(rest, scale)
            painted = network(picture[part], (rest | ~inside)[part])
            picture[part][rest[part]] = painted[rest[part]]
            pixels += rest[part].size
            if much:
                paintings.append(_Painting(t, picture.copy(), cv2.dilate(hole.astype(np.uint8), brush) > 0))
        rgb.append(picture)
    whole = max(int(np.prod(filled.origin.shape)), 1)
    quality = {**filled.quality, "painted_share": pixels / whole}  # of all pixels, that went through the network
    return Scene(rgb=rgb.finish(), origin=filled.origin, valid=filled.valid, quality=quality)


def _round(rest: np.ndarray, scale: float) -> tuple[slice, slice]:
    """Rows and columns of some pixels with what the network needs to see round them."""
    x, y, width, height = cv2.boundingRect(rest.astype(np.uint8))
    margin = int(_CONTEXT_px * scale)
    return slice(max(y - margin, 0), y + height + margin), slice(max(x - margin, 0), x + width + margin)


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
