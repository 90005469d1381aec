"""Things and people that move and pass in front of the subject, before a camera that stands still.

Beside the subject they are told from the empty scene. From there they are carried from frame to frame, forwards and
backwards. Errors grow on the way and end where a thing is clear of the subject: soon after (or before) such a frame the
nearer way is believed, else what both ways find.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from tools.layering import HALF
from tools.layers.backdrop import Backdrop, View, backdrop
from tools.layers.carry import Carrier
from tools.layers.missing import disc, height_of
from workflow.stages.crop import Crop
from workflow.stages.surface import Surface

_SIDE_px = 256  # longer side of the compared pictures
_SAMPLES = 24  # frames the empty scene is put together from
_STRIDE = 3  # frames looked at first; what passes is there for longer
_MARGIN = 0.03  # share of the subject's height round the subject that may still be the subject
_SOLID = 0.012  # least half width of a thing, share of the subject's height
_AREA = 0.02  # least area of a thing, share of the subject's
_CLEAR = 0.1  # share of the subject's height beyond which a thing is clear of the subject
_WHOLE = 0.9  # of the largest that was clear of the subject: then nothing of it is in front of the subject
_BINS = (8, 12, 12)  # of 8-bit CIELAB
_NUM_BINS = 8 * 12 * 12
_FEW = 200.0  # pixels of a region that count as much as the whole subject
_JOINTS = 23  # body and feet of COCO-WholeBody
_REGIONS = 1 + _JOINTS
_CHROMA = (68, 188)  # clothes rarely leave this part of it
_TELLING = 3.0  # most that a colour tells: logarithm of how much more frequent it is
_DOUBT = -1.25  # odds from which on a pixel is the thing
_FRESH = 8  # frames from a clear one on for which one way is believed


@dataclass(frozen=True)
class _Look:
    """One frame in the size in which frames are compared; masks (h, w), bool."""

    rgb: np.ndarray
    human: np.ndarray
    body: np.ndarray
    inside: np.ndarray
    matrix: np.ndarray  # its pixels from the source's, shape (3, 3)


class Passing:
    """Where things pass, frame by frame.

    Args:
        masks: Bits of the masks along the last axis, shape (T, h, ceil(w / 8)), uint8.
        width: w.
    """

    def __init__(self, masks: np.ndarray, width: int) -> None:
        self._masks, self._width = masks, width

    def in_frame(self, t: int, shape: tuple[int, ...]) -> np.ndarray:
        """Mask of a frame in the crop's size, (H, W) = `shape`, bool."""
        small = np.unpackbits(self._masks[t], axis=-1, count=self._width)
        if not small.any():
            return np.zeros(shape[:2], bool)
        return cv2.resize(small.astype(np.float32), shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5


def find(crop: Crop, surface: Surface) -> Passing | None:
    """Look for what passes; None where the camera moves or nothing does."""
    valid = np.flatnonzero(crop.valid & surface.valid)
    if len(valid) < _SAMPLES // 2:
        return None
    chosen = valid[np.unique(np.linspace(0, len(valid) - 1, _SAMPLES).astype(int))]
    looks = [_look(crop, surface, t) for t in map(int, chosen)]
    height = float(np.median([height_of(look.body) for look in looks]))
    area = float(np.median([look.human.sum() for look in looks]))
    scene = backdrop([View(look.rgb, _off(look, _MARGIN * height) & look.inside, look.matrix) for look in looks])
    del looks
    if scene is None or area == 0:
        return None
    search = _Search(crop, surface, scene, height, area)
    if not any(search.things(search.look(t)).any() for t in map(int, valid[::_STRIDE])):
        return None
    return search.run()


@dataclass
class _Notes:
    """What the first pass keeps of every frame; masks as bits along the last axis.

    Attributes:
        seed: Things beside the subject.
        open: Where a thing can be: the picture has changed, or that is not known.
        seen: Whether there are seeds, shape (T,).
        clear: Whether there are, and all of them are clear of the subject, shape (T,).
        telling: What colours tell, by region of the subject, shape (regions, bins).
    """

    seed: list[np.ndarray]
    open: list[np.ndarray]
    seen: np.ndarray
    clear: np.ndarray
    telling: np.ndarray


class _Search:
    """The search in one clip."""

    def __init__(self, crop: Crop, surface: Surface, scene: Backdrop, height: float, area: float) -> None:
        self._crop, self._surface, self._scene = crop, surface, scene
        self._height, self._area = height, area
        self._valid = crop.valid & surface.valid
        self._carry = Carrier(height)

    def look(self, t: int) -> _Look:
        return _look(self._crop, self._surface, t)

    def things(self, look: _Look) -> np.ndarray:
        """Things that move beside the subject, shape (h, w), bool."""
        return self._beside(look, self._scene.compare(look.rgb, look.matrix)[0])

    def _beside(self, look: _Look, changed: np.ndarray) -> np.ndarray:
        return self._solid(changed & _off(look, _MARGIN * self._height) & look.inside)

    def run(self) -> Passing:
        """Things in all frames."""
        notes, shape = self._first_pass()
        count = len(self._valid)
        forth = self._carried(range(count), notes, shape)
        back = self._carried(range(count - 1, -1, -1), notes, shape)
        since, until = _distance(notes.clear), _distance(notes.clear[::-1])[::-1]
        masks = []
        for t in range(count):
            if min(since[t], until[t]) > _FRESH:
                masks.append(forth[t] & back[t])
            else:
                masks.append(forth[t] if since[t] <= until[t] else back[t])
        return Passing(np.stack(masks), shape[1])

    def _solid(self, there: np.ndarray) -> np.ndarray:
        """The parts of a mask that are large and thick enough to be a thing."""
        brush = max(round(_SOLID * self._height), 1)
        core = cv2.morphologyEx(there.astype(np.uint8), cv2.MORPH_OPEN, disc(brush))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=4)
        large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= _AREA * self._area) + 1
        things = np.isin(labels, large).astype(np.uint8)
        return (cv2.dilate(things, disc(brush + 1)) > 0) & there

    def _first_pass(self) -> tuple[_Notes, tuple[int, int]]:
        count, shape = len(self._valid), (0, 0)
        seeds, opened = [], []
        seen, clear = np.zeros(count, bool), np.zeros(count, bool)
        of_thing = np.zeros(_NUM_BINS)
        of_subject = np.zeros((count, _REGIONS, _NUM_BINS), np.uint16)
        for t in range(count):
            look = self.look(t)
            shape = look.human.shape
            changed, known = self._scene.compare(look.rgb, look.matrix)
            opened.append(np.packbits(changed | ~known, axis=-1))
            seed = np.zeros(shape, bool)
            if self._valid[t]:
                codes = _codes(look.rgb)
                seed = self._beside(look, changed)
                seen[t] = seed.any()
                clear[t] = seen[t] and not (seed & ~_off(look, _CLEAR * self._height)).any()
                of_thing += np.bincount(codes[seed], minlength=_NUM_BINS)
                places = self._regions(t, shape)[look.human].astype(int) * _NUM_BINS + codes[look.human]
                of_subject[t] = np.bincount(places, minlength=_REGIONS * _NUM_BINS).reshape(_REGIONS, _NUM_BINS)
            seeds.append(np.packbits(seed, axis=-1))
        # The subject alone: before anything comes, after it has gone, and while it is clear of the subject.
        area = np.array([np.unpackbits(seed).sum() for seed in seeds])
        clear |= seen & (area >= _WHOLE * area.max())
        met = np.logical_or.accumulate(seen) & np.logical_or.accumulate(seen[::-1])[::-1] & ~clear
        chosen = ~met if (self._valid & ~met).any() else self._valid
        telling = _telling(of_thing, of_subject[chosen].sum(0, dtype=np.float64))
        return _Notes(seeds, opened, seen, clear, telling), shape

    def _regions(self, t: int, shape: tuple[int, int]) -> np.ndarray:
        """Which joint of the subject is nearest to a pixel, from 1 on, shape (h, w); 0 where that is not known."""
        points = self._crop.keypoints[t, :_JOINTS]
        sure = self._crop.confidence[t, :_JOINTS] > 0
        if not self._valid[t] or not sure.any():
            return np.zeros(shape, np.uint8)
        zoom = shape[1] / self._crop.rgb.shape[2]
        places = np.clip(np.rint((points[sure] + 0.5) * zoom - 0.5), 0, np.array(shape[::-1]) - 1).astype(int)
        spots, names = np.ones(shape, np.uint8), np.zeros(shape, np.uint8)
        spots[places[:, 1], places[:, 0]] = 0
        names[places[:, 1], places[:, 0]] = np.flatnonzero(sure) + 1
        _, nearest = cv2.distanceTransformWithLabels(spots, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
        name_of = np.zeros(nearest.max() + 1, np.uint8)
        name_of[nearest[spots == 0]] = names[spots == 0]
        return name_of[nearest]

    def _carried(self, order: Iterable[int], notes: _Notes, shape: tuple[int, int]) -> dict[int, np.ndarray]:
        """Bits of the masks by frame, carried in an order of frames."""
        out: dict[int, np.ndarray] = {}
        before: np.ndarray | None = None
        mask, at = np.zeros(shape, bool), -1
        for t in order:
            seed = np.unpackbits(notes.seed[t], axis=-1, count=shape[1]) > 0
            if mask.any() and not notes.clear[t]:
                before = before if before is not None else _small(self._crop, at)
                rgb = _small(self._crop, t)
                can = np.unpackbits(notes.open[t], axis=-1, count=shape[1]) > 0
                told = notes.telling[self._regions(t, shape), _codes(rgb)]
                mask, before = self._next(rgb, before, _between(self._crop, at, t), mask, seed, can, told), rgb
            else:
                mask, before = seed, None
            out[t], at = np.packbits(mask, axis=-1), t
        return out

    def _next(
        self,
        rgb: np.ndarray,
        before: np.ndarray,
        matrix: np.ndarray,
        mask: np.ndarray,
        seed: np.ndarray,
        can: np.ndarray,
        told: np.ndarray,
    ) -> np.ndarray:
        """The mask carried on to another frame, with what is found there beside the subject."""
        size = mask.shape[::-1]
        moved = cv2.warpAffine(before, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        there = cv2.warpAffine(mask.astype(np.float32), matrix, size) > 0.5
        odds = self._carry(rgb, moved, there)
        possible = np.isfinite(odds)
        odds = cv2.blur(np.where(possible, odds, -_TELLING) + told, (3, 3))
        found = cv2.morphologyEx(((odds > _DOUBT) & can & possible).astype(np.uint8), cv2.MORPH_OPEN, disc(1))
        whole = cv2.morphologyEx(found | seed.astype(np.uint8), cv2.MORPH_CLOSE, disc(2)) > 0
        return seed | (whole & can)


def _zoom(crop: Crop) -> float:
    return float(_SIDE_px / max(crop.rgb.shape[1:3]))


def _small(crop: Crop, t: int) -> np.ndarray:
    """Picture of a frame in the size in which frames are compared, shape (h, w, 3), uint8."""
    return _shrunk(crop.rgb[t], _zoom(crop))


def _shrunk(picture: np.ndarray, zoom: float) -> np.ndarray:
    size = (max(round(picture.shape[1] * zoom), 1), max(round(picture.shape[0] * zoom), 1))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _matrix(crop: Crop, t: int) -> np.ndarray:
    """Pixels of the small picture from the source's, shape (3, 3)."""
    zoom = _zoom(crop)
    shift = (zoom - 1) / 2
    return np.array([[zoom, 0, shift], [0, zoom, shift], [0, 0, 1.0]]) @ crop.crop_from_source[t]


def _between(crop: Crop, before: int, now: int) -> np.ndarray:
    """Pixels of one frame's small picture from another's, where the camera stands still, shape (2, 3)."""
    return np.asarray((_matrix(crop, now) @ np.linalg.inv(_matrix(crop, before)))[:2])


def _look(crop: Crop, surface: Surface, t: int) -> _Look:
    zoom = _zoom(crop)
    return _Look(
        rgb=_small(crop, t),
        human=_shrunk(crop.matte[t], zoom) >= HALF,
        body=_shrunk((surface.depth[t] > 0).astype(np.uint8) * 255, zoom) >= HALF,
        inside=_shrunk(crop.inside[t].astype(np.uint8) * 255, zoom) == 255,
        matrix=_matrix(crop, t),
    )


def _off(look: _Look, distance_px: float) -> np.ndarray:
    """Pixels farther than a distance from the subject, shape (h, w), bool."""
    subject = (look.human | look.body).astype(np.uint8)
    return cv2.dilate(subject, disc(max(round(distance_px), 1))) == 0


def _codes(rgb: np.ndarray) -> np.ndarray:
    """Bin of every pixel's colour, shape (h, w), int."""
    low, high = _CHROMA
    colours = cv2.cvtColor(cv2.blur(rgb, (3, 3)), cv2.COLOR_RGB2Lab).astype(int)
    light = colours[..., 0] * _BINS[0] // 256
    a, b = (np.clip((colours[..., k] - low) * _BINS[k] // (high - low), 0, _BINS[k] - 1) for k in (1, 2))
    return np.asarray((light * _BINS[1] + a) * _BINS[2] + b)


def _distance(clear: np.ndarray) -> np.ndarray:
    """Frames since the last clear one, (T,); the length of the clip where there was none."""
    count = len(clear)
    last = np.maximum.accumulate(np.where(clear, np.arange(count), -count))
    return np.minimum(np.arange(count) - last, count)


def _telling(of_thing: np.ndarray, of_subject: np.ndarray) -> np.ndarray:
    """How much more frequent colours are in things than in the subject at a place, logarithm.

    Args:
        of_thing: Counts, shape (bins,).
        of_subject: Counts by region, shape (regions, bins); where there are few, those of the whole subject count.
    """
    whole = _density(of_subject.sum(0))
    some = np.stack([_density(counts + _FEW * whole) for counts in of_subject])
    return np.clip(np.log(_density(of_thing) / some), -_TELLING, _TELLING).astype(np.float32)


def _density(counts: np.ndarray) -> np.ndarray:
    smooth = gaussian_filter(counts.reshape(_BINS), 0.7, mode="nearest").ravel()
    return np.asarray(smooth / max(smooth.sum(), 1.0) + 1e-4)
