"""What every pixel of a frame shows, not only the subject's: depth, normal, kind of thing, and optical flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_zoo.raster.attributes import interpolate, pixel_normals, vertex_normals
from model_zoo.raster.zbuffer import Rasterizer
from model_zoo.synthetic.camera import to_camera
from model_zoo.synthetic.render import Shot
from model_zoo.synthetic.sampler import Sampler

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
            nearer = (seen.depth > 0) & ((depth == 0) | (seen.depth < depth))
            if not nearer.any():
                continue
            kind[nearer], depth[nearer] = what, seen.depth[nearer]
            normal[nearer] = pixel_normals(seen, faces, vertex_normals(points, faces))[nearer]
            moved[nearer] = interpolate(seen, faces, to_camera(then, camera.world_from_camera[after]))[nearer]
        rows, columns = np.mgrid[: size[0], : size[1]]
        at = np.stack([columns, rows], 2).astype(np.float64)
        sky = kind == SKY
        if sky.any():  # infinitely far: only the camera's turning moves it
            turn = camera.world_from_camera[after, :3, :3].T @ pose[:3, :3]
            rays = np.concatenate([at[sky], np.ones((int(sky.sum()), 1))], 1) @ np.linalg.inv(k).T
            moved[sky] = rays @ turn.T
        moved, at = here(moved), here(at)
        flow = np.zeros((camera.height, camera.width, 2), np.float32)
        before_camera = moved[..., 2] > 1e-6
        if not is_last:
            now = at[before_camera]
            if camera.is_distorted:
                now = camera.project(np.concatenate([now, np.ones((len(now), 1))], 1) @ np.linalg.inv(k).T)
            flow[before_camera] = camera.project(moved[before_camera]) - now
        return Everything(here(kind), here(depth), here(normal), flow)

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
