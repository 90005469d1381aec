"""Simple solids as textured triangle meshes: what rooms and streets are built from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
Vector = tuple[float, float, float]

_PIECE = 2.5  # m, longest side of a piece of a flat surface

# Patterns of `materials.surface_colour`.
PLAIN, PLANKS, BRICKS, TILES, STRIPES, ASPHALT, PAINTING, FOLIAGE, BOOKS, GLASS, PHOTO = range(11)


@dataclass(frozen=True)
class Material:
    """Look of a surface.

    Attributes:
        pattern: One of the patterns above.
        colour: sRGB, 0 to 1.
        second: Second colour of the pattern: mortar, gaps, the other stripe.
        size_m: Size of a plank, brick, tile or stripe, m.
        rough: Strength of the noise, 0 to 1.
        glow: Light given off, 0 (none) to 1 (as bright as the colour, whatever falls on it).
    """

    pattern: int = PLAIN
    colour: Colour = (0.7, 0.7, 0.7)
    second: Colour = (0.4, 0.4, 0.4)
    size_m: float = 0.1
    rough: float = 0.12
    glow: float = 0.0


@dataclass(frozen=True)
class Mesh:
    """Triangles in the world with a material each.

    Attributes:
        vertices: Shape (V, 3), float64, m, world.
        faces: Shape (F, 3), int32, counter-clockwise seen from outside.
        uv: Shape (V, 2), float64, position on the surface, m.
        material: Shape (F,), int32, into `materials`.
        materials: The materials.
        occluder: Shape (F,), bool; belongs to a thing that may stand before the subject.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    materials: tuple[Material, ...]
    occluder: np.ndarray

    def moved(self, offset: np.ndarray) -> Mesh:
        """The same at another place."""
        return Mesh(self.vertices + offset, self.faces, self.uv, self.material, self.materials, self.occluder)


def joined(meshes: list[Mesh]) -> Mesh:
    """All meshes as one."""
    counts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    kinds = np.cumsum([0] + [len(mesh.materials) for mesh in meshes])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + first for mesh, first in zip(meshes, counts)]).astype(np.int32),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.material + first for mesh, first in zip(meshes, kinds)]).astype(np.int32),
        tuple(material for mesh in meshes for material in mesh.materials),
        np.concatenate([mesh.occluder for mesh in meshes]),
    )


def quad(corner: Vector, along: Vector, up: Vector, material: Material, occluder: bool = False) -> Mesh:
    """Parallelogram seen from the side on which `along` to `up` runs counter-clockwise.

    Large ones are cut into pieces, because faces that reach far past the picture's edge are not drawn.
    """
    corner_, along_, up_ = (np.array(vector, np.float64) for vector in (corner, along, up))
    width, height = np.linalg.norm(along_), np.linalg.norm(up_)
    columns, rows = int(np.ceil(width / _PIECE)), int(np.ceil(height / _PIECE))
    v, u = (grid.reshape(-1, 1) for grid in np.mgrid[0 : rows + 1, 0 : columns + 1])
    u, v = u / columns, v / rows
    i, j = (grid.reshape(-1) for grid in np.mgrid[0:rows, 0:columns])
    a = i * (columns + 1) + j
    b = a + columns + 1
    faces = np.concatenate([np.stack([a, a + 1, b + 1], 1), np.stack([a, b + 1, b], 1)]).astype(np.int32)
    uv = np.concatenate([u * width, v * height], 1)
    vertices = corner_ + u * along_ + v * up_
    return Mesh(vertices, faces, uv, np.zeros(len(faces), np.int32), (material,), np.full(len(faces), occluder))


def box(low: Vector, high: Vector, material: Material, occluder: bool = False) -> Mesh:
    """Box between two corners, without its bottom."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    w, h, d = x1 - x0, y1 - y0, z1 - z0
    sides = [
        quad((x0, y0, z1), (w, 0, 0), (0, h, 0), material, occluder),
        quad((x1, y0, z0), (-w, 0, 0), (0, h, 0), material, occluder),
        quad((x1, y0, z1), (0, 0, -d), (0, h, 0), material, occluder),
        quad((x0, y0, z0), (0, 0, d), (0, h, 0), material, occluder),
        quad((x0, y1, z1), (w, 0, 0), (0, 0, -d), material, occluder),
    ]
    return joined(sides)


def cylinder(
    foot: Vector, height: float, radius: float, material: Material, occluder: bool = False, sides: int = 24
) -> Mesh:
    """Upright cylinder with a lid."""
    angle = np.linspace(0.0, 2 * np.pi, sides + 1)
    ring = np.stack([np.sin(angle) * radius, 0 * angle, np.cos(angle) * radius], axis=1)
    low, high = np.array(foot) + ring, np.array(foot) + ring + [0.0, height, 0.0]
    lid = np.array([[foot[0], foot[1] + height, foot[2]]])
    uv = np.concatenate(
        [
            np.stack([angle * radius, 0 * angle], 1),
            np.stack([angle * radius, 0 * angle + height], 1),
            np.zeros((1, 2)),
        ]
    )
    n = np.arange(sides)
    other = n + sides + 1
    faces = np.concatenate(
        [
            np.stack([n, n + 1, other + 1], 1),
            np.stack([n, other + 1, other], 1),
            np.stack([other, other + 1, np.full(sides, 2 * sides + 2)], 1),
        ]
    )
    vertices = np.concatenate([low, high, lid])
    return Mesh(
        vertices, faces.astype(np.int32), uv, np.zeros(len(faces), np.int32), (material,), np.full(len(faces), occluder)
    )


def sphere(centre: Vector, radius: float, material: Material, occluder: bool = False, rings: int = 16) -> Mesh:
    """Ball."""
    columns = 2 * rings
    polar, around = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, columns + 1), indexing="ij")
    unit = np.stack([np.sin(polar) * np.sin(around), np.cos(polar), np.sin(polar) * np.cos(around)], -1).reshape(-1, 3)
    uv = np.stack([around * radius, polar * radius], -1).reshape(-1, 2)
    i, j = np.meshgrid(np.arange(rings), np.arange(columns), indexing="ij")
    a = (i * (columns + 1) + j).reshape(-1)
    b = a + columns + 1
    faces = np.concatenate([np.stack([a, b, b + 1], 1), np.stack([a, b + 1, a + 1], 1)]).astype(np.int32)
    return Mesh(
        np.array(centre) + radius * unit,
        faces,
        uv,
        np.zeros(len(faces), np.int32),
        (material,),
        np.full(len(faces), occluder),
    )
