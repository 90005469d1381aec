"""Figures of a clip that need no truth: how well its layers agree with each other, and how smooth they are.

Frames are given one after the other and nothing of them is kept but numbers, so memory does not grow with pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# COCO's body points and the joints of SMPL that lie at the same places.
PAIRS = np.array([(5, 16), (6, 17), (7, 18), (8, 19), (9, 20), (10, 21), (13, 4), (14, 5), (15, 7), (16, 8)])
_SEEN = 0.3  # confidence of a keypoint that counts
_BASE_px = 4  # half the distance over which depth is differentiated: float16 is coarse
_STEEP_m = 0.06  # a larger difference over that distance is an edge, no slope
_STILL = 0.003  # of the body's size per frame: what trembles less than this stands still
_RING_px = 9
_COARSE_px = 4.0  # blur after which only coarse structure is left
_STEP = 0.5  # levels: pictures that differ by less on average are alike


@dataclass(frozen=True)
class Frame:
    """Layers of one frame, all of one size (H, W).

    Attributes:
        rgb: Shape (H, W, 3), uint8.
        human: Shape (H, W), bool.
        occluder: Shape (H, W), bool.
        matte: Shape (H, W), uint8, soft coverage by the human, of 255.
        scene: Shape (H, W, 3), uint8, the frame without the human.
        removed: Shape (H, W), bool, where `scene` is not the frame's own pixel.
        depth: Shape (H, W), float, m, along the camera's z axis, 0 where there is none.
        normal: Shape (H, W, 3), camera frame, any length, 0 where there is none.
        inside: Shape (H, W), bool, inside the source picture.
        keypoints: Shape (J, 2), px, J at least 17, COCO's order.
        confidence: Shape (J,), 0 to 1.
        joints: Shape (24, 3), m, camera frame, of the body.
        intrinsics: Shape (3, 3), px.
        follows: Whether the frame given before is the one before in the video; false after a gap.
    """

    rgb: np.ndarray
    human: np.ndarray
    occluder: np.ndarray
    matte: np.ndarray
    scene: np.ndarray
    removed: np.ndarray
    depth: np.ndarray
    normal: np.ndarray
    inside: np.ndarray
    keypoints: np.ndarray
    confidence: np.ndarray
    joints: np.ndarray
    intrinsics: np.ndarray
    follows: bool = True


def halved(frame: Frame) -> Frame:
    """The same at half the size, which is as good for the figures and four times as fast."""
    height, width = frame.human.shape
    size = (max(width // 2, 1), max(height // 2, 1))

    def every(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values[: 2 * size[1] : 2, : 2 * size[0] : 2])

    def mean(picture: np.ndarray) -> np.ndarray:
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

    # Pixel edges keep their place, u' + 1/2 = (u + 1/2) / 2.
    half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
    return Frame(
        rgb=mean(frame.rgb), human=every(frame.human), occluder=every(frame.occluder), matte=mean(frame.matte),
        scene=mean(frame.scene), removed=every(frame.removed), depth=every(frame.depth).astype(np.float32),
        normal=every(frame.normal).astype(np.float32), inside=every(frame.inside),
        keypoints=0.5 * frame.keypoints.astype(np.float64) - 0.25, confidence=frame.confidence, joints=frame.joints,
        intrinsics=half @ frame.intrinsics, follows=frame.follows,
    )  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a figure says.

    Attributes:
        unit: Unit; "%" for shares kept as 0 to 1.
        about: One line.
        suspicious: 1 where large values hint at an error, -1 where small ones do, 0 where neither does.
    """

    unit: str
    about: str
    suspicious: int


FIGURES: dict[str, Meaning] = {
    "confidence": Meaning("", "mean confidence of the 17 body keypoints", -1),
    "jitter": Meaning("body sizes", "trembling of keypoints: median second difference", 1),
    "jump": Meaning("", "most sudden step of the keypoints over the steps around it", 1),
    "picture_jump": Meaning("", "most sudden change of the picture over the changes around it", 1),
    "reprojection": Meaning("body sizes", "distance of the body's joints from the keypoints", 1),
    "motion_gap": Meaning("body sizes/frame", "difference of how joints and keypoints move", 1),
    "motion_ratio": Meaning("", "movement of the body's joints over that of the keypoints (log2)", -1),
    "keypoints_inside": Meaning("%", "body keypoints that lie on human or occluder", -1),
    "silhouette_iou": Meaning("%", "overlap of the surface with human and occluder", -1),
    "temporal_iou": Meaning("%", "overlap of the human in neighbouring frames", -1),
    "outline_contrast": Meaning("", "picture gradient on the human's outline over that beside it (log2)", -1),
    "depth_order": Meaning("%", "occluder with the body behind it", -1),
    "normal_depth_deg": Meaning("deg", "angle between the normals and the slope of the depth, median", 1),
    "recomposition": Meaning("levels", "human, occluder and scene put together against the frame", 1),
    "sharpness": Meaning("", "Laplacian variance of the human (log2)", 0),
    "scene_sharpness": Meaning(
        "", "fine over coarse gradients of the scene where filled, against beside it (log2)", -1
    ),
    "jerk_mm": Meaning("mm/frame\u00b3", "third difference of the body's joints, median", 1),
    "motion": Meaning("mm/frame", "movement of the body's joints", 0),
    "in_view": Meaning("%", "joints of the body inside the picture", -1),
}


class ClipFigures:
    """Figures of one clip: `add` its valid frames in order, then ask for the `figures`."""

    def __init__(self) -> None:
        """Start without frames."""
        self._values: dict[str, list[float]] = {}
        self._points: list[np.ndarray] = []
        self._known: list[np.ndarray] = []
        self._pixels: list[np.ndarray] = []
        self._joints: list[np.ndarray] = []
        self._sizes: list[float] = []
        self._follows: list[bool] = []
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, frame: Frame) -> None:
        """Take down the next frame; pictures are kept until the one after it only."""
        pixels, size = _projected(frame)
        self._points.append(frame.keypoints[PAIRS[:, 0]].astype(np.float64))
        self._known.append(frame.confidence[PAIRS[:, 0]] > _SEEN)
        self._pixels.append(pixels[PAIRS[:, 1]])
        self._joints.append(frame.joints.astype(np.float64))
        self._sizes.append(size)
        self._follows.append(frame.follows and bool(self._follows))
        self._put("confidence", float(frame.confidence[:17].mean()))
        self._put("in_view", _share_inside(pixels, frame.inside))
        covered = frame.human | frame.occluder
        self._put("keypoints_inside", _share_inside(self._points[-1][self._known[-1]], _grown(covered, 3)))
        surface = frame.depth > 0
        self._put("silhouette_iou", _iou(surface, covered))
        if frame.occluder.any():
            self._put("depth_order", float(surface[frame.occluder].mean()))
        self._put("normal_depth_deg", _normal_depth(frame))
        self._put("recomposition", _recomposition(frame))
        luma = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
        slope = _slope(luma)
        self._put("outline_contrast", _outline_contrast(slope, frame.human))
        self._put("scene_sharpness", _scene_sharpness(frame))
        if frame.human.any():
            self._put("sharpness", float(np.log2(cv2.Laplacian(luma, cv2.CV_32F)[frame.human].var() + 1e-3)))
        small = cv2.resize(luma, (64, 64), interpolation=cv2.INTER_AREA)
        if self._before is not None:
            if frame.follows:
                self._put("temporal_iou", _iou(self._before[0], frame.human))
            self._put("picture_step", float(np.abs(small - self._before[1]).mean()))
        self._before = frame.human, small

    def figures(self) -> dict[str, float]:
        """Figures by name, as far as the frames give them; all finite."""
        found = {}
        for name, values in self._values.items():
            if name != "picture_step" and values:
                middle = np.median if name in ("normal_depth_deg", "sharpness", "scene_sharpness") else np.mean
                found[name] = float(middle(values))
        if not self._sizes:
            return found
        steps = np.array(self._values.get("picture_step", []))
        found.update(_peak("picture_jump", steps, np.array(self._follows)[1:], _STEP))
        points, known, pixels = np.array(self._points), np.array(self._known), np.array(self._pixels)
        size = np.maximum(np.array(self._sizes), 1.0)
        joints = np.array(self._joints)
        apart = np.linalg.norm(points - pixels, axis=2) / size[:, None]
        if known.any():
            found["reprojection"] = float(apart[known].mean())
        follows = np.array(self._follows)
        found.update(_temporal(points, pixels, known, size, follows))
        moved = np.linalg.norm(np.diff(joints, axis=0), axis=2)[follows[1:]]
        if len(moved):
            found["motion"] = float(1000 * moved.mean())
        if len(joints) > 3:
            jerk = np.linalg.norm(np.diff(joints, 3, axis=0), axis=2)[follows[3:] & follows[2:-1] & follows[1:-2]]
            found.update({"jerk_mm": float(1000 * np.median(jerk))} if len(jerk) else {})
        return found

    def _put(self, name: str, value: float | None) -> None:
        if value is not None:
            self._values.setdefault(name, []).append(value)


def _projected(frame: Frame) -> tuple[np.ndarray, float]:
    """Pixels (24, 2) of the joints, and the body's size, px: the diagonal of the box around them."""
    points = frame.joints.astype(np.float64)
    homogeneous = points * [1, 1, 0] + np.maximum(points[:, 2:], 1e-3) * [0, 0, 1]
    homogeneous = homogeneous @ frame.intrinsics.astype(np.float64).T
    pixels = np.clip(homogeneous[:, :2] / homogeneous[:, 2:], -1e5, 1e5)
    return pixels, float(np.hypot(*np.ptp(pixels, axis=0)))


def _share_inside(points: np.ndarray, mask: np.ndarray) -> float | None:
    """Share of points (N, 2) that lie on a mask; none outside the picture does."""
    if not len(points):
        return None
    column, row = np.rint(points).astype(np.int64).T
    inside = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
    return float(mask[row[inside], column[inside]].sum() / len(points))


def _grown(mask: np.ndarray, by: int) -> np.ndarray:
    return cv2.dilate(mask.view(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)).astype(bool)


def _shrunk(mask: np.ndarray, by: int) -> np.ndarray:
    return cv2.erode(mask.view(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)).astype(bool)


def _iou(a: np.ndarray, b: np.ndarray) -> float | None:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else None


def _slope(luma: np.ndarray, blur_px: float = 1.0) -> np.ndarray:
    """Length of the picture's gradient after a blur, (H, W)."""
    smooth = cv2.GaussianBlur(luma, (0, 0), blur_px)
    return cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))


def _outline_contrast(slope: np.ndarray, human: np.ndarray) -> float | None:
    edge = _grown(human, 1) & ~_shrunk(human, 1)
    beside = _grown(human, _RING_px) & ~_shrunk(human, _RING_px) & ~_grown(edge, 2)
    if edge.sum() < 20 or beside.sum() < 20:
        return None
    return float(np.log2((slope[edge].mean() + 1.0) / (slope[beside].mean() + 1.0)))


def _scene_sharpness(frame: Frame) -> float | None:
    """How much finer or coarser the filled part of the scene is than what lies beside it.

    Gradients that a slight blur leaves, over those that a strong one leaves: a plain wall has little of both, a smear
    little of the first only. What is blurred already changes little under a slight blur (Crete et al., "The Blur
    Effect", 2007).
    """
    within = _shrunk(frame.removed, 3)
    beside = _grown(frame.removed, 2 * _RING_px) & ~_grown(frame.removed, 3) & frame.inside & ~frame.occluder
    if within.sum() < 100 or beside.sum() < 100:
        return None
    luma = cv2.cvtColor(frame.scene, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = _slope(luma), _slope(luma, _COARSE_px)
    here, there = ((fine[part].mean() + 1.0) / (coarse[part].mean() + 1.0) for part in (within, beside))
    return float(np.log2(here / there))


def _recomposition(frame: Frame) -> float | None:
    """Mean difference of the layers put together from the frame, over the band where the scene was filled."""
    band = (frame.removed | (frame.matte > 0)) & ~frame.occluder
    if not band.any():
        return None
    share = np.where(frame.human, np.maximum(frame.matte, 128), frame.matte)[band].astype(np.float32) / 255
    away = frame.scene[band].astype(np.float32) - frame.rgb[band]
    return float(np.abs((1 - share)[:, None] * away).mean())


def _normal_depth(frame: Frame) -> float | None:
    """Median angle between stored normals and those of the depth, degrees."""
    depth, k = frame.depth.astype(np.float32), frame.intrinsics.astype(np.float64)
    height, width = depth.shape
    if height <= 2 * _BASE_px or width <= 2 * _BASE_px:
        return None
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x = (columns - np.float32(k[0, 2])) / np.float32(k[0, 0]) * depth
    y = (rows - np.float32(k[1, 2])) / np.float32(k[1, 1]) * depth
    points = np.stack([x, y, depth], 2)
    b = _BASE_px
    across = points[b:-b, 2 * b :] - points[b:-b, : -2 * b]
    down = points[2 * b :, b:-b] - points[: -2 * b, b:-b]
    fine = (depth[b:-b, b:-b] > 0) & (np.abs(frame.normal[b:-b, b:-b]).max(2) > 0)
    for part in (depth[b:-b, 2 * b :], depth[b:-b, : -2 * b], depth[2 * b :, b:-b], depth[: -2 * b, b:-b]):
        fine &= part > 0
    fine &= (np.abs(across[..., 2]) < _STEEP_m) & (np.abs(down[..., 2]) < _STEEP_m)
    if fine.sum() < 50:
        return None
    found = np.cross(down[fine], across[fine]).astype(np.float64)  # towards the camera: z below 0
    told = frame.normal[b:-b, b:-b][fine].astype(np.float64)
    length = np.linalg.norm(found, axis=1) * np.linalg.norm(told, axis=1)
    cosine = np.einsum("nc,nc->n", found, told) / np.maximum(length, 1e-12)
    return float(np.degrees(np.arccos(np.clip(np.median(cosine), -1, 1))))


def _temporal(
    points: np.ndarray, pixels: np.ndarray, known: np.ndarray, size: np.ndarray, follows: np.ndarray
) -> dict[str, float]:
    """Figures of movement in the picture; points, pixels (T, P, 2), known (T, P), size, follows (T,)."""
    found: dict[str, float] = {}
    both = known[1:] & known[:-1] & follows[1:, None]
    if both.any():
        scale = size[1:, None, None]
        moved, posed = np.diff(points, axis=0) / scale, np.diff(pixels, axis=0) / scale
        found["motion_gap"] = float(np.linalg.norm(moved - posed, axis=2)[both].mean())
        steps = [float(np.linalg.norm(step, axis=2)[both].mean()) for step in (posed, moved)]
        found["motion_ratio"] = float(np.log2((steps[0] + _STILL) / (steps[1] + _STILL)))
    triple = both[1:] & both[:-1]
    if triple.any():
        bend = np.linalg.norm(points[2:] - 2 * points[1:-1] + points[:-2], axis=2) / size[1:-1, None]
        found["jitter"] = float(np.median(bend[triple]))
        steps = np.linalg.norm(np.diff(points, axis=0), axis=2) / size[1:, None]
        typical = np.array([np.median(row[fine]) if fine.any() else 0.0 for row, fine in zip(steps, both)])
        found.update(_peak("jump", typical, follows[1:], _STILL))
    return found


def _peak(name: str, steps: np.ndarray, follows: np.ndarray, least: float) -> dict[str, float]:
    """How much the most sudden step exceeds the larger one of the two around it.

    What moves by itself speeds up and slows down over several frames; where frames are missing, one step stands alone.

    Args:
        name: Of the figure.
        steps: Shape (T - 1,), how much changes from frame to frame.
        follows: Shape (T - 1,), bool, the two frames follow each other.
        least: A step around that is smaller counts as this.
    """
    if len(steps) < 3:
        return {}
    around = np.maximum(steps[:-2], steps[2:])
    alone = (steps[1:-1] + least) / (around + least)
    whole = follows[2:] & follows[1:-1] & follows[:-2]
    return {name: float(alone[whole].max())} if whole.any() else {}


def roc_auc(bad: np.ndarray, good: np.ndarray) -> float:
    """Area under the ROC curve: chance that a bad one scores above a good one, ties counting half (Mann-Whitney)."""
    above = (bad[:, None] > good[None]).mean()
    return float(above + 0.5 * (bad[:, None] == good[None]).mean())
