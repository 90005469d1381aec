"""The scene without the subject: pixels of other frames, camera motion compensated, then inpainting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Callable

import cv2
import numpy as np

from tools.ahead import ahead
from tools.scene.blend import adjust, attached, feather
from tools.scene.difference import farthest_channel
from tools.scene.motion import Motion, estimate
from tools.scene.plate import Donor, Plate, build, fill, inpaint, movers
from tools.scene.thing import continued
from workflow.conventions import SCENE_FROM_OTHER_FRAME, SCENE_INPAINTED, SCENE_OBSERVED
from workflow.stages.crop import Crop
from workflow.stages.frames import Frames
from workflow.stages.layers import Layers
from workflow.stages.parsing import Parsing
from workflow.stages.scene import Scene, TemporalParams

_REFERENCE_px = 512  # picture size for which lengths are given
_TRACE = 8  # matte from which on a pixel is not purely scene
_LARGEST_DONOR_px = 1_200_000  # pixels of a sampled frame in memory; larger frames are reduced
_CONTEXT_px = 72  # of known scene round a hole, that a plate holds for matching and inpainting
_REACH_px = 64.0  # beside the subject, up to which what moves with it is removed
_BORDER_px = 12.0  # beyond it, for matching colours
_DIFFERENT = 26  # 8-bit colours
_MOSTLY = 0.5
_THING_px = 40.0  # size of a thing in the subject's hands that must not get into a plate


def load(params: TemporalParams, files: Mapping[str, Path]) -> Callable[[Frames, Parsing, Crop, Layers], Scene]:
    """Return the filler."""
    del files
    return lambda frames, parsing, crop, layers: _Clip(params, frames, parsing, crop, layers).remove()


class _Clip:
    """Removes the subject from one clip."""

    def __init__(self, params: TemporalParams, frames: Frames, parsing: Parsing, crop: Crop, layers: Layers) -> None:
        self._params = params
        self._frames = frames
        self._parsing = parsing
        self._crop = crop
        self._layers = layers
        self._count = len(crop.valid)
        self._scale = max(crop.rgb.frame_shape[:2]) / _REFERENCE_px  # of lengths in the crop
        zoom = float(np.median(crop.crop_from_source[:, 0, 0])) if self._count else 1.0
        pixels = frames.rgb.frame_shape[0] * frames.rgb.frame_shape[1]
        self._density = min(1.0, zoom, float(np.sqrt(_LARGEST_DONOR_px / max(pixels, 1))))  # plate px per source px
        self._motion = Motion(np.zeros((0, 3, 3)), static=True, residual_px=0.0)
        self._occluder_moves = False

    def remove(self) -> Scene:
        """Fill every frame."""
        rgb, origin = Scene.spool("rgb"), Scene.spool("origin")
        donors: list[Donor] = []
        self._motion = estimate(self._sampling(donors), self._parsing.matte)
        plates = self._plates(donors)
        sampled = {donor.index for donor in donors}
        del donors
        self._occluder_moves = self._moving_occluder(sampled, plates)
        shares = np.zeros(3)
        valid = self._crop.valid & self._layers.valid
        for t, (picture, hole, covered, subject) in enumerate(ahead(self._holes(with_rgb=True))):
            filled, source = self._fill(t, picture, hole, covered, subject, plates)
            rgb.append(filled)
            origin.append(source)
            shares += np.bincount(source.ravel(), minlength=3)[:3]
        shares /= max(shares.sum(), 1.0)
        removed = max(shares[1] + shares[2], 1e-9)
        return Scene(
            rgb=rgb.finish(),
            origin=origin.finish(),
            valid=valid,
            quality={
                "observed_share": float(shares[SCENE_OBSERVED]),
                "other_frame_share": float(shares[SCENE_FROM_OTHER_FRAME]),
                "inpainted_share": float(shares[SCENE_INPAINTED]),
                "removed_seen_share": float(shares[1] / removed),  # of the removed pixels
                "alignment_residual_px": self._motion.residual_px,
                "static_camera": float(self._motion.static),
            },
        )

    def _samples(self) -> list[int]:
        count = min(max(self._params.samples, 1), self._count)
        return sorted({int(i) for i in np.linspace(0, self._count - 1, count).round()}) if self._count else []

    def _sampling(self, donors: list[Donor]) -> Iterator[np.ndarray]:
        """Frames in order; keeps the sampled ones on the way."""
        wanted = set(self._samples())
        source_px = (
            self._params.dilate_px * self._scale / max(float(np.median(self._crop.crop_from_source[:, 0, 0])), 1e-6)
        )
        radius = max(int(round(source_px * self._density)), 1)
        brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        for t, picture in enumerate(self._frames.rgb):
            if t in wanted and self._parsing.valid[t]:
                size = self._donor_size(picture.shape)
                small = (
                    cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if size != picture.shape[1::-1] else picture
                )
                matte = cv2.resize(self._parsing.matte[t], size, interpolation=cv2.INTER_AREA)
                donor_from_crop = (self._donor_from_source() @ np.linalg.inv(self._crop.crop_from_source[t]))[:2]
                hidden = cv2.warpAffine(
                    self._layers.occluder[t].astype(np.uint8), donor_from_crop, size, flags=cv2.INTER_NEAREST
                )
                subject = cv2.dilate(((matte > _TRACE) | (hidden > 0)).astype(np.uint8), brush)
                donors.append(Donor(t, small, (1 - subject) * np.uint8(255)))
            yield picture

    def _donor_size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return max(int(round(shape[1] * self._density)), 1), max(int(round(shape[0] * self._density)), 1)

    def _donor_from_source(self) -> np.ndarray:
        height, width = self._frames.rgb.frame_shape[:2]
        size = self._donor_size((height, width))
        x, y = size[0] / width, size[1] / height
        return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])

    def _holes(self, *, with_rgb: bool) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Frame, hole, occluder and subject of every frame, crop size."""
        radius = max(int(round(self._params.dilate_px * self._scale)), 1)
        brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        pictures = self._crop.rgb if with_rgb else [None] * self._count
        rows = zip(pictures, self._crop.inside, self._layers.human, self._layers.occluder, self._layers.matte)
        for picture, inside, human, occluder, matte in rows:
            subject = human | (matte > _TRACE)
            hole = cv2.dilate(subject.astype(np.uint8), brush).astype(bool) & inside
            covered = occluder
            if picture is not None and occluder.any():
                covered = continued(occluder, picture, ~human & inside, _THING_px * self._scale)
            covered = cv2.dilate(covered.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & inside & ~human
            yield picture, hole & ~covered, covered, subject

    def _plates(self, donors: list[Donor]) -> list[Plate]:
        """One plate for a camera that stands still, one per sampled frame otherwise."""
        if not donors:
            return []
        keys = [donors[len(donors) // 2].index] if self._motion.static else [donor.index for donor in donors]
        needed = self._needed(keys)
        donor_from_source = self._donor_from_source()
        source_from_donor = np.linalg.inv(donor_from_source)
        plates: dict[int, Plate] = {}
        wanted: dict[int, np.ndarray] = {}
        for again in (False, True):  # the second time without what the first plates show to be moving
            for key in keys:
                box, mask = needed[key]
                if box is None:
                    continue
                plate_from_source = np.array([[1, 0, -box[0]], [0, 1, -box[1]], [0, 0, 1]], np.float64)
                plate_from_source = plate_from_source @ donor_from_source
                order = sorted(donors, key=lambda donor: (abs(donor.index - key), donor.index))  # noqa: B023
                matrices = [plate_from_source @ self._motion.between(key, d.index) @ source_from_donor for d in order]
                size = (box[2] - box[0], box[3] - box[1])
                votes = {"closest": len(order)} if self._motion.static else {}
                plates[key] = build(key, plate_from_source, size, mask, order, matrices, **votes)
                wanted[key] = mask
            if not again:
                donors = [self._without_movers(donor, plates, keys) for donor in donors]
        done: list[Plate] = []
        middle = keys[len(keys) // 2]
        for key in sorted(plates, key=lambda k: (abs(k - middle), k)):
            plate = plates[key]
            beside = min(done, key=lambda other: (abs(other.index - key), other.index)) if done else None  # noqa: B023
            matrix = None
            if beside is not None:
                matrix = plate.plate_from_source @ self._motion.between(key, beside.index)
                matrix = matrix @ np.linalg.inv(beside.plate_from_source)
            inpaint(plate, wanted[key], self._params.inpaint_radius_px, beside, matrix)
            done.append(plate)
        return [plates[key] for key in keys if key in plates]

    def _without_movers(self, donor: Donor, plates: dict[int, Plate], keys: list[int]) -> Donor:
        """Mark as not clear what moves with the subject in a donor."""
        key = keys[0] if self._motion.static else donor.index
        if key not in plates:
            return donor
        plate = plates[key]
        donor_from_plate = self._donor_from_source() @ np.linalg.inv(plate.plate_from_source)  # a shift by whole pixels
        x, y = np.rint(donor_from_plate[:2, 2]).astype(int)
        height, width = plate.state.shape
        part = (slice(y, y + height), slice(x, x + width))
        clear = donor.clear[part] > 0
        zoom = float(np.median(self._crop.crop_from_source[:, 0, 0]))
        moving = movers(
            donor.rgb[part], clear, plate, ~clear, int(_THING_px * self._scale * self._density / max(zoom, 1e-6))
        )
        cleared = donor.clear.copy()
        cleared[part][moving] = 0
        return Donor(donor.index, donor.rgb, cleared)

    def _needed(self, keys: list[int]) -> dict[int, tuple[tuple[int, int, int, int] | None, np.ndarray]]:
        """Where each plate is wanted: box x0, y0, x1, y1 in donor pixels and mask inside it."""
        height, width = self._frames.rgb.frame_shape[:2]
        size = self._donor_size((height, width))
        donor_from_source = self._donor_from_source()
        masks = {key: np.zeros(size[::-1], np.uint8) for key in keys}
        for t, (_, hole, covered, _) in enumerate(self._holes(with_rgb=False)):
            if not (hole.any() or covered.any()):
                continue
            source_from_crop = np.linalg.inv(self._crop.crop_from_source[t])
            area = (hole | covered).astype(np.uint8)
            for key in _around(t, keys):
                matrix = donor_from_source @ self._motion.between(key, t) @ source_from_crop
                mask = cv2.warpPerspective(area, matrix, size, flags=cv2.INTER_NEAREST)
                np.maximum(masks[key], mask, out=masks[key])
        out: dict[int, tuple[tuple[int, int, int, int] | None, np.ndarray]] = {}
        margin = max(int(round(_CONTEXT_px * self._scale)), 2)
        for key, mask in masks.items():
            x, y, w, h = cv2.boundingRect(mask)
            if w == 0:
                out[key] = None, mask
                continue
            x0, y0 = max(x - margin, 0), max(y - margin, 0)
            x1, y1 = min(x + w + margin, size[0]), min(y + h + margin, size[1])
            part = cv2.dilate(mask[y0:y1, x0:x1], np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
            out[key] = (x0, y0, x1, y1), part.astype(bool)
        return out

    def _moving_occluder(self, sampled: set[int], plates: list[Plate]) -> bool:
        """Whether the clip's occluder is a thing that moves: where other frames show the place, it is not there.

        Such a thing (a ball) is removed as a whole; a fixed one (a table) stays as it was observed unless another
        frame shows what is there.
        """
        differs = seen = 0
        for t in sorted(sampled):
            covered = self._layers.occluder[t]
            if not covered.any() or not plates:
                continue
            scene, state = self._background(t, plates, (0, 0, covered.shape[1], covered.shape[0]))
            known = covered & (state == 1)
            difference = farthest_channel(self._crop.rgb[t], scene)
            seen += int(known.sum())
            differs += int((difference[known] > _DIFFERENT).sum())
        return seen > 0 and differs > _MOSTLY * seen

    def _fill(
        self,
        t: int,
        picture: np.ndarray,
        hole: np.ndarray,
        covered: np.ndarray,
        subject: np.ndarray,
        plates: list[Plate],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frame without the subject, and where its pixels come from."""
        whole_origin = np.zeros(hole.shape, np.uint8)
        box = _box_of(hole | covered, int((_REACH_px + _BORDER_px) * self._scale))
        if box is None:
            return picture, whole_origin
        whole = picture.copy()
        part = (slice(box[1], box[3]), slice(box[0], box[2]))
        picture, hole, covered, subject = picture[part], hole[part], covered[part], subject[part]
        inside = self._crop.inside[t][part]
        scene, state = self._background(t, plates, box)
        removed = hole | (covered & (state > 0) if self._occluder_moves else covered & (state == 1))
        usable = ~(hole | covered)
        known = removed & (state > 0)
        out = picture.copy()
        if known.any():
            scene = adjust(scene, state > 0, picture, removed, usable, self._scale)
            beside = attached(scene, state == 1, picture, removed, subject, _REACH_px * self._scale)
            removed |= beside & usable & inside
            known = removed & (state > 0)
            weight = feather(removed, subject | covered, 0.6 * self._params.dilate_px * self._scale)[known][:, None]
            mixed = scene[known] * weight + picture[known] * (1 - weight)
            out[known] = np.clip(mixed, 0, 255).round().astype(np.uint8)
        rest = removed & (state == 0)
        if rest.any():
            out = fill(out, rest, ~inside, self._params.inpaint_radius_px)
            out[~inside] = 0
        whole[part] = out
        origin = whole_origin[part]
        origin[removed & (state == 1)] = SCENE_FROM_OTHER_FRAME
        origin[removed & (state != 1)] = SCENE_INPAINTED
        return whole, whole_origin

    def _background(self, t: int, plates: list[Plate], box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Scene from the plates before and after a frame, blended by time.

        Args:
            t: Frame.
            plates: In order of time.
            box: Part of the crop that is wanted: x0, y0, x1, y1.

        Returns:
            Colours (h, w, 3) uint8 and states (h, w) uint8, as of `Plate`.
        """
        size = (box[2] - box[0], box[3] - box[1])
        shift = np.array([[1, 0, -box[0]], [0, 1, -box[1]], [0, 0, 1]], np.float64)
        scene = np.zeros((size[1], size[0], 3), np.uint8)
        state = np.zeros((size[1], size[0]), np.uint8)
        keys = [plate.index for plate in plates]
        for key in _around(t, keys):
            weight = _closeness(t, key, keys)
            if weight <= 0:
                continue
            plate = plates[keys.index(key)]
            matrix = shift @ self._crop.crop_from_source[t] @ self._motion.between(t, key)
            matrix = matrix @ np.linalg.inv(plate.plate_from_source)
            picture = cv2.warpPerspective(
                plate.rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            there = cv2.warpPerspective(plate.state, matrix, size, flags=cv2.INTER_NEAREST)
            if not state.any():
                scene, state = picture, there
                continue
            # Both know the pixel equally well: blend; else the one that saw it, then the one that invented it.
            better = (there > 0) & ((state == 0) | (there < state))
            blended = cv2.addWeighted(scene, 1.0 - weight, picture, weight, 0.0)
            cv2.copyTo(blended, ((there == state) & (there > 0)).astype(np.uint8), scene)
            cv2.copyTo(picture, better.astype(np.uint8), scene)
            state[better] = there[better]
        return scene, state


def _box_of(mask: np.ndarray, margin: int) -> tuple[int, int, int, int] | None:
    """Bounding box x0, y0, x1, y1 of a mask with a margin, inside the picture; None for an empty one."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    if width == 0:
        return None
    return (
        max(x - margin, 0),
        max(y - margin, 0),
        min(x + width + margin, mask.shape[1]),
        min(y + height + margin, mask.shape[0]),
    )


def _around(t: int, keys: list[int]) -> list[int]:
    """Nearest key frames before and after a frame; one of them at the ends and on a key frame."""
    before = [key for key in keys if key <= t]
    after = [key for key in keys if key >= t]
    return sorted({*before[-1:], *after[:1]})


def _closeness(t: int, key: int, keys: list[int]) -> float:
    """Weight of a key frame's plate, linear in time between neighbours."""
    pair = _around(t, keys)
    if len(pair) == 1:
        return 1.0
    return 1.0 - abs(t - key) / (pair[1] - pair[0])
