"""Places to be filmed in: a room and a street, with a light each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model_zoo.synthetic.materials import srgb
from model_zoo.synthetic.mesh import (
    ASPHALT,
    BOOKS,
    BRICKS,
    FOLIAGE,
    GLASS,
    PAINTING,
    PHOTO,
    PLAIN,
    PLANKS,
    STRIPES,
    TILES,
    Material,
    Mesh,
    box,
    cylinder,
    joined,
    quad,
    sphere,
)


@dataclass(frozen=True)
class Light:
    """One far light and light from all around.

    Attributes:
        direction: Shape (3,), unit, world, towards the light; above the horizon.
        strength: Of the far light; 1 lights a white surface that faces it to 1.
        from_above: Light from the sky or ceiling, linear RGB.
        from_below: Light thrown back by the ground, linear RGB.
        softness: Angle over which the far light spreads, rad; makes the shadow's edge soft.
    """

    direction: np.ndarray
    strength: float
    from_above: tuple[float, float, float]
    from_below: tuple[float, float, float]
    softness: float


@dataclass(frozen=True)
class Scene:
    """What stands still, and the light on it.

    Attributes:
        mesh: Surfaces.
        light: The light.
        photo: Shape (h, w, 3), float32, linear light: what surfaces of the pattern `PHOTO` show.
    """

    mesh: Mesh
    light: Light
    photo: np.ndarray | None = None

    def with_things(self, things: Sequence[Mesh]) -> Scene:
        """The same with more in it."""
        return dataclasses.replace(self, mesh=joined([self.mesh, *things])) if things else self


def _unit(x: float, y: float, z: float) -> np.ndarray:
    return np.array([x, y, z]) / np.sqrt(x * x + y * y + z * z)


def room() -> Scene:
    """A living room: x from -4 to 4, z from -3 (back wall) to 5 (behind the camera)."""
    wood = Material(PLANKS, (0.60, 0.44, 0.29), (0.26, 0.17, 0.10), 0.14, 0.22)
    oak = Material(PLANKS, (0.50, 0.33, 0.19), (0.30, 0.19, 0.10), 0.30, 0.2)
    wall = Material(STRIPES, (0.80, 0.77, 0.69), (0.75, 0.72, 0.63), 0.16, 0.05)
    side = Material(PLAIN, (0.66, 0.71, 0.70), rough=0.06)
    white = Material(PLAIN, (0.90, 0.89, 0.86), rough=0.04)
    fabric = Material(PLAIN, (0.22, 0.42, 0.40), rough=0.25)
    cushion = Material(STRIPES, (0.78, 0.46, 0.20), (0.66, 0.35, 0.14), 0.05, 0.15)
    view = Material(GLASS, (0.74, 0.86, 0.98), (0.45, 0.58, 0.36), 1.2, 0.1, 0.8)
    rug = Material(TILES, (0.58, 0.22, 0.20), (0.72, 0.62, 0.48), 0.2, 0.2)
    ceiling = Material(PLAIN, (0.90, 0.89, 0.86), rough=0.04, glow=0.55)
    sunset = Material(PAINTING, (0.80, 0.55, 0.25), (0.18, 0.30, 0.48), 0.22, 0.6)
    meadow = Material(PAINTING, (0.35, 0.50, 0.38), (0.86, 0.78, 0.60), 0.15, 0.6)
    books = Material(BOOKS, (0.55, 0.30, 0.22), (0.08, 0.06, 0.05), 0.045, 0.2)
    parts = [
        quad((-4, 0, 5), (8, 0, 0), (0, 0, -8), wood),
        quad((-4, 0, -3), (8, 0, 0), (0, 2.8, 0), wall),
        quad((-4, 0, 5), (0, 0, -8), (0, 2.8, 0), side),
        quad((4, 0, -3), (0, 0, 8), (0, 2.8, 0), side),
        quad((-4, 2.8, -3), (8, 0, 0), (0, 0, 8), ceiling),
        box((-4, 0, -3), (4, 0.11, -2.97), white),
        quad((-1.5, 0.004, 0.9), (3.2, 0, 0), (0, 0, -1.9), rug),
        # window with its frame
        box((-3.2, 0.85, -3), (-1.75, 2.3, -2.94), white),
        quad((-3.12, 0.93, -2.935), (0.61, 0, 0), (0, 1.29, 0), view),
        quad((-2.44, 0.93, -2.935), (0.61, 0, 0), (0, 1.29, 0), view),
        # pictures
        box((-1.15, 1.35, -3), (-0.45, 1.9, -2.96), Material(PLAIN, (0.20, 0.14, 0.10))),
        quad((-1.1, 1.4, -2.955), (0.6, 0, 0), (0, 0.45, 0), sunset),
        box((0.15, 1.45, -3), (0.6, 2.05, -2.96), Material(PLAIN, (0.75, 0.66, 0.42))),
        quad((0.2, 1.5, -2.955), (0.35, 0, 0), (0, 0.5, 0), meadow),
        # sofa
        box((-1.3, 0.08, -2.85), (0.95, 0.44, -2.05), fabric),
        box((-1.3, 0.44, -2.9), (0.95, 0.9, -2.65), fabric),
        box((-1.5, 0.08, -2.85), (-1.28, 0.62, -2.05), fabric),
        box((0.93, 0.08, -2.85), (1.15, 0.62, -2.05), fabric),
        box((-1.2, 0.44, -2.62), (-0.75, 0.82, -2.48), cushion),
        # shelf with books
        box((1.7, 0, -2.98), (3.1, 2.1, -2.62), oak),
        *(
            quad((1.76, 0.12 + 0.48 * row, -2.615), (1.28, 0, 0), (0, 0.40, 0), books)
            for row in range(4)
        ),
        # lamp
        cylinder((-1.62, 0, -2.7), 1.45, 0.02, Material(PLAIN, (0.20, 0.20, 0.20))),
        cylinder((-1.62, 1.4, -2.7), 0.3, 0.17, Material(PLAIN, (0.98, 0.86, 0.62), rough=0.03, glow=0.5)),
        # plant
        cylinder((3.5, 0, -2.4), 0.4, 0.2, Material(BRICKS, (0.62, 0.36, 0.25), (0.55, 0.30, 0.20), 0.2, 0.1)),
        sphere((3.5, 0.85, -2.4), 0.48, Material(FOLIAGE, (0.20, 0.38, 0.16), (0.08, 0.18, 0.08), 0.09, 0.5)),
    ]  # fmt: skip
    return Scene(joined(parts), Light(_unit(-0.42, 0.80, 0.45), 0.62, (0.47, 0.46, 0.45), (0.25, 0.21, 0.17), 0.16))


def street(left: float = -14.0, right: float = 14.0) -> Scene:
    """A street: pavement from z = -2.2, houses behind it, the road in front.

    Args:
        left: x where the houses begin, m.
        right: x where they end, m.
    """
    slabs = Material(TILES, (0.60, 0.59, 0.57), (0.55, 0.54, 0.52), 0.5, 0.18)
    asphalt = Material(ASPHALT, (0.30, 0.30, 0.31), (0.24, 0.24, 0.25), 0.5, 0.3)
    stone = Material(PLAIN, (0.72, 0.69, 0.62), rough=0.12)
    glass = Material(GLASS, (0.42, 0.52, 0.62), (0.16, 0.19, 0.24), 0.9, 0.15, 0.25)
    walls = (
        Material(BRICKS, (0.56, 0.29, 0.21), (0.64, 0.58, 0.52), 0.24, 0.25),
        Material(PLAIN, (0.80, 0.70, 0.50), rough=0.14),
        Material(BRICKS, (0.47, 0.40, 0.35), (0.60, 0.57, 0.53), 0.3, 0.2),
        Material(PLAIN, (0.56, 0.65, 0.70), rough=0.12),
    )
    doors = ((0.16, 0.28, 0.22), (0.42, 0.12, 0.10), (0.16, 0.20, 0.36))
    trunk = Material(PLANKS, (0.34, 0.26, 0.19), (0.16, 0.12, 0.09), 0.06, 0.4)
    leaves = Material(FOLIAGE, (0.26, 0.42, 0.17), (0.09, 0.18, 0.06), 0.12, 0.6)
    parts = [
        quad((-30, 0, -2.2), (60, 0, 0), (0, 0, -2.4), slabs),
        quad((-30, 0, 10), (60, 0, 0), (0, 0, -12.2), asphalt),
        box((-30, 0, -2.35), (30, 0.004, -2.2), stone),
    ]
    width, start, number = 4.0, left, 0
    while start < right:
        wall, height = walls[number % len(walls)], 5.2 + 0.9 * ((number * 7) % 3)
        front = -4.6
        parts.append(box((start, 0, front - 4), (start + width, height, front), wall))
        parts.append(box((start, 0, front), (start + width, 0.35, front + 0.05), stone))
        door = start + (0.5 if number % 2 else 2.55)
        parts.append(box((door - 0.08, 0, front), (door + 1.03, 2.3, front + 0.04), stone))
        leaf = Material(PLANKS, doors[number % 3], (0.05, 0.05, 0.05), 0.24, 0.1)
        parts.append(box((door, 0, front), (door + 0.95, 2.15, front + 0.07), leaf))
        for level in range(3):
            for place in (start + (2.0 if number % 2 and level == 0 else 0.55), start + (2.35 if level else 99.0)):
                low = 1.0 + 2.15 * level
                if place > start + width or low + 1.3 > height:
                    continue
                parts.append(box((place - 0.08, low - 0.1, front), (place + 1.18, low + 1.3, front + 0.05), stone))
                parts.append(quad((place, low, front + 0.055), (0.52, 0, 0), (0, 1.2, 0), glass))
                parts.append(quad((place + 0.58, low, front + 0.055), (0.52, 0, 0), (0, 1.2, 0), glass))
        if number % 2:
            parts.append(cylinder((start + 0.15, 0, -3.7), 2.6, 0.09, trunk))
            parts.append(sphere((start + 0.15, 3.1, -3.7), 0.95, leaves))
        start, number = start + width, number + 1
    return Scene(joined(parts), Light(_unit(0.55, 0.78, 0.52), 0.78, (0.42, 0.47, 0.55), (0.20, 0.19, 0.17), 0.07))


_PHOTO_HALF, _PHOTO_BACK, _PHOTO_FRONT = 6.5, -4.0, 7.5  # m, where the walls of `photographed` stand
_PHOTO_HEIGHT = 5.0  # m


def photographed(photo: np.ndarray) -> Scene:
    """Three walls that show a photograph, mirrored at its sides, round a floor of the colour of its lower edge.

    Args:
        photo: Shape (h, w, 3), float32, linear light.
    """
    wall = Material(PHOTO, size_m=_PHOTO_HEIGHT, glow=1.0)
    low = photo[-max(1, len(photo) // 8) :].reshape(-1, 3).mean(0)
    first, second = (tuple(float(c) for c in srgb(np.clip(share * low, 0.0, 1.0))) for share in (1.0, 0.8))
    floor = Material(ASPHALT, first, second, 0.5, 0.15)  # type: ignore[arg-type]
    half, back, front, up = _PHOTO_HALF, _PHOTO_BACK, _PHOTO_FRONT, (0.0, _PHOTO_HEIGHT, 0.0)
    depth = front - back
    middle = 0.5 * _PHOTO_HEIGHT * photo.shape[1] / photo.shape[0]  # the photograph's middle is that of the back wall
    walls = [
        (quad((-half, 0, front), (0, 0, -depth), up, wall), middle - half - depth),
        (quad((-half, 0, back), (2 * half, 0, 0), up, wall), middle - half),
        (quad((half, 0, back), (0, 0, depth), up, wall), middle + half),
    ]
    parts = [quad((-half, 0, front), (2 * half, 0, 0), (0, 0, -depth), floor)]
    parts += [dataclasses.replace(mesh, uv=mesh.uv + [start, 0.0]) for mesh, start in walls]
    return Scene(
        joined(parts), Light(_unit(0.35, 0.85, 0.45), 0.55, (0.50, 0.50, 0.50), (0.22, 0.21, 0.20), 0.12), photo
    )
