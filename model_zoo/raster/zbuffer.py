"""Z-buffer rasteriser for triangle meshes: which face a pixel sees, where on the face, how far."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

NEAR = 0.05  # m; faces are clipped at this camera z
SUBPIXEL_BITS = 12  # vertices are snapped to 1/4096 px, so that edge tests are exact integers
GUARD_PX = float(2**17)  # largest |pixel coordinate| whose edge function fits int64 at SUBPIXEL_BITS
_ONE = 1 << SUBPIXEL_BITS


class Raster(NamedTuple):
    """What every pixel of one frame sees. The arrays belong to the `Rasterizer` and live until its next call.

    Attributes:
        face_index: Shape (H, W), int32; row of `faces`, -1 where no face is seen.
        barycentrics: Shape (H, W, 3), float32; perspective-correct weights of the face's three corners, none
            negative, sum 1; 0 where no face is seen.
        depth: Shape (H, W), float32, m; camera z (not the length of the ray), 0 where no face is seen.
    """

    face_index: np.ndarray
    barycentrics: np.ndarray
    depth: np.ndarray


class Rasterizer:
    """Rasterise meshes into frames of one size, with buffers that are reused from call to call.

    Camera frame: x right, y down, z forward, m. Image frame: origin at the centre of the top-left pixel, px, so
    the pixel in column j and row i looks along `inverse(K) @ (j, i, 1)`.

    Coverage follows the top-left fill rule on vertices snapped to 1/4096 px: pixels along a shared edge belong to
    exactly one face, there are neither holes nor doubles. Both sides of a face are drawn; of two faces at the same
    depth the one with the lower index is seen. Faces that cross the near plane are clipped at it. Faces without
    area in the image are skipped, and so are faces that reach more than 131072 px away from the image origin.

    An object serves one thread; several objects run in several threads at once (the kernels release the GIL).
    """

    def __init__(self, height: int, width: int, near: float = NEAR) -> None:
        """Allocate the buffers.

        Args:
            height: Rows of the frame, px.
            width: Columns of the frame, px.
            near: Camera z in front of which nothing is drawn, m.

        Raises:
            ValueError: A size is not positive or above 16384 px, or `near` is not positive.
        """
        if not (0 < height <= 16384 and 0 < width <= 16384):
            raise ValueError(f"frame is {height} x {width} px, expected 1 to 16384 on each side")
        if not near > 0:
            raise ValueError(f"near is {near} m, expected a positive distance")
        self.height, self.width, self.near = height, width, float(near)
        self._face_index = np.full((height, width), -1, np.int32)
        self._barycentrics = np.zeros((height, width, 3), np.float32)
        self._depth = np.zeros((height, width), np.float32)
        self._inverse_depth = np.zeros((height, width), np.float32)
        self._touched = np.array([height, 0, width, 0], np.int64)  # row from, to, column from, to
        self._snapped = np.empty((0, 2), np.int64)
        self._inverse_z = np.empty(0, np.float64)

    def __call__(self, vertices: np.ndarray, faces: np.ndarray, intrinsics: np.ndarray) -> Raster:
        """Rasterise one mesh.

        Args:
            vertices: Shape (V, 3), m, camera frame.
            faces: Shape (F, 3), rows of `vertices`.
            intrinsics: Shape (3, 3), px, last row (0, 0, 1).

        Returns:
            Views of this object's buffers: copy what must outlive the next call.

        Raises:
            ValueError: A shape, an index or a number is not usable.
        """
        vertices = np.ascontiguousarray(vertices, np.float64)
        faces = checked_faces(faces, len(vertices))
        intrinsics = np.ascontiguousarray(intrinsics, np.float64)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
            raise ValueError(f"vertices of shape {vertices.shape} must be (V, 3) and finite")
        if intrinsics.shape != (3, 3) or not np.array_equal(intrinsics[2], (0.0, 0.0, 1.0)):
            raise ValueError(f"intrinsics must be (3, 3) with last row (0, 0, 1), they are {intrinsics.tolist()}")
        if len(self._inverse_z) < len(vertices):
            self._snapped = np.empty((len(vertices), 2), np.int64)
            self._inverse_z = np.empty(len(vertices), np.float64)
        _clear(self._face_index, self._barycentrics, self._depth, self._inverse_depth, self._touched)
        _project(vertices, intrinsics, self.near, self._snapped, self._inverse_z)
        _fill(
            vertices, faces, intrinsics, self.near, self._snapped, self._inverse_z,
            self._face_index, self._inverse_depth, self._touched,
        )  # fmt: skip
        _shade(
            vertices, faces, np.linalg.inv(intrinsics), self._face_index, self._barycentrics, self._depth,
            self._touched,
        )  # fmt: skip
        return Raster(self._face_index, self._barycentrics, self._depth)


def checked_faces(faces: np.ndarray, num_vertices: int) -> np.ndarray:
    """Faces as contiguous int32, proven to index `num_vertices` vertices.

    Args:
        faces: Shape (F, 3), any integer type.
        num_vertices: Number of vertices they may name.

    Raises:
        ValueError: Wrong shape, or an index out of range.
    """
    faces = np.asarray(faces)
    if faces.ndim != 2 or faces.shape[1] != 3 or not np.issubdtype(faces.dtype, np.integer):
        raise ValueError(f"faces of shape {faces.shape}, {faces.dtype}, must be (F, 3) integers")
    if faces.size and (faces.min() < 0 or faces.max() >= num_vertices):
        raise ValueError(f"faces name vertices {faces.min()} to {faces.max()}, there are {num_vertices}")
    return np.ascontiguousarray(faces, np.int32)


@njit(cache=True, nogil=True)
def _clear(face_index, barycentrics, depth, inverse_depth, touched):
    for i in range(touched[0], touched[1]):
        for j in range(touched[2], touched[3]):
            face_index[i, j] = -1
            depth[i, j] = 0.0
            inverse_depth[i, j] = 0.0
            barycentrics[i, j, 0] = 0.0
            barycentrics[i, j, 1] = 0.0
            barycentrics[i, j, 2] = 0.0
    touched[0], touched[1] = face_index.shape[0], 0
    touched[2], touched[3] = face_index.shape[1], 0


@njit(cache=True, nogil=True)
def _snap(x, y, z, k, snapped):
    """Write the snapped pixel position; False when it lies outside the guard band."""
    u = (k[0, 0] * x + k[0, 1] * y) / z + k[0, 2]
    v = (k[1, 0] * x + k[1, 1] * y) / z + k[1, 2]
    if not (abs(u) < GUARD_PX and abs(v) < GUARD_PX):
        return False
    snapped[0] = np.int64(np.floor(u * _ONE + 0.5))
    snapped[1] = np.int64(np.floor(v * _ONE + 0.5))
    return True


@njit(cache=True, nogil=True)
def _project(vertices, k, near, snapped, inverse_z):
    """Snap all vertices. `inverse_z` is 0 for a vertex in front of the near plane, -1 outside the guard band."""
    for n in range(vertices.shape[0]):
        z = vertices[n, 2]
        if z < near:
            inverse_z[n] = 0.0
        elif _snap(vertices[n, 0], vertices[n, 1], z, k, snapped[n]):
            inverse_z[n] = 1.0 / z
        else:
            inverse_z[n] = -1.0


@njit(cache=True, nogil=True)
def _fill(vertices, faces, k, near, snapped, inverse_z, face_index, inverse_depth, touched):
    """Draw the face indices and inverse depths."""
    polygon = np.empty((4, 3), np.float64)
    corner = np.empty((4, 2), np.int64)
    corner_iz = np.empty(4, np.float64)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        za, zb, zc = inverse_z[a], inverse_z[b], inverse_z[c]
        if za > 0.0 and zb > 0.0 and zc > 0.0:
            _triangle(
                f, snapped[a, 0], snapped[a, 1], za, snapped[b, 0], snapped[b, 1], zb,
                snapped[c, 0], snapped[c, 1], zc, face_index, inverse_depth, touched,
            )  # fmt: skip
        elif za != 0.0 and zb != 0.0 and zc != 0.0:
            continue  # reaches out of the guard band
        else:
            count = _clip_near(vertices, a, b, c, near, polygon)
            inside = count >= 3
            for n in range(count):
                z = polygon[n, 2]
                inside = inside and _snap(polygon[n, 0], polygon[n, 1], z, k, corner[n])
                corner_iz[n] = 1.0 / z
            if not inside:
                continue
            for n in range(2, count):
                _triangle(
                    f, corner[0, 0], corner[0, 1], corner_iz[0], corner[n - 1, 0], corner[n - 1, 1], corner_iz[n - 1],
                    corner[n, 0], corner[n, 1], corner_iz[n], face_index, inverse_depth, touched,
                )  # fmt: skip


@njit(cache=True, nogil=True)
def _clip_near(vertices, a, b, c, near, polygon):
    """Cut a face at z = near; the number of corners (0, 3 or 4) written to `polygon`."""
    count = 0
    for n in range(3):
        i = a if n == 0 else (b if n == 1 else c)
        j = b if n == 0 else (c if n == 1 else a)
        in_i, in_j = vertices[i, 2] >= near, vertices[j, 2] >= near
        if in_i:
            polygon[count] = vertices[i]
            count += 1
        if in_i != in_j:
            # From the vertex inside to the one outside, so that both faces of an edge cut it at the same bits.
            p, q = (i, j) if in_i else (j, i)
            t = (vertices[p, 2] - near) / (vertices[p, 2] - vertices[q, 2])
            for m in range(2):
                polygon[count, m] = vertices[p, m] + t * (vertices[q, m] - vertices[p, m])
            polygon[count, 2] = near
            count += 1
    return count


@njit(cache=True, nogil=True, inline="always")
def _keeps_zero(dx, dy):
    """Whether pixels exactly on this edge belong to the face: top-left rule, image y down, positive area."""
    return dy < 0 or (dy == 0 and dx > 0)


@njit(cache=True, nogil=True)
def _triangle(f, xa, ya, za, xb, yb, zb, xc, yc, zc, face_index, inverse_depth, touched):
    """Draw one face given by snapped corners and their inverse depths."""
    area = (xb - xa) * (yc - ya) - (yb - ya) * (xc - xa)
    if area == 0:
        return
    if area < 0:
        xb, yb, zb, xc, yc, zc = xc, yc, zc, xb, yb, zb
        area = -area
    height, width = face_index.shape
    # Pixel centres lie on whole pixels: the first one at or after the smallest corner, the last at or before.
    col_from = max(0, (min(xa, xb, xc) + _ONE - 1) >> SUBPIXEL_BITS)
    col_to = min(width, (max(xa, xb, xc) >> SUBPIXEL_BITS) + 1)
    row_from = max(0, (min(ya, yb, yc) + _ONE - 1) >> SUBPIXEL_BITS)
    row_to = min(height, (max(ya, yb, yc) >> SUBPIXEL_BITS) + 1)
    if col_from >= col_to or row_from >= row_to:
        return
    touched[0], touched[1] = min(touched[0], row_from), max(touched[1], row_to)
    touched[2], touched[3] = min(touched[2], col_from), max(touched[3], col_to)

    x, y = col_from << SUBPIXEL_BITS, row_from << SUBPIXEL_BITS
    # Edge functions opposite to a, b, c; a pixel is covered where all are >= 0 after the bias of the fill rule.
    dxa, dya = xc - xb, yc - yb
    dxb, dyb = xa - xc, ya - yc
    dxc, dyc = xb - xa, yb - ya
    ea_row = dxa * (y - yb) - dya * (x - xb)
    eb_row = dxb * (y - yc) - dyb * (x - xc)
    ec_row = dxc * (y - ya) - dyc * (x - xa)
    # Inverse depth is affine in the image.
    iz_row = (ea_row * za + eb_row * zb + ec_row * zc) / area
    iz_dx = -(dya * za + dyb * zb + dyc * zc) / area * _ONE
    iz_dy = (dxa * za + dxb * zb + dxc * zc) / area * _ONE
    if not _keeps_zero(dxa, dya):
        ea_row -= 1
    if not _keeps_zero(dxb, dyb):
        eb_row -= 1
    if not _keeps_zero(dxc, dyc):
        ec_row -= 1
    ea_dx, eb_dx, ec_dx = -dya * _ONE, -dyb * _ONE, -dyc * _ONE
    ea_dy, eb_dy, ec_dy = dxa * _ONE, dxb * _ONE, dxc * _ONE
    for i in range(row_from, row_to):
        ea, eb, ec, iz = ea_row, eb_row, ec_row, iz_row
        for j in range(col_from, col_to):
            if (ea | eb | ec) >= 0:
                iz32 = np.float32(iz)
                if iz32 > inverse_depth[i, j]:
                    inverse_depth[i, j] = iz32
                    face_index[i, j] = f
            ea += ea_dx
            eb += eb_dx
            ec += ec_dx
            iz += iz_dx
        ea_row += ea_dy
        eb_row += eb_dy
        ec_row += ec_dy
        iz_row += iz_dy


@njit(cache=True, nogil=True, inline="always")
def _triple(rx, ry, rz, p, q):
    return rx * (p[1] * q[2] - p[2] * q[1]) + ry * (p[2] * q[0] - p[0] * q[2]) + rz * (p[0] * q[1] - p[1] * q[0])


@njit(cache=True, nogil=True)
def _shade(vertices, faces, k_inverse, face_index, barycentrics, depth, touched):
    """Barycentrics and depth of the seen faces, from the ray and the unsnapped corners (Olano and Greer 1997)."""
    for i in range(touched[0], touched[1]):
        for j in range(touched[2], touched[3]):
            f = face_index[i, j]
            if f < 0:
                continue
            rx = k_inverse[0, 0] * j + k_inverse[0, 1] * i + k_inverse[0, 2]
            ry = k_inverse[1, 0] * j + k_inverse[1, 1] * i + k_inverse[1, 2]
            a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
            wa = _triple(rx, ry, 1.0, b, c)
            wb = _triple(rx, ry, 1.0, c, a)
            wc = _triple(rx, ry, 1.0, a, b)
            if wa + wb + wc < 0.0:
                wa, wb, wc = -wa, -wb, -wc
            # Snapping may take a ray past the true edge by 1/8192 px.
            wa, wb, wc = max(wa, 0.0), max(wb, 0.0), max(wc, 0.0)
            total = wa + wb + wc
            if total > 0.0:
                wa, wb, wc = wa / total, wb / total, wc / total
            else:  # seen exactly edge-on
                wa, wb, wc = 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0
            barycentrics[i, j, 0] = wa
            barycentrics[i, j, 1] = wb
            barycentrics[i, j, 2] = wc
            depth[i, j] = wa * a[2] + wb * b[2] + wc * c[2]
