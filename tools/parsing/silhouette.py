"""The subject's matte by MediaPipe's segmentation and the posed body, and part labels from the body."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import cv2
import numpy as np

from model_zoo.body.parts import schp_labels
from model_zoo.body.smpl import Poser, SmplModel
from model_zoo.raster.attributes import nearest_vertices
from model_zoo.raster.zbuffer import Rasterizer
from tools.ahead import ahead
from tools.parsing.appearance import Appearance, Gatherer, patches_of
from tools.parsing.garments import dressed
from tools.parsing.matting import paste, refine
from tools.parsing.segment import Region, Segmenter, SIDE_px, region_of, sample
from tools.parsing.standing import LONGEST_px, standing
from tools.parsing.subject import fill_holes, foreign, keep_subject, steady, support
from tools.still import lab
from workflow.conventions import PARSING_LABELS
from workflow.errors import Rejected
from workflow.stages.body import Body
from workflow.stages.frames import Frames
from workflow.stages.keypoints import Keypoints
from workflow.stages.parsing import Parsing, SilhouetteParams

_SAMPLES = 24  # frames from which the subject's colours are learnt
_JOINTS = 23  # body and feet of COCO-WholeBody
_MIN_SHARE = 0.002  # of the network's picture: less is no person
_SKIN = [PARSING_LABELS.index(name) for name in ("face", "left arm", "right arm")]


def load(params: SilhouetteParams, files: Mapping[str, Path]) -> Callable[[Frames, Keypoints, Body], Parsing]:
    """Load network and body model and return the parser."""
    model = SmplModel.load(files["body_model"])
    segmenter = Segmenter()
    wardrobe = Wardrobe(model, schp_labels(model), patches_of(model.v_template))
    return lambda frames, keypoints, body: _Clip(params, segmenter, wardrobe, frames, keypoints, body).parse()


@dataclass(frozen=True)
class Wardrobe:
    """A body model with what is known about its vertices: label and patch, shape (V,) each."""

    model: SmplModel
    labels: np.ndarray
    patches: np.ndarray

    @property
    def patch_count(self) -> int:
        """Number of patches."""
        return int(self.patches.max()) + 1

    @property
    def skin_patches(self) -> np.ndarray:
        """Patches of hands, arms and face, shape (patches,), bool."""
        skin = np.zeros(self.patch_count, bool)
        skin[self.patches[np.isin(self.labels, _SKIN)]] = True
        return skin


@dataclass
class _View:
    """One frame as the network sees it, 256 x 256 px."""

    index: int
    region: Region
    rgb: np.ndarray  # uint8 source frame
    patch: np.ndarray  # uint8 RGB
    colours: np.ndarray  # weighted CIELAB
    probability: np.ndarray  # float32
    vertex: np.ndarray  # int32 nearest vertex of the posed body, -1 outside it


class _Clip:
    """Parses one clip."""

    def __init__(
        self,
        params: SilhouetteParams,
        segmenter: Segmenter,
        wardrobe: Wardrobe,
        frames: Frames,
        keypoints: Keypoints,
        body: Body,
    ) -> None:
        self._params = params
        self._segmenter = segmenter
        self._wardrobe = wardrobe
        self._frames = frames
        self._keypoints = keypoints
        self._body = body
        self._poser: Poser = wardrobe.model.poser(body.betas)
        self._rasterizer = Rasterizer(SIDE_px, SIDE_px)
        self._valid = keypoints.valid & body.valid
        self._standing: np.ndarray | None = None

    def parse(self) -> Parsing:
        """Matte and labels of all frames.

        Raises:
            Rejected: No frame shows the subject.
        """
        matte, labels = Parsing.spool("matte"), Parsing.spool("labels")
        valid = self._valid.copy()
        appearance = self._learn()
        vertex_labels = dressed(
            self._wardrobe.model, self._wardrobe.labels, self._wardrobe.patches, appearance.colour, appearance.known
        )
        empty = np.zeros(self._frames.rgb.frame_shape[:2], np.uint8)
        figures = _Figures()
        for view, soft in ahead(self._softened(appearance)):
            if soft is None:
                matte.append(empty)
                labels.append(empty)
                continue
            if soft.mean() < _MIN_SHARE:
                valid[view.index] = False
                matte.append(empty)
                labels.append(empty)
                continue
            known = np.where(view.vertex >= 0, vertex_labels[view.vertex], 0).astype(np.uint8)
            box, alpha, parts = refine(view.rgb, soft, known, view.region)
            matte.append(paste(empty, alpha, box))
            labels.append(paste(empty, parts, box))
            figures.add(view.index, alpha, box, soft > 0.5, view.vertex >= 0, empty.size)
        if not valid.any():
            raise Rejected("no person was segmented in any frame")
        return Parsing(matte=matte.finish(), labels=labels.finish(), valid=valid, quality=figures.summary(len(valid)))

    def _learn(self) -> Appearance:
        """Learn from frames spread over the clip what the subject looks like and what stands in front of it."""
        wardrobe = self._wardrobe
        gatherer = Gatherer(wardrobe.patch_count)
        candidates = np.flatnonzero(self._valid)
        if not len(candidates):
            return gatherer.learn(wardrobe.skin_patches)
        views, colours, person = [], [], []
        for t in candidates[np.unique(np.linspace(0, len(candidates) - 1, _SAMPLES).astype(int))]:
            view = self._view(int(t), self._frames.rgb[int(t)])
            size, small_from_source = _thumbnail(view.rgb.shape)
            colours.append(lab(cv2.resize(view.rgb, size, interpolation=cv2.INTER_AREA)))
            small_from_input = (_square(small_from_source) @ np.linalg.inv(_square(view.region.input_from_source)))[:2]
            person.append(cv2.warpAffine(view.probability, small_from_input, size, flags=cv2.INTER_LINEAR))
            view.rgb = None  # type: ignore[assignment]  # the large picture is not needed again
            views.append(view)
        self._standing = standing(np.stack(colours), np.stack(person))
        for view in views:
            view.probability = view.probability * (1 - self._in_front(view))
            sure = cv2.erode((view.probability > 0.8).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
            gatherer.add(view.colours, np.where(view.vertex >= 0, wardrobe.patches[view.vertex], -1), sure)
        return gatherer.learn(wardrobe.skin_patches)

    def _in_front(self, view: _View) -> np.ndarray:
        """What stands before the subject, in the network's picture: shape (256, 256), float32, 0 to 1."""
        if self._standing is None or not self._standing.any():
            return np.zeros_like(view.probability)
        small_from_source = _thumbnail(self._frames.rgb.frame_shape)[1]
        input_from_small = _square(view.region.input_from_source) @ np.linalg.inv(_square(small_from_source))
        size = (SIDE_px, SIDE_px)
        return cv2.warpAffine(self._standing.astype(np.float32), input_from_small[:2], size, flags=cv2.INTER_LINEAR)

    def _softened(self, appearance: Appearance) -> Iterator[tuple[_View, np.ndarray | None]]:
        """Every view with the subject's probability, None where keypoints or body vouch for nothing."""
        for view, before, after in _with_neighbours(ahead(self._views())):
            yield view, None if view.probability is None else self._cut(view, before, after, appearance)

    def _views(self) -> Iterator[_View]:
        for t, rgb in enumerate(self._frames.rgb):
            if self._valid[t]:
                yield self._view(t, rgb)
            else:
                yield _View(t, None, None, None, None, None, None)  # type: ignore[arg-type]

    def _view(self, t: int, rgb: np.ndarray) -> _View:
        keypoints, body = self._keypoints, self._body
        region = region_of(keypoints.xy[t, :_JOINTS], keypoints.confidence[t, :_JOINTS], keypoints.box[t])
        patch = sample(rgb, region.input_from_source, SIDE_px)
        frame = slice(t, t + 1)
        vertices = self._poser.vertices(body.global_orient[frame], body.body_pose[frame], body.transl[frame])[0]
        intrinsics = np.vstack([region.input_from_source, [0.0, 0.0, 1.0]]) @ body.intrinsics.astype(np.float64)
        faces = self._wardrobe.model.faces
        vertex = nearest_vertices(self._rasterizer(vertices, faces, intrinsics), faces)
        return _View(t, region, rgb, patch, lab(patch), self._segmenter(patch), vertex)

    def _cut(self, view: _View, before: _View | None, after: _View | None, appearance: Appearance) -> np.ndarray:
        """Probability of the subject, cleaned, shape (256, 256)."""
        t = view.index
        scale = SIDE_px / view.region.side
        box = self._keypoints.box[t]
        height_px = max(float(box[3] - box[1]), float(box[2] - box[0]), 1.0) * scale
        probability = steady(
            view.probability,
            view.colours,
            [
                (n.probability, n.colours, view.region.input_from_source, n.region.input_from_source)
                for n in (before, after)
                if n is not None and n.probability is not None
            ],
        )
        body = view.vertex >= 0
        near = support(
            body,
            self._keypoints.xy[t, :_JOINTS] @ view.region.input_from_source[:, :2].T
            + view.region.input_from_source[:, 2],
            self._keypoints.confidence[t, :_JOINTS],
            height_px,
        )
        patches = np.where(body, self._wardrobe.patches[view.vertex], -1)
        distance = appearance.distance(view.colours, spread(patches, body), max(int(0.05 * height_px), 2))
        visible = 1.0 - self._in_front(view)
        probability = probability * visible
        probability = probability * (1.0 - foreign(probability, distance, view.colours, body, height_px))
        # A thing whose colour is the body's is a thing all the same: holes close elsewhere.
        probability = fill_holes(probability, distance, body, height_px) * visible
        return keep_subject(probability, near, body, self._params.reach * height_px, self._params.min_component_share)


def _thumbnail(shape: tuple[int, ...]) -> tuple[tuple[int, int], np.ndarray]:
    """Width and height of the small picture of a frame, and its `small_from_source`, shape (2, 3)."""
    zoom = min(1.0, LONGEST_px / max(shape[:2]))
    size = (max(int(round(shape[1] * zoom)), 1), max(int(round(shape[0] * zoom)), 1))
    x, y = size[0] / shape[1], size[1] / shape[0]
    return size, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])


def _square(affine: np.ndarray) -> np.ndarray:
    return np.vstack([affine, [0.0, 0.0, 1.0]])


def spread(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values of the nearest known pixel, shape (H, W); unchanged where nothing is known at all."""
    if not known.any() or known.all():
        return values
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(nearest.max() + 1, values.dtype)
    table[nearest[known]] = values[known]
    return table[nearest]


def _with_neighbours(views: Iterator[_View]) -> Iterator[tuple[_View, _View | None, _View | None]]:
    """Every view with the one before and the one after it."""
    window: deque[_View] = deque(maxlen=3)
    for view in views:
        window.append(view)
        if len(window) == 2:
            yield window[0], None, window[1]
        elif len(window) == 3:
            yield window[1], window[0], window[2]
    if len(window) == 1:
        yield window[0], None, None
    elif window:
        yield window[-1], window[-2], None


class _Figures:
    """Quality figures, gathered frame by frame."""

    def __init__(self) -> None:
        self._share: list[float] = []
        self._agreement: list[float] = []
        self._temporal: list[float] = []
        self._last: tuple[int, np.ndarray, tuple[int, int, int, int]] | None = None

    def add(
        self,
        index: int,
        alpha: np.ndarray,
        box: tuple[int, int, int, int],
        mask: np.ndarray,
        body: np.ndarray,
        pixels: int,
    ) -> None:
        self._share.append(float((alpha >= 128).sum() / pixels))
        union = (mask | body).sum()
        self._agreement.append(float((mask & body).sum() / union) if union else 0.0)
        if self._last is not None and self._last[0] == index - 1:
            self._temporal.append(_overlap(self._last[1], self._last[2], alpha, box))
        self._last = index, alpha, box

    def summary(self, frames: int) -> dict[str, float]:
        figures = {"valid_share": len(self._share) / max(frames, 1)}
        for name, values in (
            ("matte_share", self._share),
            ("silhouette_iou", self._agreement),
            ("temporal_iou", self._temporal),
        ):
            if values:
                figures[name] = float(np.mean(values))
        return figures


def _overlap(
    first: np.ndarray, first_box: tuple[int, int, int, int], second: np.ndarray, second_box: tuple[int, int, int, int]
) -> float:
    """Intersection over union of two mattes given in boxes x0, y0, x1, y1."""
    x0, y0 = max(first_box[0], second_box[0]), max(first_box[1], second_box[1])
    x1, y1 = min(first_box[2], second_box[2]), min(first_box[3], second_box[3])
    both = 0
    if x1 > x0 and y1 > y0:
        one = first[y0 - first_box[1] : y1 - first_box[1], x0 - first_box[0] : x1 - first_box[0]]
        two = second[y0 - second_box[1] : y1 - second_box[1], x0 - second_box[0] : x1 - second_box[0]]
        both = int(((one >= 128) & (two >= 128)).sum())
    union = int((first >= 128).sum() + (second >= 128).sum()) - both
    return both / union if union else 0.0
