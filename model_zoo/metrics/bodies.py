"""Errors of posed bodies, in millimetres, as papers on human mesh recovery report them."""

from __future__ import annotations

import numpy as np

MM = 1000.0


def mpjpe(joints: np.ndarray, truth: np.ndarray, root: int = 0) -> np.ndarray:
    """Mean per-joint position error after both roots are put on each other (Ionescu et al., TPAMI 2014).

    Args:
        joints: Shape (T, J, 3), m.
        truth: Shape (T, J, 3), m.
        root: The joint put in place.

    Returns:
        Shape (T,), mm.
    """
    apart = (joints - joints[:, root, None]) - (truth - truth[:, root, None])
    return MM * np.linalg.norm(apart, axis=2).mean(1)


def pa_mpjpe(joints: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The same after the best similarity transform of every frame (Procrustes); (T, J, 3) m to (T,) mm."""
    return np.array([MM * np.linalg.norm(aligned(a, b) - b, axis=1).mean() for a, b in zip(joints, truth)])


def aligned(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Points (N, 3) after the scale, rotation and shift that bring them nearest to a target (Umeyama, PAMI 1991)."""
    from_, to = points - points.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(to.T @ from_)
    sign = np.ones(3)
    sign[2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign) @ vt
    scale = (s * sign).sum() / max((from_**2).sum(), 1e-12)
    return scale * from_ @ rotation.T + target.mean(0)


def pve(vertices: np.ndarray, truth: np.ndarray, root: np.ndarray, truth_root: np.ndarray) -> float:
    """Per-vertex error of one frame, roots put on each other; vertices (V, 3) m, roots (3,) m; mm."""
    return float(MM * np.linalg.norm((vertices - root) - (truth - truth_root), axis=1).mean())


def acceleration_error(joints: np.ndarray, truth: np.ndarray, valid: np.ndarray, root: int = 0) -> np.ndarray:
    """Distance of the joints' second differences, roots put on each other (Kocabas et al., VIBE, CVPR 2020).

    Args:
        joints: Shape (T, J, 3), m.
        truth: Shape (T, J, 3), m.
        valid: Shape (T,), bool; a second difference needs three valid frames in a row.
        root: The joint put in place.

    Returns:
        Shape (N,), mm/frame^2, one value for each triple of frames.
    """
    apart = (joints - joints[:, root, None]) - (truth - truth[:, root, None])
    second = apart[2:] - 2 * apart[1:-1] + apart[:-2]
    return MM * np.linalg.norm(second, axis=2).mean(1)[valid[2:] & valid[1:-1] & valid[:-2]]


def translation_error(root: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance of the roots in the camera's frame, (T, 3) m to (T,) mm."""
    return MM * np.linalg.norm(root - truth, axis=1)


def foot_slide(feet: np.ndarray, contacts: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """How far feet that truly rest on the ground move from frame to frame.

    Args:
        feet: Shape (T, 2, 3), m, world, left and right.
        contacts: Shape (T, 2), bool, the foot is at rest.
        valid: Shape (T,), bool.

    Returns:
        Shape (N,), mm/frame, for every foot at rest in two valid frames in a row.
    """
    step = MM * np.linalg.norm(np.diff(feet, axis=0), axis=2)
    rests = contacts[1:] & contacts[:-1] & (valid[1:] & valid[:-1])[:, None]
    return step[rests]
