"""What every pixel of a frame shows, not only the subject's: depth, normal, kind of thing, and optical flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from model_zoo.raster.attributes import vertex_normals
from model_zoo.raster.zbuffer import Rasterizer
from model_zoo.synthetic.camera import to_camera
from model_zoo.synthetic.render import Shot
from model_zoo.synthetic.sampler import Sampler

_NEAREST = 1e-6  # m before the camera, of a point that has a place in the picture
SKY, SCENE, THING, OTHER_PERSON, SUBJECT = range(5)


@dataclass(frozen=True)
class Everything:
    """One frame, sampled at pixel centres.

    Attributes:
        kind: Shape (H, W), uint8, `SKY` to `SUBJECT`.
        depth: Shape (H, W), float32, m, camera z; 0 is sky.
        normal: Shape (H, W, 3), float32, camera frame, unit length, as the surface is shaded; 0 is sky.
        flow: Shape (H, W, 2), float32, px, where the point that the pixel shows is in the next frame, minus where it
            is now; whether it is hidden there does not matter. 0 in the last frame of a view.
    """

    kind: np.ndarray
    depth: np.ndarray
    normal: np.ndarray
    flow: np.ndarray


class Surveyor:
    """Surveys the frames of one shot, in any order; an object serves one thread."""

    def __init__(self, shot: Shot) -> None:
        """Prepare."""
        self._shot = shot
        self._sampler = Sampler(shot.camera)
        self._rasterizer = Rasterizer(self._sampler.camera.height, self._sampler.camera.width)
        self._actors = (*((OTHER_PERSON, actor) for actor in shot.others), (SUBJECT, shot.subject))
        self._transforms = [actor.body.transforms(actor.motion) for _, actor in self._actors]

    def __call__(self, t: int) -> Everything:
        """Frame t."""
        camera, here, inner = self._shot.camera, self._sampler, self._sampler.camera
        is_last = t + 1 in (self._shot.cut, len(self._shot))
        after = t if is_last else t + 1
        pose, k = camera.world_from_camera[t], inner.intrinsics
        size = (inner.height, inner.width)
        kind, depth = np.zeros(size, np.uint8), np.zeros(size, np.float32)
        normal, moved = np.zeros((*size, 3), np.float32), np.zeros((*size, 3))
        for what, now, then, faces in self._surfaces(t, after):
            points = to_camera(now, pose)
            seen = self._rasterizer(points, faces, k)
            later = to_camera(then, camera.world_from_camera[after])
            _take_in(
                seen.face_index, seen.barycentrics, seen.depth, faces, vertex_normals(points, faces), later, what,
                kind, depth, normal, moved,
            )  # fmt: skip
        # The sky is infinitely far: only the camera's turning moves it.
        turn = camera.world_from_camera[after, :3, :3].T @ pose[:3, :3] @ np.linalg.inv(k)
        flow = np.zeros((camera.height, camera.width, 2), np.float32)
        if not is_last and not camera.is_distorted:
            _flow(kind, moved, turn, k, flow)
        elif not is_last:
            flow = self._bent_flow(kind, moved, turn, k)
        return Everything(here(kind), here(depth), here(normal), flow)

    def _bent_flow(self, kind: np.ndarray, moved: np.ndarray, turn: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Flow (H, W, 2) float32 in the pixels of a lens that bends."""
        camera, here = self._shot.camera, self._sampler
        rows, columns = np.mgrid[: kind.shape[0], : kind.shape[1]]
        at = here(np.stack([columns, rows, np.ones_like(rows)], 2).astype(np.float64))
        moved = np.where((here(kind) == SKY)[..., None], at @ turn.T, here(moved))
        before_camera = moved[..., 2] > _NEAREST
        flow = np.zeros((camera.height, camera.width, 2), np.float32)
        now = camera.project(at[before_camera] @ np.linalg.inv(k).T)
        flow[before_camera] = camera.project(moved[before_camera]) - now
        return flow

    def _surfaces(self, t: int, after: int) -> list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """Kind, vertices now and in the next frame (V, 3), m, world, and faces of all that can be seen."""
        scene = self._shot.scene.mesh
        found = [(SCENE, scene.vertices, scene.vertices, scene.faces)]
        for prop in self._shot.props:
            vertices = prop.mesh.vertices
            found.append((THING, vertices + prop.places[t], vertices + prop.places[after], prop.mesh.faces))
        for (what, actor), moves in zip(self._actors, self._transforms):
            found.append((what, actor.body.vertices(moves[t]), actor.body.vertices(moves[after]), actor.body.faces))
        return found


@njit(cache=True, nogil=True)
def _take_in(
    face_index, barycentrics, seen_depth, faces, normals, later, what, kind, depth, normal, moved
):  # fmt: skip
    """Take over a rasterised mesh where it is nearer than what is there.

    Args:
        face_index: (H, W), from the rasteriser.
        barycentrics: (H, W, 3).
        seen_depth: (H, W), m.
        faces: (F, 3).
        normals: (V, 3), camera frame.
        later: (V, 3), m, vertices in the next frame's camera frame.
        what: Kind.
        kind: (H, W), written.
        depth: (H, W), m, 0 where nothing is, written.
        normal: (H, W, 3), written.
        moved: (H, W, 3), m, where the point seen is in the next frame, in its camera's frame, written.
    """
    for i in range(kind.shape[0]):
        for j in range(kind.shape[1]):
            f = face_index[i, j]
            if f < 0 or (depth[i, j] > 0.0 and seen_depth[i, j] >= depth[i, j]):
                continue
            kind[i, j], depth[i, j] = what, seen_depth[i, j]
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            wa, wb, wc = barycentrics[i, j, 0], barycentrics[i, j, 1], barycentrics[i, j, 2]
            for n in range(3):
                moved[i, j, n] = wa * later[a, n] + wb * later[b, n] + wc * later[c, n]
            x = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            y = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            z = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            length = np.sqrt(x * x + y * y + z * z)
            if length > 0.0:
                normal[i, j, 0], normal[i, j, 1], normal[i, j, 2] = x / length, y / length, z / length
            else:  # opposite normals cancel: face the camera
                normal[i, j, 0], normal[i, j, 1], normal[i, j, 2] = 0.0, 0.0, -1.0


@njit(cache=True, nogil=True)
def _flow(kind, moved, turn, k, flow):
    """Optical flow, (H, W, 2), written where the point seen is before the next frame's camera; see `_take_in`."""
    for i in range(kind.shape[0]):
        for j in range(kind.shape[1]):
            if kind[i, j] == SKY:
                x = turn[0, 0] * j + turn[0, 1] * i + turn[0, 2]
                y = turn[1, 0] * j + turn[1, 1] * i + turn[1, 2]
                z = turn[2, 0] * j + turn[2, 1] * i + turn[2, 2]
            else:
                x, y, z = moved[i, j, 0], moved[i, j, 1], moved[i, j, 2]
            if z > _NEAREST:
                flow[i, j, 0] = (k[0, 0] * x + k[0, 1] * y) / z + k[0, 2] - j
                flow[i, j, 1] = (k[1, 0] * x + k[1, 1] * y) / z + k[1, 2] - i
