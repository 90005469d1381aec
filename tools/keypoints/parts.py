"""Hands and face of a person whose pose is known: regions from the pose, landmarks and their scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.keypoints.graphs import Networks, PartResult, Picture, PoseResult, Roi
from tools.keypoints.head import AVERTED, gaze
from tools.keypoints.people import usable

# Pose landmarks of wrist, little finger, index finger.
LEFT_HAND_LANDMARKS, RIGHT_HAND_LANDMARKS = (15, 17, 19), (16, 18, 20)
FACE_LANDMARKS = slice(0, 11)
RIGHT_EYE, LEFT_EYE = 5, 2
MESH_RIGHT_EYE, MESH_LEFT_EYE = 33, 263
MIN_HAND_SCORE, MIN_FACE_SCORE = 0.5, 0.5  # mediapipe's own thresholds of presence
MIN_VISIBILITY = 0.1  # of the wrist; mediapipe holistic_landmark/hand_visibility_from_hand_landmarks_from_pose
MIN_HAND_px, MIN_FACE_px = 6.0, 6.0  # sides of the region below which a network sees nothing but its own prior
MIN_WRIST_BELIEF = 0.3  # below it the close-up regions would find something somewhere
ELBOW_BEFORE_WRIST = 2  # landmarks
CLOSE_UP = 0.6  # of the rough region, which is made large enough for the re-crop network
FOREARM_REACH, FOREARM_SIDE = 0.25, 0.9  # of the forearm; the middle of a hand, and room for its fingers
PALM = (0, 1, 5, 9, 13, 17)
MAX_WRIST_ERROR = 0.35  # of the hand's region: a hand farther from the pose's wrist is another hand
SAME_HAND = 0.25  # of the hand's size


@dataclass(frozen=True)
class Parts:
    """Hands (21, 2) and face mesh (478, 2) in px with scores; None where not seen."""

    left_hand: PartResult | None
    right_hand: PartResult | None
    face: PartResult | None


class PartFinder:
    """Finds hands and face frame by frame; what was seen in the last frame is a second place to look.

    Args:
        networks: mediapipe's networks.
    """

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._last = Parts(None, None, None)

    def reset(self) -> None:
        """Forget the last frame."""
        self._last = Parts(None, None, None)

    def step(self, picture: Picture, pose: PoseResult) -> Parts:
        """Find hands and face of the person with this pose."""
        left = self._hand(picture, pose, LEFT_HAND_LANDMARKS, self._last.left_hand)
        right = self._hand(picture, pose, RIGHT_HAND_LANDMARKS, self._last.right_hand)
        left, right = one_hand_each(left, right, pose.xy[LEFT_HAND_LANDMARKS[0]], pose.xy[RIGHT_HAND_LANDMARKS[0]])
        self._last = Parts(left, right, self._face(picture, pose, self._last.face))
        return self._last

    def _hand(
        self, picture: Picture, pose: PoseResult, landmarks: tuple[int, int, int], last: PartResult | None
    ) -> PartResult | None:
        if pose.visibility[landmarks[0]] < MIN_VISIBILITY:
            return None
        wrist, little, index = pose.xy[list(landmarks)]
        rough = rough_hand_roi(wrist, little, index)
        if not _can_see(rough, picture, MIN_HAND_px):
            return None
        rois = [self._networks.hand_roi(picture, rough)]
        if last is not None:
            rois.append(hand_roi(last.xy))
        if pose.belief[landmarks[0]] >= MIN_WRIST_BELIEF:
            elbow = pose.xy[landmarks[0] - ELBOW_BEFORE_WRIST]
            rois += [rough.grown(CLOSE_UP), forearm_hand_roi(elbow, wrist)]
        best: PartResult | None = None
        for roi in rois:
            if best is not None and best.score >= MIN_HAND_SCORE or not _can_see(roi, picture, MIN_HAND_px):
                continue
            found = self._networks.hand(picture, roi)
            if np.linalg.norm(found.xy[0] - wrist) > MAX_WRIST_ERROR * rough.width:
                continue
            if best is None or found.score > best.score:
                best = found
        return best if best is not None and best.score >= MIN_HAND_SCORE else None

    def _face(self, picture: Picture, pose: PoseResult, last: PartResult | None) -> PartResult | None:
        if gaze(pose.world)[2] > AVERTED:
            return None
        rough = rough_face_roi(pose.xy[FACE_LANDMARKS], pose.xy[RIGHT_EYE], pose.xy[LEFT_EYE])
        if not _can_see(rough, picture, MIN_FACE_px):
            return None
        rois = [face_roi(found.points) for found in self._networks.faces(picture, rough)[:1]]
        if last is not None:
            rois.append(mesh_roi(last.xy))
        rois.append(face_roi(points_of_face(pose.xy)))
        for roi in rois:
            if not _can_see(roi, picture, MIN_FACE_px):
                continue
            found = self._networks.face(picture, roi)
            if found.score >= MIN_FACE_SCORE and _in_roi(found.xy, rough):
                return found
        return None


def points_of_face(xy: np.ndarray) -> np.ndarray:
    """Pick from pose landmarks (33, 2) px the points that the face detector gives: eyes, nose, mouth, ears, (6, 2)."""
    mouth = xy[[9, 10]].mean(0)
    return np.stack([xy[RIGHT_EYE], xy[LEFT_EYE], xy[0], mouth, xy[8], xy[7]])


def rough_hand_roi(wrist: np.ndarray, little: np.ndarray, index: np.ndarray) -> Roi:
    """Region where a hand must be, from three pose landmarks (2,) px.

    mediapipe HandDetectionsFromPoseToRectsCalculator: centre between the knuckles, nearer to the index finger; side
    twice the distance to the wrist; up axis from the wrist; then grown 2.7 times and moved up by a tenth.
    """
    middle = (2 * index + little) / 3
    dx, dy = middle - wrist
    side = 2 * float(np.hypot(dx, dy))
    return Roi(float(middle[0]), float(middle[1]), side, side, float(np.arctan2(dx, -dy))).grown(2.7, along=-0.1)


def forearm_hand_roi(elbow: np.ndarray, wrist: np.ndarray) -> Roi:
    """Region of the hand network that continues a forearm, (2,) px each: for hands whose knuckles the pose misses."""
    dx, dy = wrist - elbow
    side = FOREARM_SIDE * float(np.hypot(dx, dy))
    x, y = wrist + FOREARM_REACH * (wrist - elbow)
    return Roi(float(x), float(y), side, side, float(np.arctan2(dx, -dy)))


def hand_roi(hand: np.ndarray) -> Roi:
    """Region of the hand network from a hand (21, 2) px: palm up, twice its extent (mediapipe HandLandmarksToRect)."""
    knuckles = ((hand[5] + hand[13]) / 2 + hand[9]) / 2
    dx, dy = knuckles - hand[0]
    palm = hand[[0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]]
    return _turned_box(palm, float(np.arctan2(dx, -dy))).grown(2.0, along=-0.1)


def rough_face_roi(face: np.ndarray, right_eye: np.ndarray, left_eye: np.ndarray) -> Roi:
    """Region where a face must be, from the pose's face landmarks (11, 2) px and its eyes (2,)."""
    low, high = face.min(0), face.max(0)
    centre, size = (low + high) / 2, high - low
    dx, dy = left_eye - right_eye
    return Roi(*map(float, centre), *map(float, size), float(np.arctan2(dy, dx))).grown(3.0)


def face_roi(points: np.ndarray) -> Roi:
    """Region of the face mesh from the face detector's points (6, 2) px: right eye, left eye, nose, mouth, ears."""
    low, high = points.min(0), points.max(0)
    centre, size = (low + high) / 2, high - low
    dx, dy = points[1] - points[0]
    return Roi(*map(float, centre), *map(float, size), float(np.arctan2(dy, dx))).grown(2.0, along=-0.1)


def mesh_roi(mesh: np.ndarray) -> Roi:
    """Region of the face mesh from the mesh (478, 2) px of the frame before."""
    low, high = mesh.min(0), mesh.max(0)
    centre, size = (low + high) / 2, high - low
    dx, dy = mesh[MESH_LEFT_EYE] - mesh[MESH_RIGHT_EYE]
    return Roi(*map(float, centre), *map(float, size), float(np.arctan2(dy, dx))).grown(1.5)


def one_hand_each(
    left: PartResult | None, right: PartResult | None, left_wrist: np.ndarray, right_wrist: np.ndarray
) -> tuple[PartResult | None, PartResult | None]:
    """Drop one of two results that are the same hand: the one farther from its own wrist (2,) px of the pose."""
    if left is None or right is None:
        return left, right
    size = max(np.ptp(left.xy, axis=0).max(), np.ptp(right.xy, axis=0).max())
    if np.linalg.norm(left.xy[list(PALM)].mean(0) - right.xy[list(PALM)].mean(0)) > SAME_HAND * size:
        return left, right
    keep_left = np.linalg.norm(left.xy[0] - left_wrist) <= np.linalg.norm(right.xy[0] - right_wrist)
    return (left, None) if keep_left else (None, right)


def _turned_box(points: np.ndarray, rotation: float) -> Roi:
    c, s = np.cos(rotation), np.sin(rotation)
    turn = np.array([[c, -s], [s, c]])  # columns: the region's right and down axes
    local = points @ turn
    low, high = local.min(0), local.max(0)
    centre = turn @ ((low + high) / 2)
    return Roi(float(centre[0]), float(centre[1]), *map(float, high - low), rotation)


def _can_see(roi: Roi, picture: Picture, smallest: float) -> bool:
    return usable(roi, picture) and roi.width >= smallest


def _in_roi(points: np.ndarray, roi: Roi) -> bool:
    centre = points.mean(0)
    return bool(np.hypot(centre[0] - roi.x, centre[1] - roi.y) < roi.width / 2)
