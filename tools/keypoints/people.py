"""People in one picture: detection, pose and appearance of each, nobody twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.keypoints.appearance import Appearance, describe
from tools.keypoints.graphs import Detection, Networks, Picture, PoseResult, Roi

ROI_SCALE = 1.25  # mediapipe pose_landmark/pose_landmarks_to_roi
MAX_ROI_DRIFT = 0.1  # of the region's side: farther off, the pose network looks a second time
MAX_ROI_TURN_rad = 0.2
SAME_PERSON_OVERLAP = 0.7  # of the smaller box
MAX_CANDIDATES = 10  # detections looked at per picture; a crowd has many
MIN_REGION_px = 24  # smaller tiles tell nothing
SEEN = 0.5
BOX_MARGINS = (0.06, 0.10, 0.06, 0.03)  # left, top (the skull above the eyes), right, bottom; shares of the height


@dataclass(frozen=True)
class Person:
    """One person in one picture.

    Attributes:
        pose: Landmarks, px of the picture.
        box: (4,) x0, y0, x1, y1 px, within the picture.
        appearance: Clothes.
        detection_score: Of the detector, [0, 1]; 0 where the pose was tracked without it.
    """

    pose: PoseResult
    box: np.ndarray
    appearance: Appearance
    detection_score: float

    @property
    def height(self) -> float:
        """Body size, px: diameter of the circle round the whole body, which does not change when a person bends."""
        return 2.0 * float(np.linalg.norm(self.pose.alignment[1] - self.pose.alignment[0]))

    @property
    def centre(self) -> np.ndarray:
        """(2,) hip centre, px."""
        return self.pose.alignment[0]


def body_roi(alignment: np.ndarray) -> Roi:
    """Region of the pose network from hip centre and a point on the circle round the body, (2, 2) px.

    A square of 2.5 radii whose up axis points from the hips to that point
    (mediapipe AlignmentPointsRectsCalculator and RectTransformationCalculator).
    """
    dx, dy = alignment[1] - alignment[0]
    side = 2.0 * float(np.hypot(dx, dy)) * ROI_SCALE
    return Roi(float(alignment[0, 0]), float(alignment[0, 1]), side, side, float(np.arctan2(dx, -dy)))


def far_off(used: Roi, wanted: Roi) -> bool:
    """Tell whether a region is so far from the wanted one that the network should look again."""
    drift = np.hypot(used.x - wanted.x, used.y - wanted.y) + abs(used.width - wanted.width) / 2
    turn = abs((used.rotation - wanted.rotation + np.pi) % (2 * np.pi) - np.pi)
    return bool(drift > MAX_ROI_DRIFT * wanted.width or turn > MAX_ROI_TURN_rad)


def pose_at(networks: Networks, picture: Picture, roi: Roi) -> PoseResult | None:
    """Pose in a region, looked at twice where the first look shows the region to be off; None below the score."""
    if not usable(roi, picture):
        return None
    pose = networks.pose(picture, roi)
    wanted = body_roi(pose.alignment)
    if pose.score >= networks.min_score and far_off(roi, wanted) and usable(wanted, picture):
        pose = networks.pose(picture, wanted)
    return pose if pose.score >= networks.min_score else None


def usable(roi: Roi, picture: Picture) -> bool:
    """Tell whether a region has a sensible size and its centre is not far outside the picture."""
    reach = roi.width / 2
    return (
        np.isfinite([roi.x, roi.y, roi.width, roi.rotation]).all()
        and 8.0 < roi.width < 6.0 * max(picture.width, picture.height)
        and -reach < roi.x < picture.width + reach
        and -reach < roi.y < picture.height + reach
    )


def person_box(pose: PoseResult, width: int, height: int) -> np.ndarray:
    """Box (4,) px round the visible landmarks with room for skull, hands and soles, cut to the picture."""
    seen = pose.visibility * pose.presence > SEEN
    points = pose.xy[seen] if seen.sum() >= 4 else pose.xy
    low, high = points.min(0), points.max(0)
    room = np.array(BOX_MARGINS) * max(high[1] - low[1], 1.0)
    box = np.array([low[0] - room[0], low[1] - room[1], high[0] + room[2], high[1] + room[3]])
    return np.clip(box, -0.5, np.array([width, height, width, height]) - 0.5)


def person_of(picture: Picture, pose: PoseResult, detection_score: float = 0.0) -> Person | None:
    """Describe a pose as a person; None where it lies outside the picture."""
    box = person_box(pose, picture.width, picture.height)
    if (box[2:] - box[:2]).min() < 2.0:
        return None
    return Person(pose, box, describe(picture.rgb, pose.xy, pose.visibility), detection_score)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    common = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    union = (a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common
    return float(common / union) if union > 0 else 0.0


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the smaller of two boxes (4,) that lies in the other."""
    common = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    smaller = min((a[2:] - a[:2]).prod(), (b[2:] - b[:2]).prod())
    return float(common / smaller) if smaller > 0 else 0.0


def tiles(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """The whole picture and overlapping squares of its shorter side, x0, y0, x1, y1: small people need the squares."""
    side = min(width, height)
    found = [(0, 0, width, height)]
    if side < max(width, height):
        found += [(left, top, left + side, top + side) for top in _steps(height, side) for left in _steps(width, side)]
    return found


def _steps(length: int, side: int) -> list[int]:
    count = int(np.ceil((length - side) / (side * 0.6))) + 1
    return sorted({int(start) for start in np.linspace(0, length - side, count)})


def look(networks: Networks, picture: Picture, regions: Sequence[tuple[int, int, int, int]]) -> list[Person]:
    """Find the people in some regions (x0, y0, x1, y1 px) of a picture, surest first, nobody twice."""
    detections = [found for region in regions for found in _detect(networks, picture, region)]
    detections = sorted(detections, key=lambda found: -found.score)[:MAX_CANDIDATES]
    people: list[Person] = []
    looked_at: list[Roi] = []
    for found in detections:
        roi = body_roi(found.points[:2])
        if any(not far_off(old, roi) for old in looked_at):
            continue
        looked_at.append(roi)
        pose = pose_at(networks, picture, roi)
        person = None if pose is None else person_of(picture, pose, found.score)
        if person is not None and all(overlap(person.box, other.box) < SAME_PERSON_OVERLAP for other in people):
            people.append(person)
    return people


def _detect(networks: Networks, picture: Picture, region: tuple[int, int, int, int]) -> list[Detection]:
    left, top, right, bottom = region
    if (left, top, right, bottom) == (0, 0, picture.width, picture.height):
        return networks.bodies(picture)
    if min(right - left, bottom - top) < MIN_REGION_px:
        return []
    part = Picture(picture.rgb[top:bottom, left:right])
    shift = np.array([left, top], np.float64)
    return [
        Detection(found.score, found.box + np.tile(shift, 2), found.points + shift) for found in networks.bodies(part)
    ]
