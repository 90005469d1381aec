"""A body with hair, clothes and shoes: offset geometry over any SMPL-format body, and where each garment lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix

from model_zoo.body.landmarks import keypoint_regressor, keypoint_targets
from model_zoo.body.skeleton import INDEX
from model_zoo.body.smpl import SmplModel, kinematics, pose_matrices, posed_from_rest
from model_zoo.raster.attributes import vertex_normals
from model_zoo.synthetic.motion import Motion, Skeleton

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Outfit:
    """How a person looks; colours are sRGB, 0 to 1.

    Attributes:
        skin: Skin.
        hair: Hair.
        shirt: Upper clothes.
        shirt_stripe: Second colour of the shirt; the same as `shirt` for a plain one.
        trousers: Trousers.
        shoes: Shoes.
        sleeve: Share of the arm, shoulder to wrist, that the sleeve covers.
        stripe_m: Width of a stripe, m.
    """

    skin: Colour = (0.80, 0.60, 0.49)
    hair: Colour = (0.17, 0.11, 0.07)
    shirt: Colour = (0.20, 0.36, 0.58)
    shirt_stripe: Colour = (0.20, 0.36, 0.58)
    trousers: Colour = (0.19, 0.20, 0.25)
    shoes: Colour = (0.32, 0.19, 0.12)
    sleeve: float = 0.36
    stripe_m: float = 0.05


@dataclass(frozen=True)
class Marks:
    """Places on the template (T-pose, m) that say where garments end and features lie; read by the shading kernel.

    Attributes:
        values: Shape (19,), float64, in the order of `NAMES`.
    """

    values: np.ndarray

    NAMES = (
        "hem_x", "arm_y", "belt_y", "shoe_y", "sole_y", "neck_y", "neck_z", "nose_y", "nose_z", "ear_y", "ear_z",
        "face", "eye_x", "eye_y", "head_y", "crown_y", "shoulder_x", "ankle_z", "hip_y",
    )  # fmt: skip

    def __getattr__(self, name: str) -> float:
        if name in Marks.NAMES:
            return float(self.values[Marks.NAMES.index(name)])
        raise AttributeError(name)


class DressedBody:
    """One person: shape, outfit, and posing of the dressed surface.

    Attributes:
        faces: Shape (F, 3), int32, counter-clockwise seen from outside.
        template: Shape (V, 3), float32, where each vertex lies on the undressed mean body; garments are found there.
        marks: Places on that template.
        outfit: Colours.
        betas: Shape (10,).
        joints_rest: Shape (24, 3), m.
    """

    def __init__(self, model: SmplModel, betas: np.ndarray, outfit: Outfit) -> None:
        """Shape and dress a body."""
        self.model, self.outfit = model, outfit
        self.betas = np.asarray(betas, np.float64)
        self.faces = np.ascontiguousarray(model.faces, np.int32)
        self.template = np.ascontiguousarray(model.v_template, np.float32)
        self.marks = _marks(model, outfit)
        self.joints_rest = model.joints_rest(self.betas)
        bare = model.vertices_rest(self.betas)
        thickness = _thickness(model.v_template, self.marks)
        inside = _without_toes(bare, self.faces, self.template[:, 1] < self.marks.shoe_y - 0.01)
        self.vertices_rest = inside + thickness[:, None] * vertex_normals(inside, self.faces)
        self._weights = model.weights
        rows = keypoint_regressor(model)
        self._keypoints_rest, self._keypoint_weights = rows @ bare, rows @ model.weights

    @property
    def skeleton(self) -> Skeleton:
        """What motions need to know."""
        shoes = self.vertices_rest[self.template[:, 1] < self.marks.shoe_y]
        return Skeleton(self.joints_rest, float(shoes[:, 1].min()), float(shoes[:, 2].min()))

    def transforms(self, motion: Motion) -> np.ndarray:
        """What skinning blends, world from rest, shape (T, 24, 4, 4)."""
        rotations = pose_matrices(motion.global_orient, motion.body_pose)
        blend = posed_from_rest(kinematics(rotations, self.joints_rest), self.joints_rest)
        blend[:, :, :3, 3] += motion.transl[:, None]
        return blend

    def vertices(self, transforms: np.ndarray) -> np.ndarray:
        """Dressed surface of one frame, (V, 3) float64, m, world, from transforms (24, 4, 4)."""
        return _skin(self.vertices_rest, self._weights, transforms)

    def keypoints(self, transforms: np.ndarray) -> np.ndarray:
        """COCO's 17 points and the 6 of the feet of one frame, (23, 3), m, world."""
        return _skin(self._keypoints_rest, self._keypoint_weights, transforms)

    def joints(self, motion: Motion) -> np.ndarray:
        """Posed joints, (T, 24, 3), m, world."""
        rotations = pose_matrices(motion.global_orient, motion.body_pose)
        return kinematics(rotations, self.joints_rest)[:, :, :3, 3] + motion.transl[:, None]


def _skin(rest: np.ndarray, weights: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    blended = (weights @ transforms[:, :3].reshape(len(transforms), 12)).reshape(-1, 3, 4)
    return np.einsum("vij,vj->vi", blended[:, :, :3], rest) + blended[:, :, 3]


def _marks(model: SmplModel, outfit: Outfit) -> Marks:
    """Places of garments and features on the template."""
    points = keypoint_targets(model)
    vertices, part = model.v_template, model.weights.argmax(1)
    at = {name: model.joints_template[index] for name, index in INDEX.items()}
    nose, ear, eye = points["nose"], points["left_ear"], points["left_eye"]
    head = vertices[part == INDEX["head"]]
    sole = vertices[:, 1].min()
    crown = head[:, 1].max()
    values = {
        "hem_x": at["l_shoulder"][0] + outfit.sleeve * (at["l_wrist"][0] - at["l_shoulder"][0]),
        "arm_y": at["l_shoulder"][1] - 0.17,
        "belt_y": at["l_hip"][1] + 0.4 * (at["spine2"][1] - at["l_hip"][1]),
        "shoe_y": at["l_ankle"][1] + 0.35 * (at["l_ankle"][1] - sole),
        "sole_y": sole,
        "neck_y": at["neck"][1],
        "neck_z": at["neck"][2],
        "nose_y": nose[1],
        "nose_z": nose[2],
        "ear_y": ear[1],
        "ear_z": ear[2],
        "face": crown - nose[1],
        "eye_x": eye[0],
        "eye_y": eye[1],
        "head_y": at["head"][1],
        "crown_y": crown,
        "shoulder_x": at["l_shoulder"][0],
        "ankle_z": at["l_ankle"][2],
        "hip_y": at["l_hip"][1],
    }
    return Marks(np.array([values[name] for name in Marks.NAMES]))


def _rise(value: np.ndarray, width: float) -> np.ndarray:
    """0 below 0, 1 above `width`, smooth between."""
    x = np.clip(value / width, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def hairline(depth: np.ndarray) -> np.ndarray:
    """Height above the nose tip where hair begins, in units of nose to crown; depth is 0 at the ears, 1 at the nose."""
    return np.interp(depth, (-0.6, -0.4, -0.28, 0.0, 0.25, 0.6), (-0.25, -0.1, 0.2, 0.3, 0.36, 0.66))


def _without_toes(vertices: np.ndarray, faces: np.ndarray, shoes: np.ndarray) -> np.ndarray:
    """Vertices with those of the feet evened out, so that shoes do not show the toes."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    near = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(vertices),) * 2).tocsr()
    near = ((near + near.T) > 0).astype(np.float64)
    count = np.asarray(near.sum(1)).reshape(-1, 1)
    result = vertices.copy()
    for _ in range(40):
        result[shoes] = (near @ result / np.maximum(count, 1.0))[shoes]
    return result


def _thickness(template: np.ndarray, marks: Marks) -> np.ndarray:
    """How far hair, clothes and shoes stand off the skin, (V,), m."""
    x, y, z = template.T
    up, depth = (y - marks.nose_y) / marks.face, (z - marks.ear_z) / (marks.nose_z - marks.ear_z)
    head = y > marks.nose_y - 0.3 * marks.face
    hair = np.where(head, 0.024 * _rise((up - hairline(depth)) * marks.face, 0.035), 0.0)
    hair *= 1 - 0.5 * _rise(np.abs(x) - 0.06, 0.03)  # flatter at the sides
    arm = (y > marks.arm_y) & (np.abs(x) > marks.shoulder_x)
    sleeve = 0.011 * _rise(marks.hem_x - np.abs(x), 0.012)
    shirt = np.where(arm, sleeve, 0.011) * _rise(marks.neck_y - 0.015 - y, 0.03) * (y > marks.belt_y - 0.02)
    legs = y <= marks.belt_y - 0.02
    ankle = _rise(y - marks.shoe_y, 0.06)
    trousers = np.where(legs, 0.007 + 0.006 * ankle * (1 - _rise(y - marks.shoe_y - 0.15, 0.4)), 0.0)
    shoes = np.where(y < marks.shoe_y, 0.010 + 0.006 * _rise(z - marks.ankle_z - 0.08, 0.08), 0.0)
    return np.maximum.reduce([hair, shirt, np.where(y < marks.shoe_y, 0.0, trousers), shoes])
