"""Camera motion between the frames of a clip, from features of the background."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from workflow.raster import Raster

_WORK_px = 640  # longest side at which features are tracked
_FEATURES = 400
_LOST = 0.5  # share of the features that must still be tracked; below it new ones are taken
_ENOUGH = 24  # inliers of a homography; with fewer an affine map, then a shift is fitted
_RANSAC_px = 1.5  # at working size
_STATIC_px = 0.35  # at working size: median motion over the whole clip below which the camera stands still
_LK = {
    "winSize": (15, 15),
    "maxLevel": 3,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.03),
}


@dataclass(frozen=True)
class Motion:
    """Camera motion of a clip.

    Attributes:
        reference_from_frame: Shape (T, 3, 3): source pixels of a frame to those of the first frame, for what is
            far away or flat.
        static: Whether the camera stands still; then all are the identity.
        residual_px: Median error of the background's features, source px.
    """

    reference_from_frame: np.ndarray
    static: bool
    residual_px: float

    def between(self, target: int, origin: int) -> np.ndarray:
        """Homography from source pixels of frame `origin` to those of frame `target`, shape (3, 3)."""
        matrix = np.linalg.inv(self.reference_from_frame[target]) @ self.reference_from_frame[origin]
        return matrix / matrix[2, 2]


def estimate(rgb: Iterable[np.ndarray], matte: Raster) -> Motion:
    """Follow the background through a clip.

    Features are taken outside the subject and tracked (pyramidal Lucas-Kanade, Bouguet 2001) until half are lost;
    then new ones are taken, and the homographies are chained.

    Args:
        rgb: Frames in order, (H, W, 3) uint8.
        matte: The subject's, (H, W) uint8 each.
    """
    chain: list[np.ndarray] = []
    residuals: list[float] = []
    moved: list[float] = []
    key = np.eye(3)  # reference from key frame, working px
    key_points = points = np.zeros((0, 1, 2), np.float32)
    previous: np.ndarray | None = None
    scale = 1.0
    for t, picture in enumerate(rgb):
        scale = min(1.0, _WORK_px / max(picture.shape[:2]))
        grey = working_grey(picture, scale)
        if previous is None:
            key_points = points = features(grey, matte[t])
            chain.append(np.eye(3))
            previous = grey
            continue
        current, kept = _track(previous, grey, points)
        key_points, points = key_points[kept], current
        fitted = fit(key_points, points)
        if fitted is None:
            chain.append(chain[-1].copy())
        else:
            current_from_key, inliers, error = fitted
            chain.append(key @ np.linalg.inv(current_from_key))
            residuals.append(error)
            key_points, points = key_points[inliers], points[inliers]
        corners = _corners(grey.shape)
        shift = cv2.perspectiveTransform(corners, chain[-1]) - corners
        moved.append(float(np.median(np.linalg.norm(shift, axis=-1))))
        if len(points) < max(_LOST * _FEATURES, _ENOUGH) and t + 1 < len(matte):
            fresh = features(grey, matte[t])
            if len(fresh) > len(points):
                key, key_points, points = chain[-1].copy(), fresh, fresh.copy()
        previous = grey
    if not chain:
        return Motion(np.zeros((0, 3, 3)), static=True, residual_px=0.0)
    static = not moved or float(np.percentile(moved, 95)) < _STATIC_px * 2 and float(np.median(moved)) < _STATIC_px
    residual = float(np.median(residuals)) / scale if residuals else 0.0
    if static:
        return Motion(np.tile(np.eye(3), (len(chain), 1, 1)), static=True, residual_px=residual)
    up = np.array([[1 / scale, 0, (1 / scale - 1) / 2], [0, 1 / scale, (1 / scale - 1) / 2], [0, 0, 1]])
    down = np.linalg.inv(up)
    full = np.stack([up @ matrix @ down for matrix in chain])
    return Motion(full / full[:, 2:, 2:], static=False, residual_px=residual)


def working_grey(picture: np.ndarray, scale: float) -> np.ndarray:
    """Grey picture at working size, uint8."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if scale == 1.0:
        return grey
    size = (int(round(grey.shape[1] * scale)), int(round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def features(grey: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """Corners of the background, shape (N, 1, 2), float32, away from the subject and spread over the picture."""
    subject = cv2.resize(matte, grey.shape[::-1], interpolation=cv2.INTER_AREA) > 12
    free = cv2.dilate(subject.astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
    distance = max(grey.shape) / 50
    found = cv2.goodFeaturesToTrack(grey, _FEATURES, 0.005, distance, mask=free.astype(np.uint8))
    return np.zeros((0, 1, 2), np.float32) if found is None else found


def _track(before: np.ndarray, after: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points went, and which were found: (M, 1, 2) and (N,) bool."""
    if not len(points):
        return points, np.zeros(0, bool)
    current, status, _ = cv2.calcOpticalFlowPyrLK(before, after, points, None, **_LK)
    height, width = after.shape
    inside = (current[:, 0] >= 0).all(1) & (current[:, 0, 0] < width) & (current[:, 0, 1] < height)
    kept = (status[:, 0] == 1) & inside
    return current[kept], kept


def fit(origin: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Robust homography, or an affine map or shift where few points are there.

    Args:
        origin: Shape (N, 1, 2), px.
        target: Shape (N, 1, 2), px.

    Returns:
        Target from origin (3, 3), inliers (N,) bool, and their median error in px; None without points.
    """
    if len(origin) == 0:
        return None
    cv2.setRNGSeed(0)
    matrix, mask = None, None
    if len(origin) >= _ENOUGH:
        matrix, mask = cv2.findHomography(origin, target, cv2.RANSAC, _RANSAC_px, maxIters=500)
        if matrix is not None and (mask.sum() < _ENOUGH or not _sane(matrix)):
            matrix = None
    if matrix is None and len(origin) >= 6:
        affine, mask = cv2.estimateAffinePartial2D(origin, target, method=cv2.RANSAC, ransacReprojThreshold=_RANSAC_px)
        if affine is not None and mask.sum() >= 4:
            matrix = np.vstack([affine, [0, 0, 1]])
    if matrix is None:
        matrix = np.eye(3)
        matrix[:2, 2] = np.median((target - origin)[:, 0], axis=0)
        mask = np.ones((len(origin), 1), np.uint8)
    inliers = mask[:, 0].astype(bool)
    error = np.linalg.norm(cv2.perspectiveTransform(origin, matrix) - target, axis=-1)[:, 0]
    return matrix, inliers, float(np.median(error[inliers]))


def _sane(matrix: np.ndarray) -> bool:
    """Whether a homography between frames of a shot can be one: no flip, no large change of size."""
    area = np.linalg.det(matrix[:2, :2])
    return bool(0.2 < area < 5.0 and np.abs(matrix[2, :2]).max() < 2e-3)


def _corners(shape: tuple[int, ...]) -> np.ndarray:
    height, width = shape[:2]
    grid = [(x * width, y * height) for x in (0.1, 0.5, 0.9) for y in (0.1, 0.5, 0.9)]
    return np.array(grid, np.float32)[:, None]
