"""Which way the head looks, and what of it the camera can therefore see.

The pose network gives eyes and nose a high visibility also on the back of a head; its world landmarks know better.
"""

from __future__ import annotations

import numpy as np

NUM_LANDMARKS = 33
NOSE, LEFT_EAR, RIGHT_EAR = 0, 7, 8
AVERTED = 0.3  # z of the gaze beyond which there is no face to see
# How the surface of the head is turned at each pose landmark: shares of gaze and of the axis to the left ear.
NORMALS = {
    0: (1.0, 0.0),  # nose
    1: (0.9, 0.3), 2: (0.85, 0.5), 3: (0.8, 0.6),  # left eye: inner, centre, outer
    4: (0.9, -0.3), 5: (0.85, -0.5), 6: (0.8, -0.6),  # right eye
    9: (0.9, 0.3), 10: (0.9, -0.3),  # mouth corners
}  # fmt: skip
# The same for the iBUG points that can turn away from the camera while the face is still seen: a side's jaw, brow, eye.
FACE_NORMALS = {
    (0.2, -1.0): tuple(range(6)),
    (0.2, 1.0): tuple(range(11, 17)),
    (0.8, -0.6): (*range(17, 22), *range(36, 42)),
    (0.8, 0.6): (*range(22, 27), *range(42, 48)),
}
FACE_RAMP = (0.15, 0.6)  # z of the normal: seen up to the first, unseen from the second
EAR_RAMP = (0.5, 0.9)  # ears stand off: seen from behind as well, not through the head


def gaze(world: np.ndarray) -> np.ndarray:
    """Unit vector (3,) from between the ears to the nose; camera axes, z away from the camera. (33, 3) m."""
    return _unit(world[NOSE] - (world[LEFT_EAR] + world[RIGHT_EAR]) / 2)


def visible_share(world: np.ndarray) -> np.ndarray:
    """Share (33,) in [0, 1] to which each landmark is on the side of the head that the camera sees; 1 off the head.

    Args:
        world: (33, 3) m, camera axes.
    """
    forward, left = gaze(world), _unit(world[LEFT_EAR] - world[RIGHT_EAR])
    share = np.ones(NUM_LANDMARKS)
    for landmark, (ahead, aside) in NORMALS.items():
        share[landmark] = _ramp(_unit(ahead * forward + aside * left)[2], FACE_RAMP)
    share[LEFT_EAR] = _ramp(left[2], EAR_RAMP)
    share[RIGHT_EAR] = _ramp(-left[2], EAR_RAMP)
    return share


def visible_share_of_face(world: np.ndarray) -> np.ndarray:
    """Likewise for the 68 iBUG points, (68,) in [0, 1]."""
    forward, left = gaze(world), _unit(world[LEFT_EAR] - world[RIGHT_EAR])
    share = np.ones(68)
    for (ahead, aside), points in FACE_NORMALS.items():
        share[list(points)] = _ramp(_unit(ahead * forward + aside * left)[2], FACE_RAMP)
    return share


def _ramp(z: float, bounds: tuple[float, float]) -> float:
    return float(np.clip((bounds[1] - z) / (bounds[1] - bounds[0]), 0.0, 1.0))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
