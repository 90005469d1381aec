"""Big pose of an SMPL-format body: rigid chains, inverse and forward linear blend skinning (instant-nvr).

Legend: V = vertices, J = joints, B = shape coefficients, 3 = xyz. Body frame: SMPL's own, y up, m.
"""

from __future__ import annotations

import numpy as np

BIG_POSE_ANGLE_DEG = 30.0  # instant-nvr, tools/prepare_zjumocap.py: hips turned outwards about z
RODRIGUES_EPSILON = 1e-8  # SMPL's and instant-nvr's guard against a zero angle; part of the exact result


def rodrigues(rotation_vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices of joint rotations, with the angle taken as norm(r + 1e-8).

    Args:
        rotation_vectors: Shape (N, 3), rad, axis times angle.

    Returns:
        Shape (N, 3, 3), float64. The epsilon makes them rotations to about 1e-8 only; it is kept for parity.
    """
    rotation_vectors = np.asarray(rotation_vectors, np.float64)
    angle = np.linalg.norm(rotation_vectors + RODRIGUES_EPSILON, axis=1)
    cross = _cross_matrices(rotation_vectors / angle[:, None])
    return np.eye(3) + np.sin(angle)[:, None, None] * cross + (1 - np.cos(angle))[:, None, None] * (cross @ cross)


def global_rotation(rotation_vector: np.ndarray) -> np.ndarray:
    """Rotation matrix of the body's global rotation `Rh`, exact (as cv2.Rodrigues gives it).

    Args:
        rotation_vector: Shape (3,), rad.

    Returns:
        Shape (3, 3), float64.
    """
    rotation_vector = np.asarray(rotation_vector, np.float64).reshape(3)
    angle = np.sqrt(rotation_vector @ rotation_vector)
    if angle < np.finfo(np.float64).eps:
        return np.eye(3)
    axis = rotation_vector / angle
    cosine = np.cos(angle)
    return cosine * np.eye(3) + (1 - cosine) * np.outer(axis, axis) + np.sin(angle) * _cross_matrices(axis[None])[0]


def shaped_joints(
    v_template: np.ndarray, shapedirs: np.ndarray, joint_regressor: np.ndarray, betas: np.ndarray
) -> np.ndarray:
    """Rest joints of a shaped body.

    Args:
        v_template: Shape (V, 3), m, body frame.
        shapedirs: Shape (V, 3, B), m.
        joint_regressor: Shape (J, V), dense or sparse (`J_regressor`).
        betas: Shape (N,); the smaller of B and N many are used.

    Returns:
        Shape (J, 3), float64, m, body frame.
    """
    betas = np.asarray(betas, np.float64).reshape(-1)
    num = min(shapedirs.shape[-1], len(betas))
    v_shaped = v_template + np.asarray(shapedirs[..., :num], np.float64) @ betas[:num]
    return np.asarray(joint_regressor @ v_shaped)


def rigid_chain(rotations: np.ndarray, joints: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Rigid transforms `A` that carry every joint's rest surroundings to the pose.

    G_k = G_parent [R_k, J_k - J_parent]; A_k is G_k with its translation reduced by G_k [J_k; 0].

    Args:
        rotations: Shape (J, 3, 3), relative to the parent.
        joints: Shape (J, 3), m, rest joints, body frame.
        parents: Shape (J,); parents come before children, the root's own entry is not read (`kintree_table[0]`).

    Returns:
        Shape (J, 4, 4), float64.
    """
    num = len(joints)
    parents = np.asarray(parents)[1:].astype(np.int64)
    if (parents < 0).any() or (parents >= np.arange(1, num)).any():
        raise ValueError(f"parents {parents.tolist()} of joints 1 to {num - 1} must come before their children")
    chain = np.tile(np.eye(4), (num, 1, 1))
    chain[:, :3, :3] = rotations
    chain[0, :3, 3] = joints[0]
    chain[1:, :3, 3] = joints[1:] - joints[parents]
    for k in range(1, num):
        chain[k] = chain[parents[k - 1]] @ chain[k]
    chain[:, :3, 3] -= np.einsum("kij,kj->ki", chain[:, :3, :3], joints)
    return chain


def big_pose(num_joints: int = 24) -> np.ndarray:
    """Pose with the legs apart: joint 1 turned +30 degrees about z, joint 2 -30 degrees.

    Returns:
        Shape (num_joints * 3,), float64, rad.
    """
    pose = np.zeros(num_joints * 3)
    pose[5] = np.deg2rad(BIG_POSE_ANGLE_DEG)
    pose[8] = np.deg2rad(-BIG_POSE_ANGLE_DEG)
    return pose


def pose_chain(pose: np.ndarray, joints: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Rigid chain of a pose vector: `A` of a frame's pose, `big_A` of `big_pose()`.

    Args:
        pose: Shape (J * 3,) or (J, 3), rad; the first joint's rotation is 0 where `Rh` carries it.
        joints: Shape (J, 3), m, rest joints, body frame.
        parents: Shape (J,).

    Returns:
        Shape (J, 4, 4), float64.
    """
    return rigid_chain(rodrigues(np.asarray(pose).reshape(-1, 3)), joints, parents)


def body_frame(vertices: np.ndarray, rh: np.ndarray, th: np.ndarray) -> np.ndarray:
    """Posed vertices in the body's own frame: `pxyz` = (v - Th) R.

    Args:
        vertices: Shape (V, 3), m, world frame, v = R pxyz + Th (`Rh` turns about the origin, not the pelvis).
        rh: Shape (3,), rad.
        th: Shape (3,), m.

    Returns:
        Shape (V, 3), float64, m, body frame.
    """
    return (np.asarray(vertices) - np.asarray(th, np.float64).reshape(3)) @ global_rotation(rh)


def bigpose_vertices(pxyz: np.ndarray, chain: np.ndarray, big_chain: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Posed vertices carried to the big pose by inverse, then forward linear blend skinning.

    The frame's pose-dependent offsets (`posedirs`) stay in, as in the original.

    Args:
        pxyz: Shape (V, 3), m, body frame, posed.
        chain: Shape (J, 4, 4), `A` of the frame's pose.
        big_chain: Shape (J, 4, 4), `A` of the big pose.
        weights: Shape (V, J), skinning weights.

    Returns:
        Shape (V, 3), float64, m, body frame.
    """
    num = len(pxyz)
    blended = (weights @ chain.reshape(len(chain), 16)).reshape(num, 4, 4)
    big_blended = (weights @ big_chain.reshape(len(big_chain), 16)).reshape(num, 4, 4)
    rest = np.linalg.solve(blended[:, :3, :3], (pxyz - blended[:, :3, 3])[..., None])[..., 0]
    return np.einsum("vij,vj->vi", big_blended[:, :3, :3], rest) + big_blended[:, :3, 3]


def _cross_matrices(axes: np.ndarray) -> np.ndarray:
    """Shape (N, 3) to (N, 3, 3): matrix K with K x = axis cross x."""
    cross = np.zeros((len(axes), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axes[:, 2], axes[:, 1], -axes[:, 0]
    cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = axes[:, 2], -axes[:, 1], axes[:, 0]
    return cross
