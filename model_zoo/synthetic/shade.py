"""Per-pixel light: meshes and bodies drawn into a colour and a depth buffer, ground shadow, sky, film."""

from __future__ import annotations

import numpy as np
from numba import njit

from model_zoo.synthetic.materials import body_colour, surface_colour
from model_zoo.synthetic.mesh import BOOKS, PHOTO, STRIPES, TILES
from model_zoo.synthetic.noise import hash01, rough2

SRGB_STEPS = 4096
# Patterns with edges that only more samples smooth: tiles, stripes, books, photographs.
_IS_HARD = np.array([pattern in (TILES, STRIPES, BOOKS, PHOTO) for pattern in range(11)])


def srgb_table() -> np.ndarray:
    """SRGB values, 0 to 255, of linear light in `SRGB_STEPS` steps, float32."""
    light = np.arange(SRGB_STEPS + 1) / SRGB_STEPS
    return (255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).astype(np.float32)


@njit(cache=True, nogil=True)
def draw_sky(inverse_k, world_from_camera, seed, colour, depth):
    """Colour what nothing covers as sky: brighter at the horizon, a few clouds."""
    r = world_from_camera
    for i in range(depth.shape[0]):
        for j in range(depth.shape[1]):
            if depth[i, j] > 0.0:
                continue
            x = inverse_k[0, 0] * j + inverse_k[0, 2]
            y = inverse_k[1, 1] * i + inverse_k[1, 2]
            wx, wy, wz = (
                r[0, 0] * x + r[0, 1] * y + r[0, 2],
                r[1, 0] * x + r[1, 1] * y + r[1, 2],
                r[2, 0] * x + r[2, 1] * y + r[2, 2],
            )
            rise = wy / np.sqrt(wx * wx + wy * wy + wz * wz)
            high = min(max(rise * 2.2, 0.0), 1.0)
            flat = 1.0 / max(rise + 0.12, 0.06)
            cloud = min(max(0.2 + 1.1 * rough2(wx * flat * 0.45 + 7.0, wz * flat * 0.45, seed, 0.0), 0.0), 1.0) * (
                0.35 + 0.65 * high
            )
            colour[i, j, 0] = (0.62 - 0.40 * high) * (1.0 - cloud) + 0.80 * cloud
            colour[i, j, 1] = (0.71 - 0.33 * high) * (1.0 - cloud) + 0.82 * cloud
            colour[i, j, 2] = (0.82 - 0.10 * high) * (1.0 - cloud) + 0.85 * cloud


@njit(cache=True, nogil=True, inline="always")
def _lit(nx, ny, nz, light, n):
    """Light on a surface in channel n: `light` is direction (3), strength, above (3), below (3)."""
    direct = max(nx * light[0] + ny * light[1] + nz * light[2], 0.0) * light[3]
    share = 0.5 + 0.5 * ny
    return direct + light[4 + n] * share + light[7 + n] * (1.0 - share)


@njit(cache=True, nogil=True)
def _mirrored(position, count):
    """Pixel of a row of `count` that is repeated with every other copy mirrored."""
    period = 2.0 * count
    place = position - period * np.floor(position / period)
    return min(max((place if place < count else period - place) - 0.5, 0.0), count - 1.0)


@njit(cache=True, nogil=True)
def photo_colour(photo, size, u, v, out):
    """Colour of a photograph `size` m high, its lower left corner at u = v = 0; between pixels, bilinear."""
    height, width = photo.shape[0], photo.shape[1]
    x = _mirrored(u / size * height, width)
    y = _mirrored((1.0 - v / size) * height, height)
    j, i = min(int(x), max(width - 2, 0)), min(int(y), max(height - 2, 0))
    fx, fy = x - j, y - i
    right, below = min(j + 1, width - 1), min(i + 1, height - 1)
    for n in range(3):
        top = photo[i, j, n] + fx * (photo[i, right, n] - photo[i, j, n])
        bottom = photo[below, j, n] + fx * (photo[below, right, n] - photo[below, j, n])
        out[n] = top + fy * (bottom - top)


@njit(cache=True, nogil=True)
def bend(colour, lookup, out):
    """Resample, bilinear.

    Args:
        colour: (H, W, 3), linear light.
        lookup: (h, w, 2), column and row of `colour` for every pixel of `out`.
        out: (h, w, 3), written.
    """
    height, width = colour.shape[:2]
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            x = min(max(lookup[i, j, 0], 0.0), width - 1.0)
            y = min(max(lookup[i, j, 1], 0.0), height - 1.0)
            left, top = min(int(x), width - 2), min(int(y), height - 2)
            fx, fy = x - left, y - top
            for n in range(3):
                a = min(colour[top, left, n], np.float32(1.0))
                b = min(colour[top, left + 1, n], np.float32(1.0))
                c = min(colour[top + 1, left, n], np.float32(1.0))
                d = min(colour[top + 1, left + 1, n], np.float32(1.0))
                out[i, j, n] = (1.0 - fy) * (a + fx * (b - a)) + fy * (c + fx * (d - c))


@njit(cache=True, nogil=True)
def draw_mesh(
    face_index, barycentrics, seen_depth, bounds, faces, uv, normals, face_material, materials, photo, light, focal,
    samples, seed, colour, depth,
):  # fmt: skip
    """Draw a rasterised mesh where it is nearer than what is there.

    Args:
        face_index: (H, W), from the rasteriser.
        barycentrics: (H, W, 3).
        seen_depth: (H, W), m.
        bounds: Rows from, to, columns from, to that it covers.
        faces: (F, 3).
        uv: (V, 2), m.
        normals: (V, 3), world.
        face_material: (F,).
        materials: From `material_table`.
        photo: (h, w, 3), linear light, of the pattern `PHOTO`.
        light: See `_lit`.
        focal: px, of the buffers.
        samples: Samples along each side of a pixel.
        seed: Of the noise.
        colour: (H, W, 3), linear light, written.
        depth: (H, W), m, 0 where nothing is, written.
    """
    albedo = np.empty(3)
    block = np.empty(3)
    for i in range(bounds[0], bounds[1]):
        for j in range(bounds[2], bounds[3]):
            f = face_index[i, j]
            if f < 0 or (depth[i, j] > 0.0 and seen_depth[i, j] >= depth[i, j]):
                continue
            kind = face_material[f]
            # Smooth patterns are worked out once for the samples of a pixel that see the same face.
            first_i, first_j = i - i % samples, j - j % samples
            shared = samples > 1 and not _IS_HARD[int(materials[kind, 0])]
            if shared:
                for di in range(samples):
                    for dj in range(samples):
                        p, q = first_i + di, first_j + dj
                        inside = bounds[0] <= p < bounds[1] and bounds[2] <= q < bounds[3]
                        shared = shared and inside and face_index[p, q] == f
            if shared and (i > first_i or j > first_j):
                for n in range(3):
                    colour[i, j, n] = colour[first_i, first_j, n]
                depth[i, j] = seen_depth[i, j]
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            block[:] = 0.0
            if shared:
                for di in range(samples):
                    for dj in range(samples):
                        for n in range(3):
                            block[n] += barycentrics[first_i + di, first_j + dj, n] / (samples * samples)
            else:
                for n in range(3):
                    block[n] = barycentrics[i, j, n]
            wa, wb, wc = block[0], block[1], block[2]
            u = wa * uv[a, 0] + wb * uv[b, 0] + wc * uv[c, 0]
            v = wa * uv[a, 1] + wb * uv[b, 1] + wc * uv[c, 1]
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            width = seen_depth[i, j] / focal * (samples if shared else 1)
            if materials[kind, 0] == PHOTO:
                photo_colour(photo, materials[kind, 7], u, v, albedo)
            else:
                surface_colour(materials[kind], u, v, width, seed + 31 * kind, albedo)
            glow = materials[kind, 9]
            for n in range(3):
                colour[i, j, n] = albedo[n] * (glow + (1.0 - glow) * _lit(nx, ny, nz, light, n))
            depth[i, j] = seen_depth[i, j]


@njit(cache=True, nogil=True)
def draw_body(
    face_index, barycentrics, seen_depth, bounds, faces, template, normals, marks, outfit, light, focal, seed,
    colour, depth,
):  # fmt: skip
    """Draw a rasterised dressed body where it is nearer than what is there; arguments as of `draw_mesh`."""
    albedo = np.empty(3)
    for i in range(bounds[0], bounds[1]):
        for j in range(bounds[2], bounds[3]):
            f = face_index[i, j]
            if f < 0 or (depth[i, j] > 0.0 and seen_depth[i, j] >= depth[i, j]):
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            wa, wb, wc = (
                np.float64(barycentrics[i, j, 0]),
                np.float64(barycentrics[i, j, 1]),
                np.float64(barycentrics[i, j, 2]),
            )
            x = wa * template[a, 0] + wb * template[b, 0] + wc * template[c, 0]
            y = wa * template[a, 1] + wb * template[b, 1] + wc * template[c, 1]
            z = wa * template[a, 2] + wb * template[b, 2] + wc * template[c, 2]
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            length = max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-6)
            body_colour(x, y, z, marks, outfit, seen_depth[i, j] / focal, seed, albedo)
            for n in range(3):
                colour[i, j, n] = albedo[n] * _lit(nx / length, ny / length, nz / length, light, n)
            depth[i, j] = seen_depth[i, j]


@njit(cache=True, nogil=True)
def label_body(face_index, barycentrics, seen, faces, template, marks, outfit, out):
    """Part of every pixel of a rasterised body where `seen` is true; (H, W) uint8, 0 elsewhere."""
    albedo = np.empty(3)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            f = face_index[i, j]
            out[i, j] = 0
            if f < 0 or not seen[i, j]:
                continue
            p = np.zeros(3)
            for n in range(3):
                for c in range(3):
                    p[c] += barycentrics[i, j, n] * template[faces[f, n], c]
            out[i, j] = body_colour(p[0], p[1], p[2], marks, outfit, 0.002, 0, albedo)


@njit(cache=True, nogil=True)
def shade_ground(inverse_k, world_from_camera, bounds, shadow, low_x, low_z, cell, light, colour, depth):
    """Darken the ground (world y below 0.03 m) by a shadow map.

    Args:
        inverse_k: (3, 3).
        world_from_camera: (4, 4).
        bounds: Rows from, to, columns from, to to look at.
        shadow: (N, N, 2) float32 over z and x: share of the far light kept off, share of the sky kept off.
        low_x: World x of the middle of the map's first column, m.
        low_z: World z of the middle of the first row, m.
        cell: m.
        light: See `_lit`.
        colour: (H, W, 3), written.
        depth: (H, W), m.
    """
    r, size = world_from_camera, shadow.shape[0]
    direct = light[1] * light[3]
    for i in range(bounds[0], bounds[1]):
        for j in range(bounds[2], bounds[3]):
            d = depth[i, j]
            if d <= 0.0:
                continue
            x, y = d * (inverse_k[0, 0] * j + inverse_k[0, 2]), d * (inverse_k[1, 1] * i + inverse_k[1, 2])
            if r[1, 0] * x + r[1, 1] * y + r[1, 2] * d + r[1, 3] > 0.03:
                continue
            u = (r[0, 0] * x + r[0, 1] * y + r[0, 2] * d + r[0, 3] - low_x) / cell
            v = (r[2, 0] * x + r[2, 1] * y + r[2, 2] * d + r[2, 3] - low_z) / cell
            if not (0.0 <= u < size - 1 and 0.0 <= v < size - 1):
                continue
            iu, iv = int(u), int(v)
            fu, fv = u - iu, v - iv
            for n in range(3):
                kept = 0.0
                for k in range(2):
                    low = (1.0 - fu) * shadow[iv, iu, k] + fu * shadow[iv, iu + 1, k]
                    high = (1.0 - fu) * shadow[iv + 1, iu, k] + fu * shadow[iv + 1, iu + 1, k]
                    kept += (1.0 - (low + fv * (high - low))) * (direct if k == 0 else light[4 + n])
                colour[i, j, n] *= kept / (direct + light[4 + n])


@njit(cache=True, nogil=True)
def develop(colour, samples, table, grain, seed, out):
    """Average the samples of every pixel, turn light into sRGB, add grain; (H, W, 3) uint8."""
    height, width = out.shape[:2]
    steps = table.shape[0] - 1
    share = 1.0 / (samples * samples)
    for i in range(height):
        for j in range(width):
            noise = (hash01(j, i, seed) + hash01(j, i, seed + 1) - 1.0) * grain
            for n in range(3):
                total = 0.0
                for di in range(samples):
                    for dj in range(samples):
                        total += min(colour[i * samples + di, j * samples + dj, n], np.float32(1.0))
                value = (
                    table[int(min(total * share, 1.0) * steps)]
                    + noise
                    + 0.5 * grain * (hash01(j, i, seed + 2 + n) - 0.5)
                )
                out[i, j, n] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
