"""Draws keypoints over a picture."""

from __future__ import annotations

import cv2
import numpy as np

from tools.page.colours import Colour
from workflow.conventions import COCO_EDGES, COCO_WHOLEBODY, FACE, FEET, HAND_POINTS, LEFT_HAND, RIGHT_HAND

LEFT: Colour = (86, 180, 233)
RIGHT: Colour = (255, 150, 60)
MIDDLE: Colour = (255, 240, 90)
SEEN = 0.3  # confidence from which a joint is drawn

_SHADOW: Colour = (0, 0, 0)
_SHIFT = 4  # binary digits of OpenCV's fixed-point coordinates
_FINGERS = tuple(
    (0 if joint % 4 == 1 else joint - 1, joint) for joint in range(1, len(HAND_POINTS))
)  # from the wrist along each finger


def _colour(first: int, second: int) -> Colour:
    names = COCO_WHOLEBODY[first], COCO_WHOLEBODY[second]
    if all(name.startswith("left") for name in names):
        return LEFT
    if all(name.startswith("right") for name in names):
        return RIGHT
    return MIDDLE


_BONES = tuple((a, b, _colour(a, b)) for a, b in COCO_EDGES) + tuple(
    (part.start + a, part.start + b, colour)
    for part, colour in ((LEFT_HAND, LEFT), (RIGHT_HAND, RIGHT))
    for a, b in _FINGERS
)


def draw(picture: np.ndarray, keypoints: np.ndarray, scale: float) -> None:
    """Draw the joints that are seen and the bones between them, in place.

    Args:
        picture: (h, w, 3) uint8.
        keypoints: (133, 3): x, y in px of the picture before it was scaled, confidence.
        scale: By how much it was scaled.
    """
    seen = keypoints[:, 2] >= SEEN
    # Pixel centres are whole numbers, so scaling is about the corner at (-0.5, -0.5).
    places = np.rint(((keypoints[:, :2] + 0.5) * scale - 0.5).clip(-4096, 4096) * (1 << _SHIFT)).astype(int)
    bones = [(a, b, colour) for a, b, colour in _BONES if seen[a] and seen[b]]
    fine = dict.fromkeys(range(FACE.start, RIGHT_HAND.stop), 1)
    for shadow in (True, False):
        for a, b, colour in bones:
            width = fine.get(a, 2) + (2 if shadow else 0)
            ends = places[a].tolist(), places[b].tolist()
            cv2.line(picture, *ends, _SHADOW if shadow else colour, width, cv2.LINE_AA, _SHIFT)
    for joint in np.flatnonzero(seen):
        if FACE.start <= joint < FACE.stop:
            cv2.circle(picture, places[joint].tolist(), 1 << (_SHIFT - 1), MIDDLE, -1, cv2.LINE_AA, _SHIFT)
        elif joint < FEET.stop:
            cv2.circle(picture, places[joint].tolist(), 2 << _SHIFT, (255, 255, 255), -1, cv2.LINE_AA, _SHIFT)
