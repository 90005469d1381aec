"""Things that stand in front of the subject before a camera that stands still.

Where such a thing is, pixels look the same whether the body is behind them or not. That holds for things of any width,
and a network that takes a thin post for a part of the person is not asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tools.layering import HALF
from tools.layers.missing import disc, height_of
from tools.still import lab, middle
from workflow.stages.crop import Crop
from workflow.stages.surface import Surface

_SAMPLES = 24  # frames that are compared
_ZOOM = 0.5  # size of the compared pictures over the crop's
_TIMES = 2  # frames that must show a pixel with the body behind it, and frames without
_MOSTLY = 0.8  # share of the frames in which it must look the same
_SAME = 7.0  # weighted CIELAB units within which a pixel is unchanged
_STILL = 0.8  # share of the pixels beside the subject that must be unchanged: the camera stands still
_CONTRAST = 14.0  # by which a thing must differ from the subject beside it
_GAP = 0.05  # half width of what may part the subject in two, share of the body's height
_TAKEN = 0.3  # share of a seed that must have been taken for the subject at least once
_GOES_ON = 1.5  # or area of the thing over the seed's
_FREE = 0.3  # share of a thing that the subject leaves in most frames
_ALIKE = (4.0, 10.0)  # least and most difference from a thing's colour at which it goes on
_SMALLEST = 0.0004  # of the picture
_WIDER = 1.3  # a thing goes on where it is at most so much wider than where the body passed behind it


@dataclass(frozen=True)
class Standing:
    """What stands in front.

    Attributes:
        thing: Shape (h, w), bool, in the small picture of the clip's first valid frame.
        colour: Shape (h, w, 3), weighted CIELAB of it.
        first: `crop_from_source` of that frame, shape (3, 3).
    """

    thing: np.ndarray
    colour: np.ndarray
    first: np.ndarray

    def in_frame(self, rgb: np.ndarray, crop_from_source: np.ndarray) -> np.ndarray:
        """Pixels of a frame that show it, shape (H, W), bool.

        Args:
            rgb: Shape (H, W, 3), uint8, the crop.
            crop_from_source: Shape (3, 3), of the frame.
        """
        size = rgb.shape[1::-1]
        matrix = (crop_from_source @ np.linalg.inv(self.first) @ np.linalg.inv(_small()))[:2]
        there = cv2.warpAffine(self.thing.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR) > 0.5
        if not there.any():
            return there
        colour = cv2.warpAffine(self.colour, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        same = np.linalg.norm(cv2.blur(lab(rgb), (3, 3)) - colour, axis=-1) < 1.5 * _SAME
        return there & same


def find(crop: Crop, surface: Surface) -> Standing | None:
    """Look for what stands in front of the subject; None where the camera moves or nothing does."""
    valid = np.flatnonzero(crop.valid & surface.valid)
    if len(valid) < 2 * _TIMES:
        return None
    chosen = valid[np.unique(np.linspace(0, len(valid) - 1, _SAMPLES).astype(int))]
    first = crop.crop_from_source[chosen[0]]
    colours, human, body, seen = [], [], [], []
    for t in map(int, chosen):
        rgb, matrix = crop.rgb[t], (_small() @ first @ np.linalg.inv(crop.crop_from_source[t]))[:2]
        size = (round(rgb.shape[1] * _ZOOM), round(rgb.shape[0] * _ZOOM))

        def moved(picture: np.ndarray, matrix: np.ndarray = matrix, size: tuple[int, int] = size) -> np.ndarray:
            return cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR)

        colours.append(lab(moved(cv2.blur(rgb, (2, 2)))))
        human.append(moved(crop.matte[t]) >= HALF)
        body.append(moved((surface.depth[t] > 0).astype(np.uint8)) > 0)
        seen.append(moved(crop.inside[t].astype(np.uint8)) > 0)
    return _compared(np.stack(colours), np.stack(human), np.stack(body), np.stack(seen), first)


def _compared(
    colours: np.ndarray, human: np.ndarray, body: np.ndarray, seen: np.ndarray, first: np.ndarray
) -> Standing | None:
    """The same for small pictures: (N, h, w, 3) and thrice (N, h, w)."""
    height = height_of(body[0])
    brush = disc(max(round(0.02 * height), 1))
    off = np.stack([cv2.dilate((h | b).astype(np.uint8), brush) == 0 for h, b in zip(human, body)]) & seen
    plate, known = _middle(colours, off)
    if not known.any() or known.sum() < _STILL * (off.sum(0) >= _TIMES).sum():
        return None
    same = (np.linalg.norm(colours - plate, axis=-1) < _SAME) & known
    # Behind the thing is where the body is drawn and the subject is seen, or seen on both sides.
    bridge = disc(max(round(_GAP * height), 1))
    inner = disc(max(round(0.005 * height), 1))
    behind = np.stack(
        [
            (cv2.erode(b.astype(np.uint8), inner) & cv2.morphologyEx(h.astype(np.uint8), cv2.MORPH_CLOSE, bridge)) > 0
            for h, b in zip(human, body)
        ]
    )
    times = behind.sum(0)
    seeds = known & (times >= _TIMES) & ((same & behind).sum(0) >= _MOSTLY * times)
    seeds = cv2.morphologyEx(seeds.astype(np.uint8), cv2.MORPH_OPEN, disc(1))
    # As it looks in most frames, whether the subject is behind it or beside it.
    usual, steady = _middle(colours, ~human & seen)
    free = off.sum(0) > 0.5 * seen.sum(0)
    thing, colour = np.zeros(seeds.shape, bool), usual
    count, labels, stats, _ = cv2.connectedComponentsWithStats(seeds, connectivity=8)
    for k in range(1, count):
        if stats[k, cv2.CC_STAT_AREA] < _SMALLEST * seeds.size:
            continue
        seed = labels == k
        tone = np.median(plate[seed], axis=0)
        spread = np.clip(2 * np.median(np.linalg.norm(plate[seed] - tone, axis=-1)), *_ALIKE)
        alike = _no_wider((steady & (np.linalg.norm(usual - tone, axis=-1) < spread)) | seed, seed)
        _, parts = cv2.connectedComponents(alike.astype(np.uint8), connectivity=8)
        whole = np.isin(parts, np.unique(parts[seed]))
        # What no network took for the subject and ends where the body does is a gap that the drawn body covers; what
        # the subject hardly ever leaves is the subject.
        rim = human & (cv2.dilate(seed.astype(np.uint8), bridge) > 0) & ~same
        if not rim.any() or np.linalg.norm(np.median(colours[rim], axis=0) - tone) < _CONTRAST:
            continue  # scenery of the subject's own colour
        taken = human[:, seed].any(0).mean() > _TAKEN or whole.sum() > _GOES_ON * seed.sum()
        if taken and free[whole].mean() > _FREE:
            thing |= whole
    return Standing(thing, colour, first) if thing.any() else None


def _middle(colours: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median colour of every pixel over the frames chosen for it, and whether there were enough, nearly the same."""
    median, count, alike = middle(colours, chosen, _SAME)
    return median, (count >= _TIMES) & (alike >= _MOSTLY * count)


def _no_wider(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Leave out of a mask what is wider than the seed in it: other things of the same colour."""
    half = cv2.distanceTransform(np.pad(seed, 1).astype(np.uint8), cv2.DIST_L2, 3).max()
    wide = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc(int(np.ceil(_WIDER * half)) + 1))
    return (mask & (wide == 0)) | seed


def _small() -> np.ndarray:
    """The small picture's pixels from the crop's, shape (3, 3)."""
    shift = (_ZOOM - 1) / 2
    return np.array([[_ZOOM, 0, shift], [0, _ZOOM, shift], [0, 0, 1.0]])
