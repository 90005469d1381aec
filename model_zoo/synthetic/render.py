"""Renders a shot frame by frame, and says exactly what is in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_zoo.raster.attributes import pixel_normals, vertex_normals
from model_zoo.raster.zbuffer import Raster, Rasterizer
from model_zoo.synthetic import shade
from model_zoo.synthetic.camera import Camera, project, to_camera
from model_zoo.synthetic.dressed import DressedBody
from model_zoo.synthetic.materials import material_table, outfit_table
from model_zoo.synthetic.mesh import Mesh
from model_zoo.synthetic.motion import Motion
from model_zoo.synthetic.sampler import Sampler
from model_zoo.synthetic.scenes import Light, Scene
from model_zoo.synthetic.shadow import GroundShadow

_NO_PHOTO = np.zeros((1, 1, 3), np.float32)
_SHADOW_REACH = 2.6  # m around the subject that is searched for shadowed ground
# m, how deep COCO's 17 points and the 6 of the feet lie below the skin that is over them, dressed, at most.
OWN_FLESH = np.array(
    [0.03] * 5 + [0.12] * 2 + [0.07] * 2 + [0.05] * 2 + [0.16] * 2 + [0.09] * 2 + [0.07] * 2 + [0.05] * 6
)


@dataclass(frozen=True)
class Actor:
    """A person and what they do."""

    body: DressedBody
    motion: Motion


@dataclass(frozen=True)
class Prop:
    """A thing that moves: a mesh about the origin and where it is in every frame, (T, 3), m, world."""

    mesh: Mesh
    places: np.ndarray


@dataclass(frozen=True)
class Shot:
    """Everything that is in front of one camera over one clip.

    Attributes:
        name: Name of the clip.
        fps: Frames per second.
        scene: What stands still.
        camera: The camera.
        subject: The person the clip is about.
        others: Other people.
        props: Moving things; they count as occluders where they hide the subject.
        grain: Standard deviation of the picture noise is about half of this, in steps of 255.
        seed: Other seeds, other textures and grain.
        exposure: Factor on all light: below 1 for a dim picture.
        cut: Frame with which another view begins; 0 where there is one view only.
    """

    name: str
    fps: float
    scene: Scene
    camera: Camera
    subject: Actor
    others: tuple[Actor, ...] = ()
    props: tuple[Prop, ...] = ()
    grain: float = 4.0
    seed: int = 0
    exposure: float = 1.0
    cut: int = 0

    def __len__(self) -> int:
        return len(self.subject.motion)


@dataclass(frozen=True)
class FrameTruth:
    """What a frame shows at its pixel centres, exactly.

    Attributes:
        depth: Shape (H, W), float32, m, camera z of whatever is seen; 0 is sky.
        human: Shape (H, W), bool, the subject is seen.
        amodal: Shape (H, W), bool, the subject would be seen if nothing stood before it.
        occluder: Shape (H, W), bool, something stands before the subject.
        parsing: Shape (H, W), uint8, part of the subject that is seen (SCHP's classes), 0 elsewhere.
        body_depth: Shape (H, W), float32, m, camera z of the subject where `amodal`, else 0.
        body_normal: Shape (H, W, 3), float32, camera frame, unit length where `amodal`, else 0.
        keypoints: Shape (23, 2), px, COCO's 17 points and the 6 of the feet.
        keypoints_xyz: Shape (23, 3), m, the same in the camera frame.
        in_view: Shape (23,), bool, the point lies in front of the camera and inside the picture.
        visible: Shape (23,), bool, the point is in view, no thing and nobody else stands before it, and of the
            subject's own body no more than `OWN_FLESH` (COCO's visibility flag 2).
        others: Shape (N, 23, 2), px, the same points of the other people.
    """

    depth: np.ndarray
    human: np.ndarray
    amodal: np.ndarray
    occluder: np.ndarray
    parsing: np.ndarray
    body_depth: np.ndarray
    body_normal: np.ndarray
    keypoints: np.ndarray
    keypoints_xyz: np.ndarray
    in_view: np.ndarray
    visible: np.ndarray
    others: np.ndarray


class _Solid:
    """A mesh ready to be drawn."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.normals = vertex_normals(mesh.vertices, mesh.faces)
        self.materials = material_table(mesh)


class Renderer:
    """Renders the frames of one shot, in any order; an object serves one thread."""

    def __init__(self, shot: Shot, samples: int = 2) -> None:
        """Prepare.

        Args:
            shot: What to render.
            samples: Samples along each side of a pixel; 1 is quick and jagged.
        """
        self.shot, self.samples = shot, samples
        camera = shot.camera
        wanted = camera.scaled(camera.height * samples, camera.width * samples)
        self._fine = wanted.pinhole()
        self._bent: tuple[np.ndarray, np.ndarray] | None = None
        if wanted.is_distorted:
            lookup = wanted.lookup(self._fine)
            self._bent = lookup.astype(np.float32), np.zeros((wanted.height, wanted.width, 3), np.float32)
        size = (self._fine.height, self._fine.width)
        self._rasterizer = Rasterizer(*size)
        self._colour, self._depth = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32)
        self._still: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._keeps = False
        photo = shot.scene.photo
        self._photo = _NO_PHOTO if photo is None else np.ascontiguousarray(photo, np.float32)
        self._scene = _Solid(shot.scene.mesh)
        self._props = [_Solid(prop.mesh) for prop in shot.props]
        self._actors = (shot.subject, *shot.others)
        self._transforms = [actor.body.transforms(actor.motion) for actor in self._actors]
        self._outfits = [outfit_table(actor.body) for actor in self._actors]
        self._light = _light_row(shot.scene.light)
        self._shadow = GroundShadow(shot.scene.light)
        self._table = shade.srgb_table()
        self._sampler = Sampler(camera)
        self._coarse: list[Rasterizer] = []

    def frame(self, t: int) -> np.ndarray:
        """Picture of frame t, (H, W, 3) uint8, RGB."""
        return self._picture(t, 0, self.shot.grain)

    def background(self, t: int) -> np.ndarray:
        """Frame t as if the subject and their shadow were not there, without grain, (H, W, 3) uint8, RGB.

        Other people and moving things stay.
        """
        return self._picture(t, 1, 0.0)

    def both(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """`frame` and `background` for little more than one of them."""
        self._keeps = True
        try:
            return self.frame(t), self.background(t)
        finally:
            self._keeps = False

    def _picture(self, t: int, first: int, grain: float) -> np.ndarray:
        """Picture of frame t with the actors from number `first` on."""
        pose = self._fine.world_from_camera[t]
        actors = list(enumerate(self._actors))[first:]
        posed = [actor.body.vertices(self._transforms[number][t]) for number, actor in actors]
        self._backdrop(t)
        self._cast_shadows(t, posed, [actor.body.faces for _, actor in actors])
        for solid, prop in zip(self._props, self.shot.props):
            self._draw_solid(solid, solid.mesh.vertices + prop.places[t], pose)
        for (number, actor), vertices in zip(actors, posed):
            self._draw_actor(number, actor.body, vertices, pose)
        if self.shot.exposure != 1.0:
            self._colour *= np.float32(self.shot.exposure)
        picture = np.empty((self.shot.camera.height, self.shot.camera.width, 3), np.uint8)
        seed = 1000 * self.shot.seed + 7 * t
        colour = self._colour
        if self._bent is not None:
            shade.bend(colour, *self._bent)
            colour = self._bent[1]
        shade.develop(colour, self.samples, self._table, grain, seed, picture)
        return picture

    def truth(self, t: int) -> FrameTruth:
        """What frame t shows, sampled at pixel centres."""
        camera, here, inner = self.shot.camera, self._sampler, self._sampler.camera
        if not self._coarse:
            self._coarse = [Rasterizer(inner.height, inner.width) for _ in range(2)]
        pose, k = camera.world_from_camera[t], inner.intrinsics
        before = np.zeros((inner.height, inner.width), np.float32)
        solids = [self._scene.mesh] + [prop.mesh.moved(prop.places[t]) for prop in self.shot.props]
        surfaces = [(mesh.vertices, mesh.faces) for mesh in solids]
        surfaces += [
            (actor.body.vertices(moves[t]), actor.body.faces)
            for actor, moves in zip(self.shot.others, self._transforms[1:])
        ]
        for vertices, faces in surfaces:
            seen = self._coarse[0](to_camera(vertices, pose), faces, k).depth
            nearer = (seen > 0) & ((before == 0) | (seen < before))
            before[nearer] = seen[nearer]
        body = self.shot.subject.body
        vertices = to_camera(body.vertices(self._transforms[0][t]), pose)
        raster = self._coarse[1](vertices, body.faces, k)
        amodal = raster.face_index >= 0
        human = amodal & ((before == 0) | (raster.depth < before))
        parsing = np.empty(amodal.shape, np.uint8)
        shade.label_body(
            raster.face_index, raster.barycentrics, human, body.faces, body.template, body.marks.values,
            self._outfits[0], parsing,
        )  # fmt: skip
        points = to_camera(body.keypoints(self._transforms[0][t]), pose)
        pixels = _pixels(points, camera)
        inside = (pixels > -0.5).all(1) & (pixels < [camera.width - 0.5, camera.height - 0.5]).all(1)
        in_view = inside & (points[:, 2] > 0)
        before, depth = here(before), here(raster.depth)
        amodal, human, parsing = here(amodal), here(human), here(parsing)
        others = [
            _pixels(to_camera(actor.body.keypoints(moves[t]), pose), camera)
            for actor, moves in zip(self.shot.others, self._transforms[1:])
        ]
        return FrameTruth(
            depth=np.where(human, depth, before),
            human=human,
            amodal=amodal,
            occluder=amodal & ~human,
            parsing=parsing,
            body_depth=depth,
            body_normal=here(pixel_normals(raster, body.faces, vertex_normals(vertices, body.faces))),
            keypoints=pixels,
            keypoints_xyz=points,
            in_view=in_view,
            visible=in_view & _unhidden(pixels, points[:, 2], in_view, before, depth),
            others=np.array(others).reshape(-1, len(points), 2),
        )

    def _backdrop(self, t: int) -> None:
        """What stands still, without shadows, into the buffers; drawn once as long as the camera stands."""
        pose = self._fine.world_from_camera[t]
        if self._still is not None and np.array_equal(self._still[2], pose):
            np.copyto(self._colour, self._still[0])
            np.copyto(self._depth, self._still[1])
            return
        inverse = np.linalg.inv(self._fine.intrinsics)
        self._depth.fill(0.0)
        self._draw_solid(self._scene, self._scene.mesh.vertices, pose)
        shade.draw_sky(inverse, pose, self.shot.seed, self._colour, self._depth)
        if self._keeps or (self._fine.world_from_camera == pose).all((1, 2)).sum() > 1:
            if self._still is None:
                self._still = self._colour.copy(), self._depth.copy(), pose
                return
            np.copyto(self._still[0], self._colour)
            np.copyto(self._still[1], self._depth)
            self._still = (*self._still[:2], pose)

    def _cast_shadows(self, t: int, posed: list[np.ndarray], faces_of_posed: list[np.ndarray]) -> None:
        middle = self._transforms[0][t, 0, [0, 2], 3]
        vertices, faces = list(posed), list(faces_of_posed)
        for solid, prop in zip(self._props, self.shot.props):
            vertices.append(solid.mesh.vertices + prop.places[t])
            faces.append(solid.mesh.faces)
        mesh = self._scene.mesh
        if mesh.occluder.any():
            vertices.append(mesh.vertices)
            faces.append(mesh.faces[mesh.occluder])
        if not vertices:
            return
        first = np.cumsum([0] + [len(part) for part in vertices])
        together = np.concatenate([part + start for part, start in zip(faces, first)])
        shadow, low_x, low_z = self._shadow(np.concatenate(vertices), together, middle)
        pose = self._fine.world_from_camera[t]
        corners = np.array([[dx, 0.0, dz] for dx in (-1, 1) for dz in (-1, 1)]) * _SHADOW_REACH
        bounds = self._bounds(to_camera(corners + [middle[0], 0.0, middle[1]], pose))
        shade.shade_ground(
            np.linalg.inv(self._fine.intrinsics), pose, bounds, shadow, low_x, low_z, self._shadow.cell, self._light,
            self._colour, self._depth,
        )  # fmt: skip

    def _draw_solid(self, solid: _Solid, vertices: np.ndarray, pose: np.ndarray) -> None:
        seen, bounds = self._rasterize(vertices, solid.mesh.faces, pose)
        shade.draw_mesh(
            seen.face_index, seen.barycentrics, seen.depth, bounds, solid.mesh.faces, solid.mesh.uv, solid.normals,
            solid.mesh.material, solid.materials, self._photo, self._light, float(self._fine.intrinsics[0, 0]),
            self.samples, self.shot.seed, self._colour, self._depth,
        )  # fmt: skip

    def _draw_actor(self, number: int, body: DressedBody, vertices: np.ndarray, pose: np.ndarray) -> None:
        seen, bounds = self._rasterize(vertices, body.faces, pose)
        shade.draw_body(
            seen.face_index, seen.barycentrics, seen.depth, bounds, body.faces, body.template,
            vertex_normals(vertices, body.faces), body.marks.values, self._outfits[number], self._light,
            float(self._fine.intrinsics[0, 0]), self.shot.seed + 50 * number, self._colour, self._depth,
        )  # fmt: skip

    def _rasterize(self, vertices: np.ndarray, faces: np.ndarray, pose: np.ndarray) -> tuple[Raster, np.ndarray]:
        points = to_camera(vertices, pose)
        return self._rasterizer(points, faces, self._fine.intrinsics), self._bounds(points)

    def _bounds(self, points_camera: np.ndarray) -> np.ndarray:
        """Rows from, to, columns from, to that points (N, 3) span; the whole picture where one is behind the camera."""
        height, width = self._fine.height, self._fine.width
        if (points_camera[:, 2] < self._rasterizer.near).any():
            return np.array([0, height, 0, width])
        pixels = project(points_camera, self._fine.intrinsics)
        low, high = np.floor(pixels.min(0)), np.ceil(pixels.max(0)) + 1
        columns = np.clip([low[0], high[0]], 0, width)
        rows = np.clip([low[1], high[1]], 0, height)
        return np.array([*rows, *columns], np.int64)


def _pixels(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Pixels (N, 2) of points (N, 3) in the camera frame; of those behind the camera, somewhere far outside."""
    return camera.project(points * [1.0, 1.0, 0.0] + [0.0, 0.0, 1.0] * np.maximum(points[:, 2:], 1e-3))


def _unhidden(
    pixels: np.ndarray, distance: np.ndarray, in_view: np.ndarray, before: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Whether nothing stands before points (N,): neither what is in `before` nor much of the body itself."""
    column, row = np.rint(np.where(in_view[:, None], pixels, 0.0)).astype(int).T
    other, skin = before[row, column], own[row, column]
    return ((other == 0) | (other > distance - OWN_FLESH)) & ((skin == 0) | (skin > distance - OWN_FLESH))


def _light_row(light: Light) -> np.ndarray:
    """What the shading kernels read: direction (3), strength, from above (3), from below (3)."""
    return np.array([*light.direction, light.strength, *light.from_above, *light.from_below])
