"""From mediapipe's landmarks to the 133 joints of COCO-WholeBody."""

from __future__ import annotations

import numpy as np

from workflow.conventions import BODY, FACE, FEET, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

# Pose landmark of each COCO-17 joint (BlazePose GHUM's 33; left is the subject's left).
POSE_FROM_BODY = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
# Big toe, small toe, heel, left then right. BlazePose has no small toe: it stays absent.
POSE_FROM_FEET = (31, -1, 29, 32, -1, 30)
# Hand points that the pose network knows as well: wrist, thumb's second joint, first joints of index and little finger.
POSE_FROM_LEFT_HAND = {0: 15, 2: 21, 5: 19, 17: 17}
POSE_FROM_RIGHT_HAND = {0: 16, 2: 22, 5: 20, 17: 18}
# iBUG points that the pose network knows as well: eye corners (outer, inner, inner, outer) and mouth corners.
POSE_FROM_FACE = {36: 6, 39: 4, 42: 1, 45: 3, 48: 10, 54: 9}

# iBUG-68 to face mesh, by the meaning of the points: jaw from the subject's right ear to the left, brows, nose bridge,
# nose base, eyes, outer lips, inner lips. Order: Sagonas et al., 300-W, ICCVW 2013; mesh: mediapipe canonical face.
MESH_FROM_FACE = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip


def _pose_sources() -> np.ndarray:
    source = np.full(NUM_KEYPOINTS, -1)
    source[BODY] = POSE_FROM_BODY
    source[FEET] = POSE_FROM_FEET
    for part, table in ((FACE, POSE_FROM_FACE), (LEFT_HAND, POSE_FROM_LEFT_HAND), (RIGHT_HAND, POSE_FROM_RIGHT_HAND)):
        for joint, landmark in table.items():
            source[part.start + joint] = landmark
    return source


POSE_FROM_WHOLEBODY = _pose_sources()  # (133,) pose landmark of each joint, -1 where there is none
IN_3D = POSE_FROM_WHOLEBODY >= 0  # which joints have a world position
IN_2D = np.isin(np.arange(NUM_KEYPOINTS), np.r_[BODY, FEET]) & IN_3D


def from_pose(xy: np.ndarray, confidence: np.ndarray, world: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spread 33 pose landmarks over the 133 joints.

    Args:
        xy: (33, 2) px, image frame.
        confidence: (33,) in [0, 1].
        world: (33, 3) m, origin between the hips, camera axes.

    Returns:
        xy (133, 2) px and confidence (133,), set for body and feet; xyz (133, 3) m, set where `IN_3D`. Zero elsewhere.
    """
    joints = np.zeros((NUM_KEYPOINTS, 2))
    scores = np.zeros(NUM_KEYPOINTS)
    points = np.zeros((NUM_KEYPOINTS, 3))
    joints[IN_2D] = xy[POSE_FROM_WHOLEBODY[IN_2D]]
    scores[IN_2D] = confidence[POSE_FROM_WHOLEBODY[IN_2D]]
    points[IN_3D] = world[POSE_FROM_WHOLEBODY[IN_3D]]
    return joints, scores, points


def face_from_mesh(mesh: np.ndarray) -> np.ndarray:
    """Pick the 68 iBUG points, (68, 2), from the face mesh (468 or 478, 2)."""
    return mesh[list(MESH_FROM_FACE)]


def inside(xy: np.ndarray, width: int, height: int) -> np.ndarray:
    """Tell which points (..., 2) px lie on the image: within half a pixel of a pixel centre."""
    return ((xy >= -0.5) & (xy <= np.array([width, height]) - 0.5)).all(-1)
