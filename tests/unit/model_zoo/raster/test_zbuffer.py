"""The rasteriser against analytic shapes and against a plain ray caster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from model_zoo.raster.zbuffer import Raster, Rasterizer

SIZE = 96
K = np.array([[110.0, 0.0, 47.3], [0.0, 108.0, 46.1], [0.0, 0.0, 1.0]])


def sphere(centre, radius: float, rows: int = 60, columns: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Latitude-longitude sphere, corners counter-clockwise seen from outside; no doubled vertices."""
    theta = np.linspace(0, np.pi, rows + 1)[1:-1, None]
    phi = np.arange(columns)[None] * 2 * np.pi / columns
    ring = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta) + 0 * phi], axis=-1)
    vertices = np.concatenate([ring.reshape(-1, 3), [[0, 0, 1]], [[0, 0, -1]]])
    top, bottom = len(vertices) - 2, len(vertices) - 1
    faces = []
    for j in range(columns):
        k = (j + 1) % columns
        faces.append((top, j, k))
        for i in range(rows - 2):
            a, b, c, d = i * columns + j, i * columns + k, (i + 1) * columns + j, (i + 1) * columns + k
            faces += [(a, c, b), (b, c, d)]
        faces.append((bottom, (rows - 2) * columns + k, (rows - 2) * columns + j))
    return vertices * radius + centre, np.array(faces)


def rays(k: np.ndarray = K, height: int = SIZE, width: int = SIZE) -> np.ndarray:
    """Direction through every pixel centre, z = 1: shape (H, W, 3)."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ np.linalg.inv(k).T


def copied(raster: Raster) -> Raster:
    return Raster(*(array.copy() for array in raster))


def cast(vertices, faces, directions):
    """Plain ray caster, one face after the other: nearest depth, face, weights, and the smallest edge margin."""
    depth = np.full(directions.shape[:2], np.inf)
    face = np.full(depth.shape, -1)
    weights = np.zeros((*depth.shape, 3))
    margin = np.full(depth.shape, np.inf)
    for f, (a, b, c) in enumerate(vertices[faces]):
        # The point (1 - v - w) a + v b + w c = z r is solved for (z, v, w) at every pixel.
        matrix = np.stack(
            [directions, np.broadcast_to(a - b, directions.shape), np.broadcast_to(a - c, directions.shape)], -1
        )
        z, v, w = np.moveaxis(np.linalg.solve(matrix, np.broadcast_to(a, directions.shape)[..., None])[..., 0], -1, 0)
        bary = np.stack([1 - v - w, v, w], -1)
        lowest = bary.min(-1)
        margin = np.minimum(margin, np.where((lowest > -0.1) & (z > 0), np.abs(lowest), np.inf))
        seen = (lowest >= 0) & (z > 0) & (z < depth)
        depth[seen], face[seen], weights[seen] = z[seen], f, bary[seen]
    return np.where(face >= 0, depth, 0), face, weights, margin


def test_sphere_depth_and_coverage() -> None:
    centre, radius = np.array([0.05, -0.1, 3.0]), 0.9
    out = Rasterizer(SIZE, SIZE)(*sphere(centre, radius), K)
    direction = rays()
    a = (direction**2).sum(-1)
    b = direction @ centre
    discriminant = b**2 - a * (centre @ centre - radius**2)
    depth = (b - np.sqrt(np.maximum(discriminant, 0))) / a
    covered = out.face_index >= 0
    assert not covered[discriminant < 0].any()  # the mesh lies inside the sphere
    assert covered[discriminant > 0.02].all()
    assert (covered & (discriminant > 0)).sum() / (discriminant > 0).sum() > 0.99
    inner = discriminant > 0.05
    error = out.depth[inner] - depth[inner]
    assert error.min() > -1e-6 and error.max() < 0.006  # sagitta of the facets, grown by the slant
    assert np.array_equal(out.depth > 0, covered)
    assert out.depth.dtype == np.float32 and out.face_index.dtype == np.int32


def test_slanted_plane_depth_is_exact() -> None:
    normal, offset = np.array([0.4, -0.3, 1.0]), 2.5
    corners = np.array([[-0.8, -0.7], [0.9, -0.6], [0.7, 0.8], [-0.6, 0.9]])
    vertices = np.column_stack([corners, offset - corners @ normal[:2]])
    out = Rasterizer(SIZE, SIZE)(vertices, np.array([[0, 1, 2], [0, 2, 3]]), K)
    expected = offset / (rays() @ normal)
    covered = out.face_index >= 0
    assert 1000 < covered.sum() < SIZE * SIZE
    np.testing.assert_allclose(out.depth[covered], expected[covered], rtol=2e-6)
    point = rays() * expected[..., None]
    inside = np.ones(covered.shape, bool)
    outside = np.zeros(covered.shape, bool)
    for n in range(4):
        edge = corners[(n + 1) % 4] - corners[n]
        side = edge[0] * (point[..., 1] - corners[n][1]) - edge[1] * (point[..., 0] - corners[n][0])
        inside &= side > 1e-4
        outside |= side < -1e-4
    assert covered[inside].all() and not covered[outside].any()


def test_turned_box_against_slab_intersection() -> None:
    turn = np.linalg.qr(np.array([[0.8, 0.3, -0.5], [-0.2, 0.9, 0.4], [0.5, -0.3, 0.8]]))[0]
    half, centre = np.array([0.5, 0.3, 0.4]), np.array([0.1, 0.05, 2.2])
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))])
    out = Rasterizer(SIZE, SIZE)((signs * half) @ turn.T + centre, faces, K)
    direction, origin = rays() @ turn, -centre @ turn
    first, second = (-half - origin) / direction, (half - origin) / direction
    near = np.minimum(first, second).max(-1)
    far = np.maximum(first, second).min(-1)
    covered = out.face_index >= 0
    assert covered[far - near > 1e-3].all() and not covered[far - near < -1e-3].any()
    hit = covered & (far - near > 1e-3)
    np.testing.assert_allclose(out.depth[hit], near[hit], rtol=5e-4)  # edge pixels: snapped by 1/8192 px
    assert np.median(np.abs(out.depth[hit] - near[hit])) < 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_random_faces_against_plain_ray_caster(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = 31, 42
    k = np.array([[40.0, 1.5, 20.2], [0.0, 37.0, 14.9], [0.0, 0.0, 1.0]])  # with skew
    centres = rng.uniform([-1.5, -1.2, 1.5], [1.5, 1.2, 4.0], (40, 1, 3))
    vertices = (centres + rng.normal(0, 0.35, (40, 3, 3))).reshape(-1, 3)
    assert vertices[:, 2].min() > 0.1
    faces = np.arange(120).reshape(40, 3)
    out = Rasterizer(height, width)(vertices, faces, k)
    depth, face, weights, margin = cast(vertices, faces, rays(k, height, width))
    clear = margin > 2e-3
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(out.face_index[clear], face[clear])
    np.testing.assert_allclose(out.depth[clear], depth[clear], rtol=3e-7)
    np.testing.assert_allclose(out.barycentrics[clear], weights[clear], atol=1e-6)
    covered = out.face_index >= 0
    np.testing.assert_allclose(out.barycentrics[covered].sum(-1), 1, atol=1e-6)
    assert (out.barycentrics >= 0).all()


@pytest.mark.parametrize("jitter", [0.0, 0.37, 0.95])
def test_shared_edges_have_neither_holes_nor_doubles(jitter: float) -> None:
    """A net of faces over the whole image, drawn face by face: every pixel belongs to exactly one.

    Without jitter the vertices and many edges lie exactly on pixel centres; below 1 px no face turns over.
    """
    rng = np.random.default_rng(0)
    size, step = 25, 4
    ticks = np.arange(-2 * step, size + 3 * step, step).astype(float)
    x, y = np.meshgrid(ticks, ticks)
    pixel = np.stack([x, y], -1) + rng.uniform(-jitter, jitter, (*x.shape, 2))
    z = rng.uniform(1.0, 3.0, x.shape)
    vertices = np.concatenate([pixel * z[..., None], z[..., None]], -1).reshape(-1, 3)
    n = len(ticks)
    quads = [
        (i * n + j, i * n + j + 1, (i + 1) * n + j, (i + 1) * n + j + 1) for i in range(n - 1) for j in range(n - 1)
    ]
    faces = np.array([face for a, b, c, d in quads for face in ((a, b, c), (b, d, c))])
    draw = Rasterizer(size, size)
    count = sum((draw(vertices, faces[f : f + 1], np.eye(3)).face_index >= 0).astype(int) for f in range(len(faces)))
    np.testing.assert_array_equal(count, 1)
    whole = draw(vertices, faces, np.eye(3))
    assert (whole.face_index >= 0).all()
    flipped = copied(whole)
    assert (draw(vertices, faces[:, ::-1], np.eye(3)).face_index == flipped.face_index).all()  # winding is no matter


def test_ground_that_passes_below_the_camera_is_clipped_at_near() -> None:
    """A floor 1.5 m below the camera, from 5 m behind to 40 m ahead, as two large faces."""
    corners = np.array([[-20.0, 1.5, -5.0], [20.0, 1.5, -5.0], [20.0, 1.5, 40.0], [-20.0, 1.5, 40.0]])
    k = np.array([[30.0, 0.0, 47.5], [0.0, 30.0, 20.0], [0.0, 0.0, 1.0]])
    out = Rasterizer(SIZE, SIZE, near=0.1)(corners, np.array([[0, 1, 2], [0, 2, 3]]), k)
    direction = rays(k)
    with np.errstate(divide="ignore"):
        depth = 1.5 / direction[..., 1]
    x = direction[..., 0] * depth
    floor = (direction[..., 1] > 0) & (depth < 39.9) & (np.abs(x) < 19.9)
    assert floor.sum() > 3000
    assert (out.face_index[floor] >= 0).all()
    np.testing.assert_allclose(out.depth[floor], depth[floor], rtol=1e-6)
    assert (out.face_index[direction[..., 1] <= 0] == -1).all()
    assert set(np.unique(out.face_index)) == {-1, 0, 1}


def test_near_plane_hides_what_is_in_front_of_it() -> None:
    corners = np.array([[-1.0, -1.0, 0.2], [1.0, -1.0, 0.2], [0.0, 1.0, 0.2]])
    assert (Rasterizer(SIZE, SIZE, near=0.1)(corners, np.array([[0, 1, 2]]), K).face_index == 0).any()
    assert (Rasterizer(SIZE, SIZE, near=0.3)(corners, np.array([[0, 1, 2]]), K).face_index == -1).all()


def test_nothing_to_see() -> None:
    draw = Rasterizer(SIZE, SIZE)
    vertices = np.array([[0.0, 0, 2], [1, 0, 2], [0, 1, 2], [2, 0, 2], [9e9, 0, 1], [-9e9, 5, 1], [0, 0, -2]])
    for face in ((0, 0, 1), (0, 1, 3), (4, 5, 0), (6, 6, 6)):  # degenerate twice, out of the guard band, behind
        assert (draw(vertices, np.array([face]), K).face_index == -1).all()
    far = vertices + [500, 0, 0]
    assert (draw(far, np.array([[0, 1, 2]]), K).face_index == -1).all()
    assert (draw(vertices, np.zeros((0, 3), int), K).depth == 0).all()


def test_buffers_are_clean_between_frames() -> None:
    draw = Rasterizer(SIZE, SIZE)
    big, small = sphere([0, 0, 2.5], 1.0, 12, 24), sphere([0.5, 0.4, 3], 0.2, 12, 24)
    fresh = copied(Rasterizer(SIZE, SIZE)(*small, K))
    draw(*big, K)
    for ours, theirs in zip(draw(*small, K), fresh):
        np.testing.assert_array_equal(ours, theirs)


def test_of_two_equal_faces_the_first_is_seen() -> None:
    vertices = np.array([[-1.0, -1, 2], [1, -1, 2], [0, 1, 2]])
    out = Rasterizer(SIZE, SIZE)(vertices, np.array([[0, 1, 2], [0, 1, 2], [2, 1, 0]]), K)
    assert set(np.unique(out.face_index)) == {-1, 0}


def test_two_threads_two_rasterizers() -> None:
    meshes = [sphere([0.1 * n, 0, 3], 0.5 + 0.1 * n, 30, 60) for n in range(4)]
    expected = [copied(Rasterizer(SIZE, SIZE)(*mesh, K)) for mesh in meshes]

    def work(_: int) -> bool:
        draw = Rasterizer(SIZE, SIZE)
        return all(
            np.array_equal(ours, theirs)
            for _ in range(5)
            for mesh, truth in zip(meshes, expected)
            for ours, theirs in zip(draw(*mesh, K), truth)
        )

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(work, range(2)))


def test_unusable_input_is_refused() -> None:
    draw = Rasterizer(SIZE, SIZE)
    vertices, faces = np.array([[-1.0, -1, 2], [1, -1, 2], [0, 1, 2]]), np.array([[0, 1, 2]])
    with pytest.raises(ValueError, match="name vertices 1 to 3, there are 3"):
        draw(vertices, faces + 1, K)
    with pytest.raises(ValueError, match="finite"):
        draw(np.where(vertices == 2, np.nan, vertices), faces, K)
    with pytest.raises(ValueError, match="last row"):
        draw(vertices, faces, 2 * K)
    with pytest.raises(ValueError, match="integers"):
        draw(vertices, faces.astype(float), K)
    with pytest.raises(ValueError, match="near"):
        Rasterizer(SIZE, SIZE, near=0)
