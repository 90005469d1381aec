"""What the fit minimises, with its normal equations: reprojection, landmarks, priors and smoothness.

All terms are half squared residuals in units of their standard deviation, so that weights have a meaning. Data terms
are robust (Geman and McClure 1987). Temporal terms are speeds and accelerations in m/s and m/s^2, so that clips at 24
and at 50 frames per second are treated alike. Derivatives are exact but for the dependence of temporal terms on the
shape, which is left out.

Landmarks are compared bone by bone, as in the fit of Xiang et al. ("Monocular Total Capture", CVPR 2019), not place by
place: where a network is wrong about the lean of the trunk or the direction of an upper arm, all that hangs on it is
shifted, and a robust loss on places then rejects what the network knows of the wrist. Of a bone only the direction is
taken: lengths are the body model's, where networks give those of a mean person, and feet half as long as they are.

Shapes: T time, P points, K bones, N unknowns of a frame, B betas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tools.body.chain import FREE_JOINTS, NUM_UNKNOWNS, Carried, Posed, State
from tools.body.observations import BONES, LEFT_HIP, OBSERVED, RIGHT_HIP, Observations
from tools.body.priors import PosePrior
from tools.body.solver import System

NUM_OBSERVED = len(OBSERVED)
# A foot's joints among the smoothed points, and its ankle, toe and heel among the observed ones.
_FOOT_JOINTS = ((7, 10), (8, 11))
_FOOT_POINTS = ((15, 17, 19), (16, 20, 22))
_STILL_m_s = 0.25  # a foot that moves slower than this in the picture is taken to stand
_STILL_s = 0.15  # time over which that is measured
_NEAREST_m = 0.15  # a point must stay this far in front of the camera
# Knuckles see the wrist's turn but are small and noisy; hips are clicked within a wide area.
_SPREAD_2D = torch.ones(NUM_OBSERVED, dtype=torch.float64)
_SPREAD_2D[[LEFT_HIP, RIGHT_HIP]] = 1.5
_SPREAD_2D[23:] = 1.7
_STARTS, _ENDS = (list(points) for points in zip(*BONES))


@dataclass(frozen=True)
class Weights:
    """Standard deviations of the terms.

    Attributes:
        pixel_m: Of a keypoint, at the person's distance.
        pixel_scale_m: Scale of its robust loss.
        landmark_m: Of the vector of a bone between two landmarks.
        landmark_scale_m: Scale of its robust loss.
        acceleration: Of the carried points that are smoothed, m/s^2.
        depth_acceleration: Of the pelvis along the line of sight, m/s^2.
        burst: Accelerations of more than this many standard deviations are bursts, and cost less than their square.
        speed: Of the smoothed points in frames without measurements, m/s.
        foot_speed: Of a foot that stands still in the picture, m/s, camera frame.
        foot_speed_scale: Scale of its robust loss: a foot may well come straight towards the camera.
        betas: Weight of the shape prior, as a share of the number of frames.
        pose: Weight of the pose prior.
    """

    pixel_m: float = 0.02
    pixel_scale_m: float = 0.034
    landmark_m: float = 0.1
    landmark_scale_m: float = 0.15
    acceleration: float = 8.0
    depth_acceleration: float = 2.0
    burst: float = 0.7
    speed: float = 1.0
    foot_speed: float = 0.1
    foot_speed_scale: float = 0.3
    betas: float = 0.3
    pose: float = 0.5


class Objective:
    """Cost of a state of one clip.

    The carried points are the observed ones, then those that are smoothed; the first of these is the pelvis.
    """

    def __init__(
        self,
        carried: Carried,
        spread_smooth: Tensor,
        seen: Observations,
        depth_T: Tensor,
        fps: float,
        weights: Weights,
    ) -> None:
        """Take the clip.

        Args:
            carried: Observed and smoothed points.
            spread_smooth: Spread of each smoothed point's acceleration relative to the typical one.
            seen: Measurements.
            depth_T: Rough distance of the person, m; scales the reprojection error to metres.
            fps: Frames per second.
            weights: Standard deviations.
        """
        self.carried, self.seen, self.fps, self.weights = carried, seen, fps, weights
        self.spread_smooth = spread_smooth
        self.rays = seen.rays()
        self.depth_T = depth_T
        self.prior = PosePrior()
        middle = (self.rays * seen.weight_TP[..., None]).sum(1) / seen.weight_TP.sum(1, keepdim=True).clamp_min(1e-9)
        self.sight_T3 = torch.nn.functional.normalize(torch.cat([middle, torch.ones_like(middle[:, :1])], 1), dim=1)
        self.still_TF = still_feet(self.rays * depth_T[:, None, None], seen.weight_TP, fps)
        rest_K3 = _bones(carried.rest_P3)
        seen_TK3 = torch.nn.functional.normalize(_bones(seen.xyz_TP3), dim=-1)
        self.bones_TK3 = seen_TK3 * rest_K3.norm(dim=-1, keepdim=True)
        known = seen.xyz_weight_TP
        self.bone_weight_TK = torch.minimum(known[:, _STARTS], known[:, _ENDS])

    def with_weights(self, **changes: float) -> Objective:
        """The same clip under other weights."""
        other = Objective.__new__(Objective)
        other.__dict__.update(self.__dict__, weights=replace(self.weights, **changes))
        return other

    def __call__(self, state: State, derivatives: bool) -> tuple[float, System | None]:
        """Cost, and normal equations where asked for; infinite cost when a point comes too near to the camera."""
        posed = self.carried.posed(state)
        if float(posed.points_TP3[..., 2].min()) < _NEAREST_m:
            return float("inf"), None
        system = System.zeros(len(posed.points_TP3), NUM_UNKNOWNS, len(state.betas_B)) if derivatives else None
        jacobian = posed.by_unknowns() if derivatives else None
        cost = self._data(posed, jacobian, system)
        cost += self._smoothness(posed, jacobian, system)
        cost += self._priors(state, system)
        return cost, system

    def _data(self, posed: Posed, jacobian: Tensor | None, system: System | None) -> float:
        w, seen = self.weights, self.seen
        points = posed.points_TP3[:, :NUM_OBSERVED]
        depth = points[..., 2:]
        # At the person's distance a unit of ray is this many metres.
        scale = self.depth_T[:, None] / (w.pixel_m * _SPREAD_2D)
        flat = (points[..., :2] / depth - self.rays) * scale[..., None]
        cost_2d, robust_2d = _geman_mcclure(flat.square().sum(-1), w.pixel_scale_m / w.pixel_m)
        weight_2d = seen.weight_TP
        solid = (_bones(points) - self.bones_TK3) / w.landmark_m
        cost_3d, robust_3d = _geman_mcclure(solid.square().sum(-1), w.landmark_scale_m / w.landmark_m)
        weight_3d = self.bone_weight_TK
        cost = float((weight_2d * cost_2d).sum() + (weight_3d * cost_3d).sum())
        if system is None or jacobian is None:
            return cost

        by_betas = posed.by_betas()[:, :NUM_OBSERVED]
        both = torch.cat([jacobian[:, :NUM_OBSERVED], by_betas], -1)
        ahead = points[..., :2] / depth
        rows_2d = (both[..., :2, :] - ahead[..., None] * both[..., 2:, :]) * (scale[..., None] / depth)[..., None]
        rows_3d = (both[:, _ENDS] - both[:, _STARTS]) / w.landmark_m
        share_2d, share_3d = weight_2d * robust_2d, weight_3d * robust_3d
        rows_2d, rows_3d = rows_2d * share_2d.sqrt()[..., None, None], rows_3d * share_3d.sqrt()[..., None, None]
        flat, solid = flat * share_2d.sqrt()[..., None], solid * share_3d.sqrt()[..., None]
        rows = torch.cat([rows_2d.flatten(1, 2), rows_3d.flatten(1, 2)], 1)
        values = torch.cat([flat.flatten(1), solid.flatten(1)], 1)
        n = NUM_UNKNOWNS
        squared = rows.mT @ rows
        gradient = (rows.mT @ values[..., None])[..., 0]
        system.own_TNN += squared[:, :n, :n]
        system.border_TNB += squared[:, :n, n:]
        system.shared_BB += squared[:, n:, n:].sum(0)
        system.gradient_TN += gradient[:, :n]
        system.gradient_B += gradient[:, n:].sum(0)
        return cost

    def _smoothness(self, posed: Posed, jacobian: Tensor | None, system: System | None) -> float:
        w, frames = self.weights, len(posed.points_TP3)
        points = posed.points_TP3[:, NUM_OBSERVED:]
        pelvis = points[:, :1]
        cost = 0.0
        rows = None if jacobian is None else jacobian[:, NUM_OBSERVED:]
        if frames > 2:
            inverse = self.fps**2 / (w.acceleration * self.spread_smooth)
            along = self.fps**2 / w.depth_acceleration
            depth = (pelvis * self.sight_T3[:, None]).sum(2, keepdim=True) * along
            scaled_rows = depth_rows = None
            if rows is not None:
                scaled_rows = rows * inverse[:, None, None]
                depth_rows = torch.einsum("tc,tcn->tn", self.sight_T3, rows[:, 0])[:, None, None] * along
            cost += _second_difference(points * inverse[:, None], scaled_rows, w.burst, system)
            cost += _second_difference(depth, depth_rows, w.burst, system)
        if frames > 1:
            feet = [joint for foot in _FOOT_JOINTS for joint in foot]
            speed = (points[1:, feet] - points[:-1, feet]) * (self.fps / w.foot_speed)
            cost_foot, robust = _geman_mcclure(speed.square().sum(-1), w.foot_speed_scale / w.foot_speed)
            still = self.still_TF.repeat_interleave(2, 1)
            cost += float((still * cost_foot).sum())
            if rows is not None:
                share = ((still * robust).sqrt() * (self.fps / w.foot_speed)).repeat_interleave(3, 1)
                _first_difference(points[:, feet].flatten(1), rows[:, feet].flatten(1, 2), share, system)
        absent = ~self.seen.usable_T
        if frames > 1 and bool(absent.any()):
            blind = (absent[1:] | absent[:-1]).to(points.dtype)
            inverse = blind[:, None] / w.speed * self.fps
            cost += _first_difference(points.flatten(1), None if rows is None else rows.flatten(1, 2), inverse, system)
        return cost

    def _priors(self, state: State, system: System | None) -> float:
        w = self.weights
        quadratic = self.prior(state.rotations_TJ33)
        shape = w.betas * float(self.seen.usable_T.sum())
        cost = w.pose * float(quadratic.cost_T.sum()) + 0.5 * shape * float(state.betas_B.square().sum())
        if system is not None:
            from_free = list(FREE_JOINTS)
            system.gradient_TN[:, 3:] += w.pose * quadratic.gradient_TJ3[:, from_free].flatten(1)
            blocks = w.pose * quadratic.curvature_TJ33[:, from_free]
            for k in range(len(from_free)):
                at = slice(3 + 3 * k, 6 + 3 * k)
                system.own_TNN[:, at, at] += blocks[:, k]
            system.shared_BB += shape * torch.eye(len(state.betas_B), dtype=torch.float64)
            system.gradient_B += shape * state.betas_B
        return cost


def _bones(points_P3: Tensor) -> Tensor:
    """Vectors of `BONES`, (..., K, 3), between points of which the observed ones are the first, (..., P, 3)."""
    return points_P3[..., _ENDS, :] - points_P3[..., _STARTS, :]


def still_feet(across_TP2: Tensor, weight_TP: Tensor, fps: float) -> Tensor:
    """How far each foot is believed to stand between a frame and the next, shape (T - 1, 2), in [0, 1].

    A foot that does not move in the picture hardly moves along the line of sight, which a single view cannot see. Holds
    for a standing foot before a camera that stands, and for no foot before one that pans.

    Args:
        across_TP2: Observed points across the line of sight, m.
        weight_TP: Their confidence.
        fps: Frames per second.
    """
    half = min(round(_STILL_s * fps / 2), (len(across_TP2) - 1) // 2)
    feet = []
    for points in _FOOT_POINTS:
        weight = weight_TP[:, list(points)]
        middle = (across_TP2[:, list(points)] * weight[..., None]).sum(1) / weight.sum(1, keepdim=True).clamp_min(1e-9)
        padded = torch.cat([middle[:1].expand(half, 2), middle, middle[-1:].expand(half, 2)])
        steady = padded.unfold(0, 2 * half + 1, 1).mean(-1)
        speed = (steady[1:] - steady[:-1]).norm(dim=1) * fps
        trust = weight.mean(1)
        feet.append(torch.minimum(trust[1:], trust[:-1]) / (1 + (speed / _STILL_m_s) ** 2) ** 2)
    return torch.stack(feet, 1)


def _geman_mcclure(squared: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Half the robust loss `scale^2 s / (scale^2 + s)` of squared residuals s, and its slope by s/2."""
    share = scale**2 / (scale**2 + squared)
    return 0.5 * squared * share, share**2


def _second_difference(values_TPC: Tensor, rows_TPCN: Tensor | None, burst: float, system: System | None) -> float:
    """Robust cost of the accelerations of vectors (P of them, C numbers each), added to the normal equations.

    `burst^2 (sqrt(1 + s / burst^2) - 1)` of the squared acceleration s: quadratic at rest, linear in bursts.
    """
    change = values_TPC[:-2] - 2 * values_TPC[1:-1] + values_TPC[2:]
    root = (1 + change.square().sum(-1) / burst**2).sqrt()
    if rows_TPCN is not None and system is not None:
        share = (1 / root)[..., None].expand_as(change).flatten(1)
        change = change.flatten(1)
        rows = rows_TPCN.flatten(1, 2)
        pull = change.new_zeros(rows.shape[:2])
        own, next_ = torch.zeros_like(pull), torch.zeros_like(pull)
        pull[:-2] += share * change
        pull[1:-1] -= 2 * share * change
        pull[2:] += share * change
        own[:-2] += share
        own[1:-1] += 4 * share
        own[2:] += share
        next_[:-2] -= 2 * share
        next_[1:-1] -= 2 * share
        system.gradient_TN += (rows.mT @ pull[..., None])[..., 0]
        system.own_TNN += (own[..., None] * rows).mT @ rows
        system.next_TNN[:-1] += (next_[:-1, :, None] * rows[:-1]).mT @ rows[1:]
        system.after_TNN[:-2] += (share[..., None] * rows[:-2]).mT @ rows[2:]
    return burst**2 * float((root - 1).sum())


def _first_difference(values_TC: Tensor, rows_TCN: Tensor | None, weight_TC: Tensor, system: System | None) -> float:
    """Half the squared, weighted (T - 1, C or 1) differences of neighbours, added to the normal equations."""
    change = (values_TC[1:] - values_TC[:-1]) * weight_TC
    if rows_TCN is not None and system is not None:
        pull = torch.zeros_like(values_TC)
        pull[1:] += change * weight_TC
        pull[:-1] -= change * weight_TC
        system.gradient_TN += (rows_TCN.mT @ pull[..., None])[..., 0]
        late, early = rows_TCN[1:] * weight_TC[..., None], rows_TCN[:-1] * weight_TC[..., None]
        system.own_TNN[1:] += late.mT @ late
        system.own_TNN[:-1] += early.mT @ early
        system.next_TNN[:-1] -= early.mT @ late
    return 0.5 * float(change.square().sum())
