"""What the fit sees of a clip: keypoints, landmarks and their weights, in the frames and units of the objective.

Shapes: T time, P observed points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workflow.conventions import BODY, FEET, LEFT_HAND, RIGHT_HAND
from workflow.stages.keypoints import Keypoints

# Body and feet, then the base of index, middle and little finger, left then right.
KNUCKLES = (5, 9, 17)
OBSERVED = (
    *range(BODY.start, FEET.stop),
    *(LEFT_HAND.start + k for k in KNUCKLES),
    *(RIGHT_HAND.start + k for k in KNUCKLES),
)
NOSE, LEFT_EAR, RIGHT_EAR = 0, 3, 4
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP = 5, 6, 11, 12
TORSO = (LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP)
# Pairs of observed points between which landmarks are compared: limbs, torso with both diagonals, and head.
BONES = (
    (5, 7), (7, 9), (9, 23), (9, 24), (9, 25), (6, 8), (8, 10), (10, 26), (10, 27), (10, 28),
    (11, 13), (13, 15), (15, 17), (15, 18), (15, 19), (12, 14), (14, 16), (16, 20), (16, 21), (16, 22),
    (11, 5), (12, 6), (11, 6), (12, 5), (5, 6), (11, 12),
    (5, 3), (6, 4), (5, 4), (6, 3), (5, 0), (6, 0), (3, 0), (4, 0), (3, 1), (4, 2),
)  # fmt: skip
MIN_CONFIDENCE = 0.3  # of a joint that counts as seen
MIN_JOINTS = 4  # seen joints in a frame that can be fitted
_SHOULDERS, _ANKLES = (LEFT_SHOULDER, RIGHT_SHOULDER), (15, 16)
_PITCH_rad = 0.14  # how far cameras look down on people, as a rule: at eye level, at the middle of the body
_UPRIGHT_rad = 0.7  # of somebody who stands; one who leans farther tells nothing about the camera
_BELIEF = 0.6  # of the difference from the rule that is taken for the network's error
_MOST_rad = 0.12  # by which landmarks are turned
_EXCHANGED_s = 0.25  # longest time for which left and right are taken to be exchanged by mistake
_MIRRORED = (
    0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15, 20, 21, 22, 17, 18, 19, 26, 27, 28, 23, 24, 25,
)  # fmt: skip


@dataclass(frozen=True)
class Observations:
    """Measurements of a clip, float64.

    Attributes:
        xy_TP2: px, image frame.
        weight_TP: Confidence of `xy_TP2` in [0, 1]; 0 where there is none.
        xyz_TP3: m, camera axes, origin mid hip.
        xyz_weight_TP: Confidence of `xyz_TP3`; 0 where there is none.
        usable_T: bool, frames with enough joints to be fitted.
        focal, centre_2: px.
    """

    xy_TP2: Tensor
    weight_TP: Tensor
    xyz_TP3: Tensor
    xyz_weight_TP: Tensor
    usable_T: Tensor
    focal: float
    centre_2: Tensor

    def rays(self) -> Tensor:
        """Viewing directions of `xy_TP2` with z = 1, shape (T, P, 2)."""
        return (self.xy_TP2 - self.centre_2) / self.focal


def observe(keypoints: Keypoints, focal: float, centre: tuple[float, float], fps: float) -> Observations:
    """Select and weigh what the fit uses; short exchanges of left and right are undone.

    Landmarks come from networks that see a crop around the person, and know no direction but the one they look in: they
    are turned from the ray through the person's middle to the camera's axes.
    """
    points = list(OBSERVED)
    xy = keypoints.xy[:, points].astype(np.float64)
    confidence = keypoints.confidence[:, points].astype(np.float64)
    xyz = keypoints.xyz[:, points].astype(np.float64)
    xyz_valid = keypoints.xyz_valid[:, points]
    seen = confidence[:, : BODY.stop] >= MIN_CONFIDENCE
    usable = keypoints.valid & (seen.sum(1) >= MIN_JOINTS)
    exchanged = exchanged_frames(xy[:, : BODY.stop], seen, usable, max(1, round(_EXCHANGED_s * fps)))
    for values in (xy, confidence, xyz, xyz_valid):
        values[exchanged] = values[exchanged][:, list(_MIRRORED)]
    weight = np.where(usable[:, None], confidence**2, 0.0)
    lifted = xyz_valid & usable[:, None]
    # A landmark whose joint is hidden is still a good guess, a joint out of the picture hardly one.
    trust = np.where(lifted, 0.1 + 0.9 * confidence, 0.0)
    trust[:, FEET.stop :] = np.where(lifted[:, FEET.stop :], 0.5, 0.0)
    xyz_camera = np.einsum("tab,tpb->tpa", _camera_from_view(xy, confidence, focal, centre), xyz)
    xyz_camera = xyz_camera @ _righted(xyz_camera, lifted).T
    return Observations(
        torch.from_numpy(xy),
        torch.from_numpy(weight),
        torch.from_numpy(xyz_camera),
        torch.from_numpy(trust),
        torch.from_numpy(usable),
        focal,
        torch.tensor(centre, dtype=torch.float64),
    )


def _righted(xyz_TP3: np.ndarray, known_TP: np.ndarray) -> np.ndarray:
    """Rotation about the camera's x axis that takes out part of a network's error in how far the camera looks down.

    From one picture a network can hardly tell a camera that looks down from a person who leans towards it; its people
    lean by 0.1 rad and more, all frames of a clip alike. But people stand with their shoulders above their ankles, and
    cameras look down a little, so the two together lean by `_PITCH_rad`, give or take 0.1. Of the difference a share is
    taken out, and never much, for the camera may well look down steeply. Shape (3, 3).
    """
    joints = [*_SHOULDERS, *_ANKLES]
    known = known_TP[:, joints].all(1)
    up = xyz_TP3[:, list(_SHOULDERS)].mean(1) - xyz_TP3[:, list(_ANKLES)].mean(1)
    lean, aslant = np.arctan2(-up[:, 2], -up[:, 1]), np.arctan2(np.abs(up[:, 0]), -up[:, 1])
    stands = known & (np.abs(lean - _PITCH_rad) < _UPRIGHT_rad) & (aslant < _UPRIGHT_rad)
    if not known.any() or stands.sum() < 0.5 * known.sum():
        return np.eye(3)
    turn = _BELIEF * (np.median(lean[stands]) - _PITCH_rad)
    sine, cosine = np.sin(-np.clip(turn, -_MOST_rad, _MOST_rad)), np.cos(np.clip(turn, -_MOST_rad, _MOST_rad))
    return np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])


def exchanged_frames(xy_TP2: np.ndarray, seen_TP: np.ndarray, usable_T: np.ndarray, longest: int) -> np.ndarray:
    """Find short runs of frames in which a network took left for right.

    Dynamic programming over two readings of every frame, as given and exchanged, for the least motion of joints.

    Args:
        xy_TP2: The 17 body joints, px.
        seen_TP: Whether a joint counts.
        usable_T: Frames to look at.
        longest: Frames of the longest run that is believed to be a mistake.

    Returns:
        Shape (T,), bool.
    """
    mirrored = list(_MIRRORED[: BODY.stop])
    at = np.flatnonzero(usable_T)
    result = np.zeros(len(usable_T), dtype=bool)
    if len(at) < 3:
        return result
    readings = np.stack([xy_TP2[at], xy_TP2[at][:, mirrored]])
    counted = np.stack([seen_TP[at], seen_TP[at][:, mirrored]])
    # motion[s, q, t]: from reading s of frame t to reading q of frame t + 1, over joints seen in both
    both = counted[:, None, :-1] & counted[None, :, 1:]
    distance = np.linalg.norm(readings[:, None, :-1] - readings[None, :, 1:], axis=-1)
    motion = (distance * both).sum(-1) / np.maximum(both.sum(-1), 1)
    best, back = np.zeros(2), []
    for t in range(motion.shape[-1]):
        cost = best[:, None] + motion[:, :, t]
        back.append(cost.argmin(0))
        best = cost.min(0)
    path = [int(best.argmin())]
    for step in reversed(back):
        path.append(int(step[path[-1]]))
    exchanged = np.array(path[::-1], dtype=bool)
    if exchanged.mean() > 0.5:  # which reading is right is for the majority to say
        exchanged = ~exchanged
    edges = np.flatnonzero(np.diff(np.concatenate([[0], exchanged.astype(np.int8), [0]])))
    for start, stop in edges.reshape(-1, 2):
        if stop - start <= longest:
            result[at[start:stop]] = True
    return result


def _camera_from_view(xy: np.ndarray, confidence: np.ndarray, focal: float, centre: tuple[float, float]) -> np.ndarray:
    """Smallest rotation that takes the optical axis to the ray through the middle of the torso, shape (T, 3, 3)."""
    weight = confidence[:, list(TORSO)] + 1e-9
    middle = (xy[:, list(TORSO)] * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
    ray = np.concatenate([(middle - np.array(centre)) / focal, np.ones((len(xy), 1))], 1)
    x, y, z = (ray / np.linalg.norm(ray, axis=1, keepdims=True)).T
    k = 1 / (1 + z)
    rows = [[1 - k * x * x, -k * x * y, x], [-k * x * y, 1 - k * y * y, y], [-x, -y, z]]
    return np.array(rows).transpose(2, 0, 1)
