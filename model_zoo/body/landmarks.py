"""Where on a body the points lie that annotators of images click: COCO's 17 and the 6 of the feet.

Everything is found by geometry in the T-pose (y up, facing +z, left at +x), so it works for any body in
SMPL's format.
"""

import numpy as np
from scipy.optimize import nnls

from model_zoo.body.skeleton import INDEX, NUM_JOINTS
from model_zoo.body.smpl import SmplModel

KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle", "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip
# Points inside the body are held by a ring of this many vertices on its surface.
_SUPPORT = 150


def keypoint_regressor(model: SmplModel) -> np.ndarray:
    """Rows that give the keypoints from the vertices of the rest body.

    Rows are non-negative, sum to one and use nearby vertices only, so they follow the shape. Pose the points
    with `PosedPoints`, not by regressing posed vertices.

    Args:
        model: The body.

    Returns:
        Shape (23, V), float64; order of COCO-WholeBody, names in `KEYPOINTS`.
    """
    part = model.weights.argmax(1)
    points = keypoint_targets(model)
    rows = np.zeros((len(KEYPOINTS), len(model.v_template)))
    for i, name in enumerate(KEYPOINTS):
        allowed = np.isin(part, _parts_around(name))
        if name.endswith(("nose", "eye", "ear", "toe", "heel")):
            rows[i] = _surface_row(model, points[name], allowed)
        else:
            rows[i] = _inner_row(model.v_template, points[name], allowed)
    return rows


def keypoint_targets(model: SmplModel) -> dict[str, np.ndarray]:
    """Positions of the keypoints on the template, by name, each (3,), m."""
    vertices, joints, part = model.v_template, model.joints_template, model.weights.argmax(1)
    head = vertices[part == INDEX["head"]]
    middle = head[np.abs(head[:, 0]) < 0.02]
    nose = middle[middle[:, 2].argmax()] * np.array([0.0, 1.0, 1.0])
    crown = head[:, 1].max()
    face = crown - nose[1]  # nose tip to crown, about 0.15 m in adults; the eyes lie 0.28 of it above the nose
    targets = {"nose": nose}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        outward = np.array([sign, 1.0, 1.0])
        at = {stem: joints[INDEX[f"{side[0]}_{stem}"]] for stem in
              ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist")}  # fmt: skip
        targets[f"{side}_eye"] = nose + face * np.array([0.195, 0.28, -0.15]) * outward
        lateral = sign * head[:, 0]
        # The ear sticks out furthest; clicked at its middle, which lies a little further in.
        ear = head[(lateral > 0.93 * lateral.max()) & (head[:, 1] > nose[1] - 0.4 * face)]
        targets[f"{side}_ear"] = ear.mean(0)
        column = np.linalg.norm(vertices[:, [0, 2]] - at["shoulder"][[0, 2]], axis=1) < 0.04
        top = vertices[column, 1].max()
        targets[f"{side}_shoulder"] = at["shoulder"] * np.array([0.92, 1.0, 1.0]) + [
            0,
            0.4 * (top - at["shoulder"][1]),
            0,
        ]
        targets[f"{side}_elbow"] = at["elbow"]
        targets[f"{side}_wrist"] = at["wrist"]
        level = (np.abs(vertices[:, 1] - at["hip"][1]) < 0.03) & np.isin(part, _parts_around(f"{side}_hip"))
        half_width = (sign * vertices[level, 0]).max()
        targets[f"{side}_hip"] = np.array([0.58 * sign * half_width, at["hip"][1] - 0.015, at["hip"][2]])
        targets[f"{side}_knee"] = at["knee"] + 0.03 * (at["ankle"] - at["knee"])
        targets[f"{side}_ankle"] = at["ankle"]
        foot = vertices[np.isin(part, [INDEX[f"{side[0]}_foot"], INDEX[f"{side[0]}_ankle"]])]
        foot = foot[foot[:, 1] < at["ankle"][1]]
        inner = foot[sign * (foot[:, 0] - at["foot"][0]) < 0]
        targets[f"{side}_big_toe"] = inner[inner[:, 2].argmax()]
        targets[f"{side}_small_toe"] = foot[(foot @ np.array([0.85 * sign, 0.0, 0.53])).argmax()]
        low = foot[foot[:, 1] < foot[:, 1].min() + 0.6 * (at["ankle"][1] - foot[:, 1].min())]
        targets[f"{side}_heel"] = low[low[:, 2].argmin()]
    return targets


def _parts_around(name: str) -> list[int]:
    """Joints whose skin may hold a keypoint."""
    side, _, stem = name.partition("_")
    near = {
        "shoulder": ("shoulder", "collar"), "elbow": ("shoulder", "elbow"), "wrist": ("elbow", "wrist"),
        "hip": ("hip", "pelvis"), "knee": ("hip", "knee"), "ankle": ("knee", "ankle"), "big_toe": ("ankle", "foot"),
        "small_toe": ("ankle", "foot"), "heel": ("ankle", "foot"),
    }.get(stem, ("head",))  # fmt: skip
    return [INDEX.get(part, INDEX.get(f"{side[0]}_{part}", NUM_JOINTS)) for part in near]


def _surface_row(model: SmplModel, point: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Barycentric weights of the nearest point on the allowed faces."""
    faces = model.faces[allowed[model.faces].all(1)]
    corners = model.v_template[faces]
    near = np.argsort(((corners.mean(1) - point) ** 2).sum(1), kind="stable")[:40]
    best, best_distance = None, np.inf
    for face, triangle in zip(faces[near], corners[near], strict=True):
        rows = np.concatenate([triangle.T - point[:, None], np.full((1, 3), 10.0)])
        solution, _ = nnls(rows, np.array([0.0, 0.0, 0.0, 10.0]))
        solution /= solution.sum()
        distance = np.linalg.norm(solution @ triangle - point)
        if distance < best_distance - 1e-12:
            best, best_distance = (face, solution), distance
    row = np.zeros(len(model.v_template))
    row[best[0]] = best[1]
    return row


def _inner_row(vertices: np.ndarray, point: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Smooth non-negative weights of the surface around a point whose mean is the point."""
    distance = np.linalg.norm(vertices - point, axis=1)
    near = np.argsort(np.where(allowed, distance, np.inf), kind="stable")[:_SUPPORT]
    near = near[allowed[near]]
    heavy, spread = 1e3, distance[near] / distance[near].min()
    rows = np.concatenate([heavy * (vertices[near] - point).T, np.full((1, len(near)), heavy), 0.1 * np.diag(spread)])
    target = np.concatenate([np.zeros(3), [heavy], np.zeros(len(near))])
    solution, _ = nnls(rows, target, maxiter=30 * len(near))
    row = np.zeros(len(vertices))
    row[near] = solution / solution.sum()
    return row
