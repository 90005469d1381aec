"""Procedural colours of surfaces and of a dressed body, per pixel, in linear light."""

from __future__ import annotations

import numpy as np
from numba import njit

from model_zoo.synthetic.dressed import DressedBody
from model_zoo.synthetic.mesh import Mesh
from model_zoo.synthetic.noise import hash01, rough2, smooth2, smooth3

# Labels of the parsing truth (SCHP's classes).
_HAIR, _UPPER, _PANTS, _SKIN, _FACE, _LEFT_ARM, _LEFT_SHOE = 2, 5, 9, 10, 13, 14, 18


def linear(colour: np.ndarray) -> np.ndarray:
    """Linear light of sRGB values, both 0 to 1 (IEC 61966-2-1)."""
    colour = np.asarray(colour, np.float64)
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def srgb(light: np.ndarray) -> np.ndarray:
    """Values in sRGB of linear light, both 0 to 1 (IEC 61966-2-1)."""
    light = np.asarray(light, np.float64)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0.0) ** (1 / 2.4) - 0.055)


def material_table(mesh: Mesh) -> np.ndarray:
    """Materials as rows: pattern, colour (3), second (3), size, rough, glow; shape (M, 10), linear light."""
    return np.array(
        [
            [m.pattern, *linear(np.array(m.colour)), *linear(np.array(m.second)), m.size_m, m.rough, m.glow]
            for m in mesh.materials
        ]
    )


def outfit_table(body: DressedBody) -> np.ndarray:
    """Outfit as rows: skin, hair, shirt, stripe, trousers, shoes in linear light, then (sleeve, stripe, 0); (7, 3)."""
    o = body.outfit
    colours = [o.skin, o.hair, o.shirt, o.shirt_stripe, o.trousers, o.shoes]
    return np.concatenate([linear(np.array(colours)), [[o.sleeve, o.stripe_m, 0.0]]])


@njit(cache=True, nogil=True, inline="always")
def _grain(u, v, per_m, seed, footprint):
    """Noise with so many cells per metre."""
    return rough2(u * per_m, v * per_m, seed, footprint * per_m)


@njit(cache=True, nogil=True)
def surface_colour(material, u, v, footprint, seed, out):
    """Colour of a surface point.

    Args:
        material: Row of `material_table`.
        u: Position on the surface, m.
        v: The other one.
        footprint: Size of a pixel on the surface, m.
        seed: Other seeds, other noise.
        out: (3,), written.
    """
    pattern, size, rough = int(material[0]), material[7], material[8]
    mix, shade = 0.0, 0.0
    edge = max(footprint, 0.002)
    if pattern == 0:  # plain
        shade = rough * (_grain(u, v, 3.0, seed, footprint) + 0.5 * _grain(u, v, 40.0, seed + 1, footprint))
    elif pattern == 1:  # planks along u
        row = np.floor(v / size)
        length = 1.3
        along = u + length * hash01(np.int64(row), 3, seed)
        board = np.floor(along / length)
        shade = rough * (2.0 * hash01(np.int64(row), np.int64(board), seed) - 1.0)
        shade += 0.8 * rough * rough2(along * 4.0, v * 60.0, seed + 5, footprint * 50.0)
        gap = min(v - row * size, (row + 1) * size - v, 2.0 * (along - board * length))
        mix = _near(gap, 0.003, edge)
    elif pattern == 2:  # bricks, running bond
        height = size / 3.0
        row = np.floor(v / height)
        along = u / size + 0.5 * (row % 2)
        brick = np.floor(along)
        shade = rough * (2.0 * hash01(np.int64(row), np.int64(brick), seed) - 1.0) + 0.5 * rough * rough2(
            u * 30.0, v * 30.0, seed, footprint * 30.0
        )
        gap = min((along - brick) * size, (brick + 1 - along) * size, v - row * height, (row + 1) * height - v)
        mix = _near(gap, 0.006, edge)
    elif pattern == 3:  # tiles
        column, row = np.floor(u / size), np.floor(v / size)
        mix = (column + row) % 2
        shade = rough * (
            0.4 * (2.0 * hash01(np.int64(column), np.int64(row), seed) - 1.0) + _grain(u, v, 14.0, seed, footprint)
        )
        gap = min(u - column * size, (column + 1) * size - u, v - row * size, (row + 1) * size - v)
        shade -= 0.35 * _near(gap, 0.004, edge)
    elif pattern == 4:  # stripes along v
        stripe = u / size
        mix = np.floor(stripe) % 2
        shade = rough * (_grain(u, v, 8.0, seed, footprint) + _grain(u, v, 60.0, seed + 2, footprint))
    elif pattern == 5:  # asphalt
        mix = 0.5 + 0.5 * _grain(u, v, 0.7, seed, footprint)
        shade = rough * _grain(u, v, 50.0, seed + 3, footprint) + 0.15 * rough2(
            u * 5.0, v * 5.0, seed + 4, footprint * 5.0
        )
    elif pattern == 6:  # painting
        blot = smooth2(u / size, v / size, seed) + 0.6 * smooth2(u / size * 2.3, v / size * 2.3, seed + 1)
        mix = min(max(0.5 + 1.2 * blot, 0.0), 1.0)
        shade = 0.5 * smooth2(u / size * 1.4 + 9.0, v / size * 1.4, seed + 2)
    elif pattern == 7:  # foliage
        leaf = rough2(u / size, v / size, seed, footprint / size)
        mix = min(max(0.45 - 0.9 * leaf, 0.0), 1.0)
        shade = rough * smooth2(u / size * 0.35, v / size * 0.35, seed + 3)
    elif pattern == 8:  # backs of books
        book = np.floor(u / size + 0.45 * smooth2(u * 9.0, 0.5, seed))
        tall = 0.26 + 0.13 * hash01(np.int64(book), 1, seed)
        mix = 1.0 if v > tall else 0.0
        for c in range(3):
            out[c] = (0.05 + 0.55 * hash01(np.int64(book), 10 + c, seed) ** 2) * (1.0 - mix) + material[4 + c] * mix
        if abs(v - 0.7 * tall) < 0.012 and mix == 0.0:
            for c in range(3):
                out[c] = 0.4 + 0.5 * out[c]
        return
    else:  # glass: something bright above something dark behind it
        mix = min(max(0.62 - v / size + 0.35 * smooth2(u * 2.2, v * 2.2, seed), 0.0), 1.0)
        shade = rough * smooth2(u * 5.0 + v * 3.0, v * 1.5, seed + 6)
    for c in range(3):
        out[c] = (material[1 + c] * (1.0 - mix) + material[4 + c] * mix) * max(1.0 + shade, 0.05)


@njit(cache=True, nogil=True, inline="always")
def _near(distance, width, edge):
    """1 on a line, 0 away from it, blended over a pixel."""
    return min(max((width - distance) / edge + 0.5, 0.0), 1.0) * min(1.0, 2.0 * width / edge)


@njit(cache=True, nogil=True)
def body_colour(x, y, z, marks, outfit, footprint, seed, out):
    """Colour and part of a point of a dressed body.

    Args:
        x: Position on the template, m.
        y: Up.
        z: Forwards.
        marks: `Marks.values`.
        outfit: From `outfit_table`.
        footprint: Size of a pixel on the body, m.
        seed: Other seeds, other noise.
        out: (3,), written.

    Returns:
        Label of the part, one of SCHP's classes.
    """
    hem_x, arm_y, belt_y, shoe_y, sole_y = marks[0], marks[1], marks[2], marks[3], marks[4]
    neck_y, neck_z, nose_y, nose_z, ear_z = marks[5], marks[6], marks[7], marks[8], marks[10]
    face, eye_x, eye_y = marks[11], marks[12], marks[13]
    left = x > 0.0
    ax = abs(x)
    # Woven cloth and skin are a little uneven.
    coarse = smooth3(x * 16.0, y * 16.0, z * 16.0, seed)
    fine = smooth3(x * 90.0, y * 90.0, z * 90.0, seed + 1) * min(max(1.6 - 1.6 * 90.0 * footprint, 0.0), 1.0)
    if ax > hem_x and y > arm_y:
        _fill(outfit[0], 1.0 + 0.05 * coarse + 0.04 * fine, out)
        return _LEFT_ARM if left else _LEFT_ARM + 1
    up, depth = (y - nose_y) / face, (z - ear_z) / (nose_z - ear_z)
    if y > neck_y - 0.045 and ax < 0.13:
        if up > -0.5 and up > _hairline(depth) + 0.03 * coarse:
            strand = smooth3(x * 140.0, y * 40.0, z * 60.0, seed + 2) * min(
                max(2.0 - 2.0 * 100.0 * footprint, 0.0), 1.0
            )
            _fill(outfit[1], 1.0 + 0.35 * strand + 0.25 * coarse, out)
            return _HAIR
        jaw = -0.25 if depth < -0.1 else (-0.25 - 0.5 * (depth + 0.1) if depth < 0.3 else -0.45 - 0.28 * (depth - 0.3))
        slope = min(max((z - neck_z + 0.06) / 0.12, 0.0), 1.0) * 0.05
        if up > jaw and depth > -0.3:
            _fill(outfit[0], 1.0 + 0.05 * coarse + 0.03 * fine, out)
            if depth > 0.3:
                _face(ax, y, face, eye_x, eye_y, nose_y, outfit, out)
            return _FACE
        if y > neck_y + 0.012 - slope:
            _fill(outfit[0], 0.94 + 0.05 * coarse + 0.03 * fine, out)
            return _SKIN
    if y < shoe_y:
        if y < sole_y + 0.018:
            for c in range(3):
                out[c] = 0.6 * (1.0 + 0.1 * coarse)
        else:
            _fill(outfit[5], 1.0 + 0.15 * coarse + 0.05 * fine, out)
            if z > marks[17] + 0.05 and abs(((z - marks[17]) * 45.0) % 1.0 - 0.5) < 0.16 and y > sole_y + 0.05:
                for c in range(3):
                    out[c] = 0.55
        return _LEFT_SHOE if left else _LEFT_SHOE + 1
    if y < belt_y:
        seam = 1.0 - 0.25 * _near(abs(z - 0.01), 0.003, max(footprint, 0.002))
        _fill(outfit[4], seam * (1.0 + 0.16 * coarse + 0.12 * fine), out)
        if y > belt_y - 0.035:
            for c in range(3):
                out[c] *= 0.45
        return _PANTS
    row = 3 if np.floor(((ax if ax > 0.25 else y) + 2.0) / outfit[6, 1]) % 2 == 1 else 2
    collar = y > neck_y - 0.02 - 0.0 and ax < 0.12
    _fill(outfit[row], (0.8 if collar else 1.0) * (1.0 + 0.12 * coarse + 0.10 * fine), out)
    return _UPPER


@njit(cache=True, nogil=True, inline="always")
def _fill(colour, factor, out):
    for c in range(3):
        out[c] = colour[c] * factor


@njit(cache=True, nogil=True)
def _hairline(depth):
    """As `dressed.hairline`."""
    if depth < -0.6:
        return -0.25
    if depth < -0.4:
        return -0.25 + 0.75 * (depth + 0.6)
    if depth < -0.28:
        return -0.1 + 2.5 * (depth + 0.4)
    if depth < 0.0:
        return 0.2 + 0.357 * (depth + 0.28)
    if depth < 0.25:
        return 0.3 + 0.24 * depth
    if depth < 0.6:
        return 0.36 + 0.857 * (depth - 0.25)
    return 0.66


@njit(cache=True, nogil=True)
def _face(ax, y, face, eye_x, eye_y, nose_y, outfit, out):
    """Eyes, brows, lips, cheeks over the skin; lengths in units of nose to crown (0.15 m)."""
    s = face / 0.15
    ex, ey = (ax - eye_x) / s, (y - eye_y) / s
    mouth = (y - nose_y) / s + 0.031
    if (ex / 0.0155) ** 2 + (ey / 0.0075) ** 2 < 1.0:
        for c in range(3):
            out[c] = 0.72
        if ex * ex + ey * ey < 0.0062**2:
            out[0], out[1], out[2] = 0.05, 0.035, 0.02
        if ey > 0.0048:
            out[0], out[1], out[2] = 0.04, 0.03, 0.02
    elif abs(ex - 0.001) < 0.021 and abs(ey - 0.0165 + 0.10 * abs(ex) * (1.0 if ex > 0 else 0.3)) < 0.0038:
        for c in range(3):
            out[c] = 0.6 * outfit[1, c] + 0.12 * out[c]
    elif (ex / 0.021) ** 2 + (ey / 0.013) ** 2 < 1.0:
        for c in range(3):
            out[c] *= 0.78
    elif (ax / s / 0.0245) ** 2 + (mouth / 0.0095) ** 2 < 1.0:
        dark = 0.45 if abs(mouth) < 0.0016 else 0.85
        out[0], out[1], out[2] = 0.80 * dark * out[0], 0.46 * dark * out[1], 0.46 * dark * out[2]
    elif ax / s < 0.0115 and abs(mouth - 0.0225) < 0.0028 and ax / s > 0.003:
        for c in range(3):
            out[c] *= 0.45
    else:
        cheek = max(0.0, 1.0 - ((ax / s - 0.042) / 0.022) ** 2 - ((mouth - 0.033) / 0.022) ** 2)
        out[1] *= 1.0 - 0.10 * cheek
        out[2] *= 1.0 - 0.10 * cheek
