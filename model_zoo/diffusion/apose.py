"""The subject re-posed to a canonical A-pose on white, from frames of a clip through the body's surface.

A pixel of the A-pose picture sees a point of the surface; the same point of the body in a frame's pose says where to
look in that frame. What no frame shows is taken from the other side of the body, and what neither shows is spread over
the mesh from what is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from model_zoo.body.skeleton import INDEX
from model_zoo.body.smpl import SmplModel
from model_zoo.diffusion import mesh_fill
from model_zoo.diffusion.dressed_mesh import dressed, limits, outline_distances, project
from model_zoo.raster.attributes import vertex_normals
from model_zoo.raster.zbuffer import Rasterizer

MARGIN = 0.05  # of the body's height, as around the cropped subject
_ARMS_rad, _ELBOWS_rad, _LEGS_rad = 0.87, 0.1, 0.1  # arms 50 degrees below the T-pose
_DISTANCE = 6.0  # of the camera, in body heights: nearly parallel rays
_SHARP = 2  # rows drawn per row of the picture
_LEAST_ROWS = 256
_DEPTH_SLACK_m = 0.02
_EDGE_SHARE = 0.008  # of the body's height in a frame: how near an outline colours are not trusted
_FACING_NONE, _FACING_FULL = 0.05, 0.35  # cosine between normal and ray at which a frame begins to count, and counts
_COLOUR_SMOOTHNESS = 0.02
_APART_rad = 0.6  # between the directions that chosen frames look from
_FACE_SHARE = 0.5  # of how frontal the face is, beside the body, in what a frame is worth
_TO_HEAD = ("spine1", "spine2", "spine3", "neck", "head")
_WHITE = 255.0


class View(NamedTuple):
    """One frame that shows the subject.

    Attributes:
        image: Shape (H, W, 3), uint8.
        human: Shape (H, W), bool.
        global_orient: Shape (3,), rad, camera frame.
        body_pose: Shape (69,), rad.
        transl: Shape (3,), m, camera frame.
        intrinsics: Shape (3, 3), px.
    """

    image: np.ndarray
    human: np.ndarray
    global_orient: np.ndarray
    body_pose: np.ndarray
    transl: np.ndarray
    intrinsics: np.ndarray


class _Seen(NamedTuple):
    """A view with its body: vertices and normals (V, 3), the depth a surface must not exceed, where colours hold."""

    view: View
    vertices: np.ndarray
    normals: np.ndarray
    nearest: np.ndarray
    trusted: np.ndarray


def a_pose() -> tuple[np.ndarray, np.ndarray]:
    """`global_orient` (3,) and `body_pose` (69,), rad: upright before a camera, arms and legs a little apart."""
    pose = np.zeros((24, 3))
    for side, sign in (("l", 1.0), ("r", -1.0)):
        pose[INDEX[f"{side}_shoulder"], 2] = -sign * _ARMS_rad
        pose[INDEX[f"{side}_elbow"], 1] = -sign * _ELBOWS_rad
        pose[INDEX[f"{side}_hip"], 2] = sign * _LEGS_rad
    return np.array([np.pi, 0.0, 0.0]), pose[1:].ravel()


class Reposer:
    """Makes A-pose pictures of subjects on one body model. Holds no state between calls; threads may share it."""

    def __init__(self, body: Mapping[str, np.ndarray]) -> None:
        """Take the arrays of a body model file."""
        self._model = SmplModel.from_arrays({key: np.asarray(body[key]) for key in body})
        count = len(self._model.v_template)
        self._smooth = mesh_fill.laplacian(self._model.faces, count)
        self._mirror = mesh_fill.mirror_of(self._model.v_template)
        self._limit = limits(self._model.weights)

    def __call__(self, views: Sequence[View], betas: np.ndarray, size: int) -> np.ndarray:
        """Draw the subject.

        Args:
            views: Frames of the subject, the most telling first; none gives a white picture.
            betas: Shape (10,), its shape.
            size: S, px.

        Returns:
            Shape (S, S, 3), uint8.
        """
        if not views:
            return np.full((size, size, 3), _WHITE, np.uint8)
        faces = self._model.faces
        poser = self._model.poser(betas)
        bodies = [_posed(poser, view.global_orient, view.body_pose, view.transl) for view in views]
        normals = [vertex_normals(body, faces) for body in bodies]
        told = [
            outline_distances(body, normal, faces, view.human, np.asarray(view.intrinsics, np.float64))
            for body, normal, view in zip(bodies, normals, views)
        ]
        out = dressed(self._smooth, *(np.stack(part) for part in zip(*told)), self._mirror, self._limit)[:, None]
        seen = [_look(view, body + out * normal, normal, faces) for view, body, normal in zip(views, bodies, normals)]
        colours = self._vertex_colours(seen)
        orient, pose = a_pose()
        vertices = _posed(poser, orient, pose, np.zeros(3))
        vertices += out * vertex_normals(vertices, faces)
        return self._drawn(vertices, colours, seen, size)

    def _vertex_colours(self, seen: Sequence[_Seen]) -> np.ndarray:
        """Colours (V, 3), 0 to 255, of every vertex."""
        colour, weight = _composed(seen, [(one.vertices, one.normals) for one in seen])
        other, others = colour[self._mirror], weight[self._mirror]
        colour = weight[:, None] * colour + (1 - weight[:, None]) * other
        weight = np.maximum(weight, 0.3 * others)
        total = weight.sum()
        mean = (weight[:, None] * colour).sum(0) / total if total > 0 else np.full(3, 127.5)
        found = mesh_fill.spread(_COLOUR_SMOOTHNESS * self._smooth, colour, weight, mean)
        return np.clip(found, 0, 255)

    def _drawn(self, vertices: np.ndarray, colours: np.ndarray, seen: Sequence[_Seen], size: int) -> np.ndarray:
        rows = max(_SHARP * size, _LEAST_ROWS)
        rows += -rows % size  # whole factor
        placed, camera = _camera(vertices, rows)
        raster = Rasterizer(rows, rows)(placed, self._model.faces, camera)
        y, x = np.nonzero(raster.face_index >= 0)
        corners = self._model.faces[raster.face_index[y, x]]
        shares = raster.barycentrics[y, x].astype(np.float64)[..., None]

        def at(values: np.ndarray) -> np.ndarray:
            return (values[corners] * shares).sum(1)

        found, weight = _composed(seen, [(at(one.vertices), at(one.normals)) for one in seen])
        colour = np.zeros((rows, rows, 3))
        trust = np.zeros((rows, rows))
        colour[y, x], trust[y, x] = found, weight
        trust = np.minimum(trust, cv2.GaussianBlur(trust, (0, 0), rows / 256))  # no hard seams
        spread = np.zeros_like(colour)
        spread[y, x] = at(colours)
        other = trust[:, ::-1, None]
        filled = other * colour[:, ::-1] + (1 - other) * spread  # the picture is symmetric, so is the body
        whole = trust[..., None] * colour + (1 - trust[..., None]) * filled
        whole[raster.face_index < 0] = _WHITE
        return cv2.resize(np.rint(whole).astype(np.uint8), (size, size), interpolation=cv2.INTER_AREA)


def _posed(poser: object, orient: np.ndarray, pose: np.ndarray, transl: np.ndarray) -> np.ndarray:
    return poser.vertices(orient[None], pose[None], transl[None])[0].astype(np.float64)  # type: ignore[attr-defined]


def _camera(vertices: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Body moved before the fixed camera, centred left to right, and the camera's matrix, px of `rows` x `rows`.

    The body fills the height of the picture but for a margin, whatever its size.
    """
    low, high = vertices.min(0), vertices.max(0)
    reach = max(high[1] - low[1], 2 * np.abs(vertices[:, 0]).max())
    placed = vertices - [0.0, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2]
    placed[:, 2] += _DISTANCE * reach
    middle = (rows - 1) / 2
    focal = rows * _DISTANCE / (1 + 2 * MARGIN)
    return placed, np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1.0]])


def _look(view: View, vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray) -> _Seen:
    """What a view shows of its body: outlines, where colours of two surfaces mix, are left out."""
    camera = np.asarray(view.intrinsics, np.float64)
    height, width = view.human.shape
    depth = Rasterizer(height, width)(vertices, faces, camera).depth.copy()
    pixels = project(vertices, camera)
    reach = max(1, round(float(np.ptp(pixels[:, 1])) * _EDGE_SHARE))
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    depth[depth == 0] = np.inf
    nearest = cv2.erode(depth, kernel)  # the nearest surface in the neighbourhood
    trusted = cv2.erode(view.human.astype(np.uint8), kernel, borderValue=1).astype(np.float32)
    return _Seen(view, vertices, normals, nearest, trusted)


def _composed(seen: Sequence[_Seen], places: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Colours (N, 3) of surface points and how far they are known (N,), 0 to 1; the first view is on top."""
    count = len(places[0][0])
    colour, weight = np.zeros((count, 3)), np.zeros(count)
    for one, (points, normals) in zip(seen, places):
        sampled, share = _sampled(one, points, normals)
        part = (1 - weight) * share
        colour += part[:, None] * sampled
        weight += part
    return np.divide(colour, weight[:, None], out=np.zeros_like(colour), where=weight[:, None] > 1e-6), weight


def _sampled(one: _Seen, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours (N, 3) that a view has for surface points (N, 3), and how far each is to be trusted, (N,)."""
    pixels = project(points, np.asarray(one.view.intrinsics, np.float64)).astype(np.float32)
    x, y = pixels[:, :1], pixels[:, 1:]

    def at(picture: np.ndarray, how: int, beyond: float) -> np.ndarray:
        # cv2.remap takes no more than 32767 rows
        parts = [
            cv2.remap(picture, x[i : i + 30_000], y[i : i + 30_000], how, borderValue=beyond)
            for i in range(0, len(x), 30_000)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 1, *picture.shape[2:]))

    colours = at(one.view.image, cv2.INTER_LINEAR, 0)[:, 0].astype(np.float64)
    near = at(one.nearest, cv2.INTER_NEAREST, 0)[:, 0]
    trusted = at(one.trusted, cv2.INTER_NEAREST, 0)[:, 0]
    rays = points / np.linalg.norm(points, axis=1, keepdims=True)
    facing = -(normals * rays).sum(1)
    share = np.clip((facing - _FACING_NONE) / (_FACING_FULL - _FACING_NONE), 0, 1)
    # A slanted surface is nearer in the neighbourhood without being hidden: its own slope is allowed for.
    slope = np.sqrt(np.maximum(1 - facing**2, 0)) / np.maximum(facing, _FACING_NONE)
    allowed = _DEPTH_SLACK_m * (1 + np.minimum(slope, 2.0))
    share = share * (points[:, 2] <= near + allowed) * trusted
    return colours, share


def choose_views(quality: np.ndarray, global_orient: np.ndarray, body_pose: np.ndarray, count: int = 3) -> list[int]:
    """Frames that together show the subject's front, the most telling first.

    Args:
        quality: Shape (T,), at least 0; 0 for frames that cannot be used.
        global_orient: Shape (T, 3), rad, camera frame.
        body_pose: Shape (T, 69), rad.
        count: Frames at most; each looks from a direction at least `_APART_rad` from the others.

    Returns:
        Indices; empty where no frame can be used.
    """
    body = Rotation.from_rotvec(global_orient)
    head = body
    for name in _TO_HEAD:
        joint = 3 * (INDEX[name] - 1)
        head = head * Rotation.from_rotvec(body_pose[:, joint : joint + 3])
    facing, looking = (turned.apply([0.0, 0.0, 1.0]) for turned in (body, head))
    frontal = (1 - _FACE_SHARE) * np.clip(-facing[:, 2], 0, 1) + _FACE_SHARE * np.clip(-looking[:, 2], 0, 1)
    bearing = np.arctan2(facing[:, 0], -facing[:, 2])
    chosen: list[int] = []
    score = quality * (0.1 + 0.9 * frontal)
    while len(chosen) < count and score.max(initial=0) > 0:
        best = int(score.argmax())
        chosen.append(best)
        apart = np.abs((bearing - bearing[best] + np.pi) % (2 * np.pi) - np.pi)
        score = np.where(apart < _APART_rad, 0, score)
    return chosen
