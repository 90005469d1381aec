"""Which of the 20 human-parsing classes each vertex of a dressed body has.

Classes are those of SCHP trained on CIHP and LIP (Li et al. 2019).
"""

import numpy as np

from model_zoo.body.landmarks import keypoint_targets
from model_zoo.body.skeleton import INDEX, JOINTS
from model_zoo.body.smpl import SmplModel

SCHP_CLASSES = (
    "background", "hat", "hair", "glove", "sunglasses", "upper-clothes", "dress", "coat", "socks", "pants",
    "torso-skin", "scarf", "skirt", "face", "left-arm", "right-arm", "left-leg", "right-leg", "left-shoe",
    "right-shoe",
)  # fmt: skip
_CLASS = {name: i for i, name in enumerate(SCHP_CLASSES)}

_SLEEVE = 0.7  # of the upper arm is covered
# Height where hair begins, in units of nose tip to crown above the nose tip, over depth from the ears (0) to
# the nose (1): nape, behind the ear, above the ear (three), forehead.
_HAIRLINE_DEPTH = (-0.6, -0.4, -0.28, 0.0, 0.25, 0.6)
_HAIRLINE_HEIGHT = (-0.2, -0.1, 0.32, 0.34, 0.34, 0.6)


def schp_labels(model: SmplModel) -> np.ndarray:
    """Class of each vertex of a body with short hair, T-shirt, trousers and shoes.

    Found on the template by the joint that moves a vertex and by heights, so it serves any body in SMPL's
    format.

    Args:
        model: The body.

    Returns:
        Shape (V,), uint8, index into `SCHP_CLASSES`; never background.
    """
    vertices, joints = model.v_template, model.joints_template
    part = model.weights.argmax(1)
    height = vertices[:, 1]
    labels = np.full(len(vertices), _CLASS["upper-clothes"], dtype=np.uint8)
    at = {name: joints[INDEX[name]] for name in JOINTS}

    # Trousers reach from the belt, a third of the way from the hips to spine2, down to the shoes.
    belt = at["l_hip"][1] + (1 / 3) * (at["spine2"][1] - at["l_hip"][1])
    legs = _of(part, "l_hip", "r_hip", "l_knee", "r_knee", "l_ankle", "r_ankle", "l_foot", "r_foot")
    labels[legs | (_of(part, "pelvis", "spine1") & (height < belt))] = _CLASS["pants"]
    for side in ("left", "right"):
        s = side[0]
        sole = height[part == INDEX[f"{s}_foot"]].min()
        collar = at[f"{s}_ankle"][1] + 0.25 * (at[f"{s}_ankle"][1] - sole)
        shoe = _of(part, f"{s}_knee", f"{s}_ankle", f"{s}_foot") & (height < collar)
        labels[shoe] = _CLASS[f"{side}-shoe"]
        along = (vertices - at[f"{s}_shoulder"]) @ _unit(at[f"{s}_elbow"] - at[f"{s}_shoulder"])
        hem = _SLEEVE * np.linalg.norm(at[f"{s}_elbow"] - at[f"{s}_shoulder"])
        arm = _of(part, f"{s}_elbow", f"{s}_wrist", f"{s}_hand") | (_of(part, f"{s}_shoulder") & (along > hem))
        labels[arm] = _CLASS[f"{side}-arm"]

    points = keypoint_targets(model)
    nose, ear = points["nose"], points["left_ear"]
    head = part == INDEX["head"]
    unit = height[head].max() - nose[1]
    up, depth = (height - nose[1]) / unit, (vertices[:, 2] - ear[2]) / (nose[2] - ear[2])
    neck = _of(part, "neck")
    # The neckline falls from the nape to the collarbones.
    slope = np.interp(vertices[:, 2], [at["neck"][2] - 0.06, at["neck"][2] + 0.06], [0.0, 0.05])
    skin = (neck | _of(part, "spine3", "l_collar", "r_collar")) & (height > at["neck"][1] - slope)
    labels[skin | head] = _CLASS["torso-skin"]
    jaw = np.interp(depth, (-0.1, 0.3, 0.9), (-0.25, -0.45, -0.62))
    labels[(head | neck) & (up > jaw) & (depth > -0.3)] = _CLASS["face"]
    labels[(head | neck) & (up > np.interp(depth, _HAIRLINE_DEPTH, _HAIRLINE_HEIGHT))] = _CLASS["hair"]
    return labels


def _of(part: np.ndarray, *names: str) -> np.ndarray:
    return np.isin(part, [INDEX[name] for name in names])


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
