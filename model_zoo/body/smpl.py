"""SMPL-format body models: the arrays, how to read them, and fast posing of one clip in numpy.

World convention, the one of smplx: `points = LBS(global_orient, body_pose, betas) + transl`, where LBS turns
the body about its pelvis joint. EasyMocap turns it about the origin instead, `points = R(Rh) LBS(0,
body_pose, betas) + Th`; `easymocap_translation` converts.
"""

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from model_zoo.body.skeleton import NUM_BETAS, NUM_JOINTS, PARENTS
from model_zoo.body.unpickle import load_pickle

_KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")


@dataclass(frozen=True, eq=False, repr=False)
class SmplModel:
    """Arrays of a body in SMPL's format, m; y up, facing +z, its left at +x; V vertices, F faces.

    Attributes:
        v_template: Shape (V, 3), float64.
        shapedirs: Shape (V, 3, 10), float64, m per unit of beta.
        posedirs: Shape (V, 3, 207), float64, m per element of `R - I` of joints 1 to 23.
        J_regressor: Shape (24, V), float64.
        weights: Shape (V, 24), float64, rows sum to one.
        faces: Shape (F, 3), int64, counter-clockwise seen from outside.
        vt: Shape (N, 2), float64, texture coordinates, origin at the bottom left; (0, 2) when the file has
            none.
        ft: Shape (F, 3), int64, into `vt`; (0, 3) when the file has none.
    """

    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    J_regressor: np.ndarray
    weights: np.ndarray
    faces: np.ndarray
    vt: np.ndarray
    ft: np.ndarray

    @classmethod
    def load(cls, path: Path | str) -> "SmplModel":
        """Read an `.npz` or a licensed `.pkl`; nothing in the file is executed.

        Raises:
            ValueError: The file is not a body in SMPL's format; the message lists everything that is wrong.
        """
        path = Path(path)
        if path.suffix == ".npz":
            arrays = _load_npz(path)
        elif path.suffix == ".pkl":
            arrays = load_pickle(path)
        else:
            raise ValueError(f"{path}: a body model is an .npz or a .pkl file, got {path.suffix!r}")
        return cls.from_arrays(arrays, str(path))

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], where: str = "body model") -> "SmplModel":
        """Check arrays named as in an SMPL file and take them over.

        Raises:
            ValueError: Arrays are missing or of the wrong form; the message lists all faults.
        """
        missing = [key for key in _KEYS if key not in arrays]
        if missing:
            raise ValueError(
                f"{where}: no {', '.join(missing)}; expected the arrays of SMPL's format: {', '.join(_KEYS)}"
            )
        a = {key: np.asarray(arrays[key]) for key in _KEYS}
        v = a["v_template"].shape[0] if a["v_template"].ndim else 0
        faults = []
        expected = {
            "v_template": (v, 3), "posedirs": (v, 3, 9 * (NUM_JOINTS - 1)), "J_regressor": (NUM_JOINTS, v),
            "weights": (v, NUM_JOINTS), "kintree_table": (2, NUM_JOINTS),
        }  # fmt: skip
        for key, shape in expected.items():
            if a[key].shape != shape:
                faults.append(f"{key} has shape {a[key].shape}, expected {shape}")
        if a["shapedirs"].ndim != 3 or a["shapedirs"].shape[:2] != (v, 3) or a["shapedirs"].shape[2] < NUM_BETAS:
            faults.append(f"shapedirs has shape {a['shapedirs'].shape}, expected ({v}, 3, {NUM_BETAS} or more)")
        if a["f"].ndim != 2 or a["f"].shape[1] != 3 or not len(a["f"]) or a["f"].max() >= v or a["f"].min() < 0:
            faults.append(f"f has shape {a['f'].shape} or points outside the {v} vertices, expected (F, 3)")
        for key in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights"):
            if not np.isfinite(a[key]).all():
                faults.append(f"{key} has values that are not finite")
        if not faults:
            if tuple(a["kintree_table"][0, 1:].astype(np.int64)) != PARENTS[1:]:
                faults.append(
                    f"kintree_table has parents {a['kintree_table'][0, 1:].tolist()}, expected SMPL's {PARENTS[1:]}"
                )
            if np.abs(a["weights"].sum(1) - 1).max() > 1e-3:
                faults.append("rows of weights do not sum to 1")
            if np.abs(a["J_regressor"].sum(1) - 1).max() > 1e-3:
                faults.append("rows of J_regressor do not sum to 1")
        if faults:
            raise ValueError(f"{where}: " + "; ".join(faults))
        vt = np.asarray(arrays.get("vt", np.zeros((0, 2))), dtype=np.float64)
        ft = np.asarray(arrays.get("ft", np.zeros((0, 3))), dtype=np.int64)
        if len(ft) not in (0, len(a["f"])) or vt.shape[1:] != (2,) or (len(ft) and ft.max() >= len(vt)):
            raise ValueError(
                f"{where}: vt {vt.shape} and ft {ft.shape} are no texture coordinates of {len(a['f'])} faces"
            )
        real = {key: np.ascontiguousarray(a[key], dtype=np.float64) for key in _KEYS[:5]}
        real["shapedirs"] = np.ascontiguousarray(real["shapedirs"][:, :, :NUM_BETAS])
        return cls(**real, faces=np.ascontiguousarray(a["f"], dtype=np.int64), vt=vt, ft=ft)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays under SMPL's names, for `numpy.savez` or `smplx.utils.Struct`."""
        kintree = np.stack([np.array(PARENTS), np.arange(NUM_JOINTS)]).astype(np.uint32)
        arrays = {key: getattr(self, key) for key in _KEYS[:5]}
        return arrays | {"kintree_table": kintree, "f": self.faces.astype(np.uint32), "vt": self.vt,
                         "ft": self.ft.astype(np.uint32)}  # fmt: skip

    @cached_property
    def joints_template(self) -> np.ndarray:
        """Rest joints of the mean shape, shape (24, 3), m."""
        return self.J_regressor @ self.v_template

    @cached_property
    def joints_shapedirs(self) -> np.ndarray:
        """Change of the rest joints, shape (24, 3, 10), m per unit of beta."""
        return np.einsum("jv,vcb->jcb", self.J_regressor, self.shapedirs)

    @cached_property
    def has_posedirs(self) -> bool:
        """Whether pose correctives do anything; the free body has none."""
        return bool(self.posedirs.any())

    def vertices_rest(self, betas: np.ndarray) -> np.ndarray:
        """Shaped template, shape (V, 3), m, from betas of shape (10,)."""
        return self.v_template + self.shapedirs @ np.asarray(betas, dtype=np.float64)

    def joints_rest(self, betas: np.ndarray) -> np.ndarray:
        """Shaped rest joints, shape (24, 3), m, from betas of shape (10,)."""
        return self.joints_template + self.joints_shapedirs @ np.asarray(betas, dtype=np.float64)

    def poser(self, betas: np.ndarray) -> "Poser":
        """What poses this body in one shape."""
        return Poser(self, np.asarray(betas, dtype=np.float64))


def _load_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in (*_KEYS, "vt", "ft") if key in archive}
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path}: not a readable body model: {error}") from error


class Poser:
    """Poses one shape of a body, in numpy; vertices of a chunk of frames by one matrix product."""

    def __init__(self, model: SmplModel, betas: np.ndarray) -> None:
        """Shape the template; betas of shape (10,)."""
        self.model = model
        self.vertices_rest = model.vertices_rest(betas)
        self.joints_rest = model.joints_rest(betas)
        # A vertex is sum_j w_j (R_j v + t_j): linear in the 24 x 12 numbers of the transforms, so the
        # products w_j (v, 1) are taken once for all frames.
        rest = np.concatenate([self.vertices_rest, np.ones((len(self.vertices_rest), 1))], axis=1)
        self._basis = None if model.has_posedirs else self._products(rest)

    def _products(self, rest: np.ndarray) -> np.ndarray:
        products = self.model.weights[:, :, None] * rest[:, None, :]
        return np.ascontiguousarray(products.reshape(len(rest), -1), dtype=np.float32)

    def world_from_joint(self, global_orient: np.ndarray, body_pose: np.ndarray, transl: np.ndarray) -> np.ndarray:
        """Pose of every joint in the world.

        Args:
            global_orient: Shape (T, 3), axis-angle, rad.
            body_pose: Shape (T, 69), axis-angle of joints 1 to 23, rad.
            transl: Shape (T, 3), m.

        Returns:
            Shape (T, 24, 4, 4), float64.
        """
        rotations = pose_matrices(global_orient, body_pose)
        chain = kinematics(rotations, self.joints_rest)
        chain[:, :, :3, 3] += np.asarray(transl, dtype=np.float64)[:, None]
        return chain

    def joints(self, global_orient: np.ndarray, body_pose: np.ndarray, transl: np.ndarray) -> np.ndarray:
        """Posed joints, shape (T, 24, 3), m, float64; arguments as of `world_from_joint`."""
        return self.world_from_joint(global_orient, body_pose, transl)[:, :, :3, 3]

    def vertices(self, global_orient: np.ndarray, body_pose: np.ndarray, transl: np.ndarray) -> np.ndarray:
        """Posed vertices, shape (T, V, 3), m, float32; arguments as of `world_from_joint`."""
        rotations = pose_matrices(global_orient, body_pose)
        transforms = posed_from_rest(kinematics(rotations, self.joints_rest), self.joints_rest)
        num_frames, num_vertices = len(transforms), len(self.vertices_rest)
        # (T, J, 3, 4) -> (J * 4, 3): the coefficients of the products.
        coefficients = transforms[:, :, :3].transpose(0, 1, 3, 2).reshape(num_frames, -1, 3).astype(np.float32)
        result = np.empty((num_frames, num_vertices, 3), dtype=np.float32)
        for t in range(num_frames):
            if self._basis is None:
                feature = (rotations[t, 1:] - np.eye(3)).ravel()
                rest = np.ones((num_vertices, 4))
                rest[:, :3] = self.vertices_rest + self.model.posedirs @ feature
                np.matmul(self._products(rest), coefficients[t], out=result[t])
            else:
                np.matmul(self._basis, coefficients[t], out=result[t])
            result[t] += np.asarray(transl[t], dtype=np.float32)
        return result


def rodrigues(axis_angle: np.ndarray) -> np.ndarray:
    """Rotation matrices as SMPL and smplx define them, `angle = norm(axis_angle + 1e-8)`.

    Args:
        axis_angle: Shape (..., 3), rad.

    Returns:
        Shape (..., 3, 3), float64.
    """
    axis_angle = np.asarray(axis_angle, dtype=np.float64)
    angle = np.linalg.norm(axis_angle + 1e-8, axis=-1, keepdims=True)
    axis = axis_angle / angle
    cross = np.zeros((*axis.shape, 3))
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -axis[..., 2], axis[..., 1], -axis[..., 0]
    cross[..., 1, 0], cross[..., 2, 0], cross[..., 2, 1] = axis[..., 2], -axis[..., 1], axis[..., 0]
    angle = angle[..., None]
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def pose_matrices(global_orient: np.ndarray, body_pose: np.ndarray) -> np.ndarray:
    """Rotations of all joints, shape (T, 24, 3, 3), from axis-angle (T, 3) and (T, 69), rad."""
    pose = np.concatenate([np.asarray(global_orient), np.asarray(body_pose)], axis=1)
    return rodrigues(pose.reshape(len(pose), NUM_JOINTS, 3))


def kinematics(rotations: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Pose of every joint in the body's frame, before the translation of the body.

    Args:
        rotations: Shape (T, 24, 3, 3), of each joint relative to its parent.
        joints: Shape (24, 3), rest joints, m.

    Returns:
        `world_from_joint`, shape (T, 24, 4, 4).
    """
    chain = np.zeros((len(rotations), NUM_JOINTS, 4, 4))
    chain[..., 3, 3] = 1.0
    chain[:, 0, :3, :3], chain[:, 0, :3, 3] = rotations[:, 0], joints[0]
    for joint, parent in enumerate(PARENTS[1:], start=1):
        chain[:, joint, :3, :3] = chain[:, parent, :3, :3] @ rotations[:, joint]
        chain[:, joint, :3, 3] = chain[:, parent, :3, 3] + chain[:, parent, :3, :3] @ (joints[joint] - joints[parent])
    return chain


def posed_from_rest(world_from_joint: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Transforms that skinning blends (`A` of EasyMocap and instant-nvr), shape (T, 24, 4, 4)."""
    result = world_from_joint.copy()
    result[..., :3, 3] -= np.einsum("tjkl,jl->tjk", world_from_joint[..., :3, :3], joints)
    return result


def easymocap_translation(global_orient: np.ndarray, transl: np.ndarray, pelvis: np.ndarray) -> np.ndarray:
    """EasyMocap's `Th` of a body given in the convention of smplx; `Rh` is `global_orient`.

    smplx turns about the rest pelvis J0, EasyMocap about the origin: `Th = transl + J0 - R J0`.

    Args:
        global_orient: Shape (T, 3), axis-angle, rad.
        transl: Shape (T, 3), m.
        pelvis: Shape (3,), rest position of joint 0 in this shape, m.

    Returns:
        Shape (T, 3), m.
    """
    return np.asarray(transl) + pelvis - rodrigues(global_orient) @ pelvis
