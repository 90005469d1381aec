"""First guess of pose and translation from 3D landmarks, in closed form.

Torso and head are turned by frames spanned by their landmarks; limbs are swung onto their landmarks, and twisted so
that elbows and knees bend the way they can. The landmarks are those of `tools.body.observations.OBSERVED`.

Shapes: T time, P observed points.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from model_zoo.body.rotation import axis_angle_from_matrix
from tools.body import observations as obs
from tools.body.chain import Carried, State, exponential, skew
from tools.body.observations import Observations
from workflow.conventions import SMPL_JOINTS

_STEADY_s = 0.2  # window of the median that takes single wild landmarks out of the first guess
_NEAREST_m = 0.4  # no part of the first guess is nearer to the camera
_MIN_BEND = 0.25  # sine of the bend from which the plane of elbow or knee is believed
_MAX_TURN_rad = 0.6  # of wrist and ankle
_INDEX = {name: i for i, name in enumerate(SMPL_JOINTS)}
# Joint, its child and its grandchild among the observed points, rest direction, and where the hinge below it bends to.
_LIMBS = (
    ("left_shoulder", "left_elbow", 5, 7, 9, (0.0, 0.0, 1.0)),
    ("right_shoulder", "right_elbow", 6, 8, 10, (0.0, 0.0, 1.0)),
    ("left_hip", "left_knee", 11, 13, 15, (0.0, 0.0, -1.0)),
    ("right_hip", "right_knee", 12, 14, 16, (0.0, 0.0, -1.0)),
)
_HANDS = (("left_wrist", "left_elbow", 9, 23, 25), ("right_wrist", "right_elbow", 10, 26, 28))  # wrist, index, little
_FEET = (("left_ankle", "left_knee", 19, 17), ("right_ankle", "right_knee", 22, 20))  # heel, big toe


def initial_state(seen: Observations, carried: Carried, fps: float) -> State:
    """First guess for all frames; frames without measurements are interpolated.

    Args:
        seen: Measurements.
        carried: The observed points.
        fps: Frames per second.
    """
    rest_P3 = carried.rest_P3
    landmarks = _steady_landmarks(seen, rest_P3, fps)
    rotations = _rotations(landmarks, rest_P3)
    betas = torch.zeros(carried.shape_P3B.shape[-1], dtype=torch.float64)
    at_origin = State(rotations, torch.zeros(len(rotations), 3, dtype=torch.float64), betas)
    transl = _translation(seen, carried.posed(at_origin).points_TP3)
    transl = _interpolated(transl, seen.usable_T)
    depth = _median(transl[:, 2:], _window(4 * _STEADY_s, fps))
    transl = transl * (depth / transl[:, 2:])
    nearest = carried.posed(State(rotations, transl, betas)).points_TP3[..., 2].amin(1)
    transl[:, 2] += (_NEAREST_m - nearest).clamp_min(0.0)
    return State(rotations, transl, betas)


def _steady_landmarks(seen: Observations, rest_P3: Tensor, fps: float) -> Tensor:
    """Landmarks without gaps and single outliers, (T, P, 3), camera axes."""
    has = (seen.xyz_weight_TP > 0) & seen.usable_T[:, None]
    landmarks = torch.empty_like(seen.xyz_TP3)
    flat = _facing(seen, rest_P3)
    for point in range(landmarks.shape[1]):
        if has[:, point].any():
            landmarks[:, point] = _interpolated(seen.xyz_TP3[:, point], has[:, point])
        else:
            landmarks[:, point] = flat[:, point]
    return _median(landmarks.flatten(1), _window(_STEADY_s, fps)).unflatten(1, (-1, 3))


def _facing(seen: Observations, rest_P3: Tensor) -> Tensor:
    """The body at rest, upright, turned to or from the camera as the shoulders tell; for clips without landmarks."""
    left = (seen.xy_TP2[:, obs.LEFT_SHOULDER, 0] - seen.xy_TP2[:, obs.RIGHT_SHOULDER, 0]) * seen.usable_T
    sign = 1.0 if float(left.sum()) >= 0 else -1.0
    camera_from_rest = torch.diag(torch.tensor([sign, -1.0, -sign], dtype=torch.float64))
    hips = rest_P3[[obs.LEFT_HIP, obs.RIGHT_HIP]].mean(0)
    return ((rest_P3 - hips) @ camera_from_rest.T).expand(len(left), -1, -1)


def _rotations(landmarks_TP3: Tensor, rest_P3: Tensor) -> Tensor:
    frames = len(landmarks_TP3)
    identity = torch.eye(3, dtype=torch.float64).expand(frames, 3, 3)
    local = dict.fromkeys(range(24), identity)
    rest = rest_P3[None]

    def turn(a: int, b: int, c: tuple[int, ...], d: tuple[int, ...]) -> Tensor:
        """Rotation of the frame spanned by b - a and mean(d) - mean(c) from rest to the landmarks."""
        observed, template = (
            _frame(x[:, b] - x[:, a], x[:, list(d)].mean(1) - x[:, list(c)].mean(1)) for x in (landmarks_TP3, rest)
        )
        return observed @ template.mT

    hips, shoulders = (obs.LEFT_HIP, obs.RIGHT_HIP), (obs.LEFT_SHOULDER, obs.RIGHT_SHOULDER)
    pelvis = turn(obs.RIGHT_HIP, obs.LEFT_HIP, hips, shoulders)
    chest = turn(obs.RIGHT_SHOULDER, obs.LEFT_SHOULDER, hips, shoulders)
    head = turn(obs.RIGHT_EAR, obs.LEFT_EAR, (obs.LEFT_EAR, obs.RIGHT_EAR), (obs.NOSE,))
    local[0] = pelvis
    third = exponential(axis_angle_from_matrix(pelvis.mT @ chest) / 3)
    for name in ("spine1", "spine2", "spine3"):
        local[_INDEX[name]] = third
    nod = axis_angle_from_matrix(chest.mT @ head)
    half = exponential(nod * (1.0 / nod.norm(dim=-1, keepdim=True).clamp_min(1e-9)).clamp_max(1.0) / 2)
    local[_INDEX["neck"]] = local[_INDEX["head"]] = half

    globally: dict[str, Tensor] = {}
    for upper, hinge, root, middle, end, bends_to in _LIMBS:
        parent = chest if "shoulder" in upper else pelvis
        bone = _unit(rest_P3[middle] - rest_P3[root])
        towards = _unit(_across(torch.tensor(bends_to, dtype=torch.float64), bone))
        goal = (parent.mT @ (landmarks_TP3[:, middle] - landmarks_TP3[:, root])[..., None])[..., 0]
        swing = _swing(bone.expand(frames, 3), _unit(goal))
        lower = ((parent @ swing).mT @ (landmarks_TP3[:, end] - landmarks_TP3[:, middle])[..., None])[..., 0]
        lower = _unit(lower)
        across = _across(lower, bone)
        bend = across.norm(dim=-1)
        angle = torch.atan2(across @ torch.linalg.cross(bone, towards), across @ towards)
        angle = angle * ((bend / _MIN_BEND).clamp_max(1.0)) * (lower @ bone > -0.98)
        angle = angle.clamp(-1.4, 1.4) if "shoulder" in upper else angle.clamp(-0.7, 0.7)
        twist = exponential(angle[:, None] * bone)
        local[_INDEX[upper]] = swing @ twist
        rest_lower = _unit(rest_P3[end] - rest_P3[middle])
        below = (twist.mT @ lower[..., None])[..., 0]
        local[_INDEX[hinge]] = _swing(rest_lower.expand(frames, 3), below)
        globally[hinge] = parent @ local[_INDEX[upper]] @ local[_INDEX[hinge]]
    for wrist, elbow, root, index, little in _HANDS:
        observed, template = (
            _frame((x[:, index] + x[:, little]) / 2 - x[:, root], x[:, index] - x[:, little])
            for x in (landmarks_TP3, rest)
        )
        local[_INDEX[wrist]] = _limited(globally[elbow].mT @ observed @ template.mT)
    for ankle, knee, heel, toe in _FEET:
        goal = (globally[knee].mT @ (landmarks_TP3[:, toe] - landmarks_TP3[:, heel])[..., None])[..., 0]
        sole = _unit(rest_P3[toe] - rest_P3[heel]).expand(frames, 3)
        local[_INDEX[ankle]] = _limited(_swing(sole, _unit(goal)))
    return torch.stack([local[joint] for joint in range(24)], 1)


def _translation(seen: Observations, points_TP3: Tensor) -> Tensor:
    """Translation that puts the points onto their pixels: confidence-weighted least squares, twice reweighted, (T, 3).

    A point (x, y, z) seen along the ray (a, b, 1) gives `tx - a tz = a z - x` and `ty - b tz = b z - y`.
    """
    rays = seen.rays()
    weight = seen.weight_TP.clone()
    one, zero = torch.ones_like(weight), torch.zeros_like(weight)
    rows = torch.stack(
        [torch.stack([one, zero, -rays[..., 0]], -1), torch.stack([zero, one, -rays[..., 1]], -1)], 2
    )  # (T, P, 2, 3)
    right = rays * points_TP3[..., 2:] - points_TP3[..., :2]
    for _ in range(3):
        weighted = rows * weight[..., None, None]
        normal = torch.einsum("tpra,tprb->tab", weighted, rows) + 1e-9 * torch.eye(3, dtype=rows.dtype)
        transl = torch.linalg.solve(normal, torch.einsum("tpra,tpr->ta", weighted, right))
        squared = ((rows @ transl[:, None, :, None])[..., 0] - right).square().sum(-1)
        typical = (squared * seen.weight_TP).sum(1, keepdim=True) / seen.weight_TP.sum(1, keepdim=True).clamp_min(1e-9)
        weight = seen.weight_TP * (typical / (typical + squared + 1e-12)) ** 2
    return torch.where(transl[:, 2:] > 0.3, transl, transl.new_tensor([0.0, 0.0, 3.0]))


def _interpolated(values: Tensor, known_T: Tensor) -> Tensor:
    """Fill frames that are not known linearly between those that are; hold beyond the ends."""
    at = np.flatnonzero(known_T.numpy())
    frames = np.arange(len(values))
    columns = values.flatten(1).numpy()
    filled = np.stack([np.interp(frames, at, columns[at, c]) for c in range(columns.shape[1])], 1)
    return torch.from_numpy(filled).reshape(values.shape)


def _window(seconds: float, fps: float) -> int:
    return max(1, 2 * round(seconds * fps / 2) + 1)


def _median(values_TC: Tensor, window: int) -> Tensor:
    """Running median along time; the window shrinks at the ends to the frames there are."""
    half = min(window // 2, (len(values_TC) - 1) // 2)
    if half == 0:
        return values_TC
    padded = torch.cat([values_TC[:1].expand(half, -1), values_TC, values_TC[-1:].expand(half, -1)])
    return padded.unfold(0, 2 * half + 1, 1).median(-1).values


def _unit(vector: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vector, dim=-1)


def _across(vector: Tensor, axis: Tensor) -> Tensor:
    """Part of a vector at right angles to a unit axis."""
    return vector - (vector * axis).sum(-1, keepdim=True) * axis


def _frame(x: Tensor, y: Tensor) -> Tensor:
    """Rotation whose first column is along x and whose second is as near to y as can be."""
    x = _unit(x)
    z = _unit(torch.linalg.cross(x, y))
    return torch.stack([x, torch.linalg.cross(z, x), z], -1)


def _swing(start: Tensor, end: Tensor) -> Tensor:
    """Smallest rotations that take unit vectors to unit vectors, (T, 3, 3)."""
    cross = torch.linalg.cross(start, end)
    cosine = (start * end).sum(-1)[:, None, None].clamp_min(-0.999)
    matrix = skew(cross)
    nearly = torch.eye(3, dtype=start.dtype) + matrix + matrix @ matrix / (1 + cosine)
    u, _, vt = torch.linalg.svd(nearly)
    return u @ vt


def _limited(rotation: Tensor) -> Tensor:
    vector = axis_angle_from_matrix(rotation)
    return exponential(vector * (_MAX_TURN_rad / vector.norm(dim=-1, keepdim=True).clamp_min(1e-9)).clamp_max(1.0))
