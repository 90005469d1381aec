"""A synthetic SMPL-format body of 6890 vertices and 13776 faces, and a data root of instant-nvr made of it.

Everything about the data root is worked out here by plain numpy, formula by formula, and by no code under test.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
NUM_VERTICES, NUM_FACES = 6890, 13776
SUB = "images_of_me"  # holds the word that the original replaces everywhere
_RINGS, _SEGMENTS = 84, 82
_JOINTS = np.array(
    [
        (0, -0.2, 0), (0.1, -0.3, 0), (-0.1, -0.3, 0), (0, -0.1, 0), (0.1, -0.55, 0), (-0.1, -0.55, 0), (0, 0.05, 0),
        (0.1, -0.75, 0), (-0.1, -0.75, 0), (0, 0.15, 0), (0.1, -0.82, 0.05), (-0.1, -0.82, 0.05), (0, 0.45, 0),
        (0.08, 0.3, 0), (-0.08, 0.3, 0), (0, 0.6, 0), (0.17, 0.3, 0), (-0.17, 0.3, 0), (0.25, 0.25, 0),
        (-0.25, 0.25, 0), (0.3, 0.15, 0), (-0.3, 0.15, 0), (0.33, 0.08, 0), (-0.33, 0.08, 0),
    ]
)  # fmt: skip


@functools.cache
def body() -> dict[str, np.ndarray]:
    """Arrays of the body, named as in SMPL's file: a closed surface in the shape of an egg."""
    rng = np.random.RandomState(3)
    polar = np.pi * np.arange(1, _RINGS + 1) / (_RINGS + 1)
    around = 2 * np.pi * np.arange(_SEGMENTS) / _SEGMENTS
    ring = np.stack(
        [
            np.sin(polar)[:, None] * np.cos(around),
            np.repeat(np.cos(polar)[:, None], _SEGMENTS, 1),
            np.sin(polar)[:, None] * np.sin(around),
        ],
        -1,
    ).reshape(-1, 3)
    vertices = np.concatenate([[[0, 1, 0]], ring, [[0, -1, 0]]]) * (0.35, 0.85, 0.18)
    vertices += 0.02 * np.sin(7 * vertices[:, [1, 2, 0]])
    faces = []
    last = len(vertices) - 1
    for segment in range(_SEGMENTS):
        beside = (segment + 1) % _SEGMENTS
        faces.append((0, 1 + beside, 1 + segment))
        faces.append((last, last - _SEGMENTS + segment, last - _SEGMENTS + beside))
        for r in range(_RINGS - 1):
            a, b = 1 + r * _SEGMENTS + segment, 1 + r * _SEGMENTS + beside
            faces += [(a, b, a + _SEGMENTS), (b, b + _SEGMENTS, a + _SEGMENTS)]
    distance = np.linalg.norm(vertices[:, None] - _JOINTS, axis=-1)
    weights = np.exp(-((distance / 0.08) ** 2)) + 1e-9
    weights /= weights.sum(1, keepdims=True)
    regressor = np.exp(-((distance.T / 0.15) ** 2)) * rng.uniform(0.5, 1.5, distance.T.shape)
    kintree = np.stack([np.array(PARENTS), np.arange(24)]).astype(np.uint32)
    uv = np.stack([np.arctan2(vertices[:, 2], vertices[:, 0]) / 7 + 0.5, 0.5 + vertices[:, 1] / 2], 1)
    return {
        "v_template": vertices,
        "shapedirs": 0.01 * np.sin(5 * vertices[..., None] + np.arange(10)),
        "posedirs": 1e-3 * rng.randn(NUM_VERTICES, 3, 207),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights,
        "kintree_table": kintree,
        "f": np.array(faces, np.uint32),
        "vt": uv,
        "ft": np.array(faces, np.uint32),
    }


def body25_rows() -> np.ndarray:
    """Made-up `J_regressor_body25.npy`, shape (25, 6890)."""
    rng = np.random.RandomState(5)
    rows = np.zeros((25, NUM_VERTICES))
    for row in rows:
        row[rng.choice(NUM_VERTICES, 6, replace=False)] = rng.uniform(0.5, 1, 6)
    return rows / rows.sum(1, keepdims=True)


def rodrigues(vector: np.ndarray) -> np.ndarray:
    """One rotation, angle = norm(r + 1e-8)."""
    angle = np.sqrt(((vector + 1e-8) ** 2).sum())
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def chain(poses: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Rigid transforms `A`, shape (24, 4, 4), by the definition."""
    poses = np.asarray(poses, np.float64).reshape(24, 3)
    transforms: list[np.ndarray] = []
    for k in range(24):
        local = np.eye(4)
        local[:3, :3] = rodrigues(poses[k])
        local[:3, 3] = joints[k] - (joints[PARENTS[k]] if k else 0)
        transforms.append(transforms[PARENTS[k]] @ local if k else local)
    for k, transform in enumerate(transforms):
        transforms[k] = transform.copy()
        transforms[k][:, 3] -= transform @ np.append(joints[k], 0)
    return np.stack(transforms)


def lbs(arrays: dict[str, np.ndarray], poses: np.ndarray, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posed vertices (V, 3) and rest joints (24, 3), body frame."""
    shaped = arrays["v_template"] + arrays["shapedirs"] @ shapes
    joints = arrays["J_regressor"] @ shaped
    matrices = np.stack([rodrigues(vector) for vector in np.asarray(poses, float).reshape(24, 3)])
    posed = shaped + arrays["posedirs"] @ (matrices[1:] - np.eye(3)).ravel()
    blended = np.einsum("vj,jab->vab", arrays["weights"], chain(poses, joints))
    return np.einsum("vab,vb->va", blended[:, :3, :3], posed) + blended[:, :3, 3], joints


def grid(points: np.ndarray) -> np.ndarray:
    """(X, Y, Z, 3) positions of the voxels about points."""
    low, high = points.min(0) - 0.05, points.max(0) + 0.05
    axes = [np.arange(low[n], high[n] + 0.025, 0.025) for n in range(3)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def colour(label: int) -> tuple[int, int, int]:
    """Colour of a label in the VOC palette, bit by bit."""
    channels = [0, 0, 0]
    for bit in range(8):
        channels[bit % 3] |= ((label >> bit) & 1) << (7 - bit // 3)
    return channels[0], channels[1], channels[2]


def write_root(
    root: Path,
    frames: int = 2,
    height: int = 150,
    width: int = 130,
    distortion: bool = False,
    cameras: int = 1,
    mode: str = "P",
    names: tuple[str, str, str] = ("smpl_lbs", "smpl_params", "smpl_vertices"),
) -> dict[str, Any]:
    """Write a data root; returns cameras and shapes.

    Grids are small made-up arrays: who reads them is under test, not who makes them.
    """
    rng = np.random.RandomState(11)
    arrays = body()
    lbs_name, params_name, vertices_name = names
    for folder in (f"{lbs_name}/bweights", params_name, vertices_name, "smpl-meta"):
        (root / folder).mkdir(parents=True)
    shapes = rng.randn(10) * 0.3
    cams: dict[str, list[np.ndarray]] = {"K": [], "R": [], "T": [], "D": []}
    for camera in range(cameras):
        focal = 1.2 * min(height, width)
        cams["K"].append(np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32))
        cams["R"].append(cv2.Rodrigues(np.array([0.02, 0.05 * camera, 0.01]))[0])
        cams["T"].append(np.array([[30.0], [-20.0], [10.0 + 100 * camera]]))
        cams["D"].append(np.array([[0.1, -0.05, 0.01, 0.005, 0.0]]) if distortion else np.zeros((1, 5), np.float32))
    ims = []
    for i in range(frames):
        poses = 0.3 * rng.randn(72)
        poses[:3] = 0
        rh, th = np.array([[np.pi - 0.2, 0.1 * i, 0.2]]), np.array([[0.05 * i, 0.1, 2.6]])
        pxyz, joints = lbs(arrays, poses, shapes)
        world = (pxyz @ cv2.Rodrigues(rh[0])[0].T + th).astype(np.float32)
        np.save(root / vertices_name / f"{i}.npy", world)
        params = {"Rh": rh, "Th": th, "poses": poses[None], "shapes": shapes[None]}
        np.save(root / params_name / f"{i}.npy", params, allow_pickle=True)
        np.save(root / lbs_name / "bweights" / f"{i}.npy", rng.rand(7, 8 + i, 5, 25).astype(np.float32))
        paths = []
        for camera in range(cameras):
            sub = SUB if cameras == 1 else f"{SUB}_{camera}"
            for folder in ("images", "schp", "annots"):
                (root / folder / sub).mkdir(parents=True, exist_ok=True)
            paths.append(f"images/{sub}/{i:06d}.jpg")
            y, x = np.mgrid[:height, :width]
            picture = np.stack([x * 255 // width, y * 255 // height, (x + 3 * y + 20 * i) % 256], -1).astype(np.uint8)
            cv2.imwrite(str(root / paths[-1]), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            camera_points = world @ cams["R"][camera].T + cams["T"][camera].T / 1000
            seen = camera_points @ cams["K"][camera].T
            seen = (seen[:, :2] / seen[:, 2:]).round().astype(int)
            labels = np.zeros((height, width), np.uint8)
            owner = np.array([5, 9, 13, 14, 15, 16, 17, 2, 10, 18])[arrays["weights"].argmax(1) % 10]
            inside = ((seen >= 0) & (seen < (width, height))).all(1)
            labels[seen[inside, 1], seen[inside, 0]] = owner[inside]
            labels = cv2.dilate(labels, np.ones((3, 3), np.uint8))
            write_labels(root / "schp" / sub / f"{i:06d}.png", labels, mode)
        ims.append({"ims": paths})
    np.save(root / "annots.npy", {"cams": cams, "ims": ims}, allow_pickle=True)
    big = np.zeros(72)
    big[5], big[8] = np.deg2rad(30), -np.deg2rad(30)
    np.save(root / lbs_name / "bigpose_vertices.npy", lbs(arrays, big, shapes)[0])
    np.save(root / lbs_name / "joints.npy", joints)
    np.save(root / lbs_name / "parents.npy", arrays["kintree_table"][0])
    np.save(root / lbs_name / "faces.npy", arrays["f"])
    np.save(root / lbs_name / "bigpose_bw.npy", rng.rand(9, 8, 6, 25).astype(np.float32))
    np.save(root / "bigpose_uv.npy", rng.rand(9, 8, 6, 2).astype(np.float32))
    np.save(root / "smpl-meta" / "faces.npy", arrays["f"])
    np.save(root / "smpl-meta" / "weights.npy", arrays["weights"])
    np.save(root / "smpl-meta" / "parents.npy", arrays["kintree_table"][0])
    return {"cams": cams, "shapes": shapes, "joints": joints}


def write_labels(path: Path, labels: np.ndarray, mode: str) -> None:
    """Human parsing as PNG: mode "P" with the palette, "RGB" or "RGBA" in its colours."""
    table = np.array([colour(label) for label in range(256)], np.uint8)
    if mode == "P":
        picture = Image.fromarray(labels)
        picture.putpalette(table.ravel().tolist())
    else:
        picture = Image.fromarray(table[labels]).convert(mode)
    picture.save(path)
