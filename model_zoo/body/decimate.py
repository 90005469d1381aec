"""Mesh simplification by half-edge collapses: every kept vertex is a vertex of the input."""

import heapq

import numpy as np


def decimate(
    vertices: np.ndarray, faces: np.ndarray, texture_faces: np.ndarray, num_vertices: int, max_edge: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thin out a triangle mesh until it has a number of vertices.

    The cost is the quadric error of Garland and Heckbert (1997), but a vertex is only ever merged into a
    neighbour (half-edge collapse), so that skinning weights, blend shapes and texture coordinates stay those
    of the input. A collapse that would fold a face, join two sheets, cross a texture seam or make an edge
    longer than `max_edge` is not made; vertices on a boundary or a seam stay.

    Args:
        vertices: Shape (V, 3), m.
        faces: Shape (F, 3), int, counter-clockwise seen from outside.
        texture_faces: Shape (F, 3), int, index of the texture coordinate of each corner.
        num_vertices: How many vertices to keep; more are kept when no allowed collapse is left.
        max_edge: m, no collapse makes an edge longer than this.

    Returns:
        kept: Shape (N,), indices into `vertices`, ascending.
        kept_faces: Shape (M, 3), the faces that are left, as indices into `vertices`.
        kept_texture_faces: Shape (M, 3), their texture coordinates, indices as in `texture_faces`.
    """
    points = np.ascontiguousarray(vertices, dtype=np.float64)
    corners = np.array(faces, dtype=np.int64)
    texture = np.array(texture_faces, dtype=np.int64)
    around: list[set[int]] = [set() for _ in range(len(points))]
    for index, triangle in enumerate(corners.tolist()):
        for vertex in triangle:
            around[vertex].add(index)

    edges = np.sort(corners[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    fixed = np.zeros(len(points), dtype=bool)
    fixed[unique[counts != 2].ravel()] = True
    pairs = np.unique(np.stack([corners.ravel(), texture.ravel()], axis=1), axis=0)
    fixed |= np.bincount(pairs[:, 0], minlength=len(points)) > 1

    quadrics = _quadrics(points, corners)
    used = np.array([bool(s) for s in around])
    alive = int(used.sum())
    version = [0] * len(points)
    heap: list[tuple[float, int, int, int]] = []

    def push(vertex: int) -> None:
        if fixed[vertex]:
            return
        neighbours = sorted({v for face in around[vertex] for v in corners[face].tolist()} - {vertex})
        targets = points[neighbours]
        homogeneous = np.concatenate([targets, np.ones((len(targets), 1))], axis=1)
        cost = np.einsum("ni,ij,nj->n", homogeneous, quadrics[vertex], homogeneous)
        # A flat region has no quadric error at all: prefer its short edges, for well-shaped triangles.
        cost = cost + 1e-4 * ((targets - points[vertex]) ** 2).sum(1) ** 2
        best = int(np.argmin(cost))
        heapq.heappush(heap, (float(cost[best]), vertex, neighbours[best], version[vertex]))
        for other in np.argsort(cost, kind="stable")[1:3].tolist():
            heapq.heappush(heap, (float(cost[other]), vertex, neighbours[other], version[vertex]))

    for vertex in np.flatnonzero(used).tolist():
        push(vertex)
    while alive > num_vertices and heap:
        _, vertex, target, stamp = heapq.heappop(heap)
        if version[vertex] != stamp or not around[vertex]:
            continue
        if not _allowed(vertex, target, points, corners, around, max_edge):
            continue
        gone = around[vertex] & around[target]
        moved_to = {int(texture[face][corners[face] == target][0]) for face in gone}
        if len(moved_to) != 1:  # a seam ends at this vertex and runs along this edge
            continue
        for face in gone:
            for other in corners[face].tolist():
                around[other].discard(face)
        for face in around[vertex]:
            corner = corners[face] == vertex
            corners[face][corner] = target
            texture[face][corner] = next(iter(moved_to))
            around[target].add(face)
        around[vertex] = set()
        quadrics[target] += quadrics[vertex]
        alive -= 1
        touched = sorted({v for face in around[target] for v in corners[face].tolist()})
        for other in touched:
            version[other] += 1
        for other in touched:
            push(other)

    kept_faces = np.array(sorted({face for s in around for face in s}), dtype=np.int64)
    kept = np.unique(corners[kept_faces])
    return kept, corners[kept_faces], texture[kept_faces]


def _quadrics(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Sum of squared distances to the planes around each vertex, area weighted, shape (V, 4, 4)."""
    a, b, c = (points[corners[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(area, 1e-20)
    plane = np.concatenate([normal, -(normal * a).sum(1, keepdims=True)], axis=1)
    quadric = area[:, :, None] * plane[:, :, None] * plane[:, None, :]
    total = np.zeros((len(points), 4, 4))
    for k in range(3):
        np.add.at(total, corners[:, k], quadric)
    return total


def _allowed(
    vertex: int, target: int, points: np.ndarray, corners: np.ndarray, around: list[set[int]], max_edge: float
) -> bool:
    """Whether `vertex` may be merged into `target`: manifold, no folded face, no long edge."""
    shared = around[vertex] & around[target]
    ring = {v for face in around[vertex] for v in corners[face].tolist()} - {vertex}
    if len(shared) != 2 or len(around[vertex]) < 4:
        return False
    opposite = {v for face in shared for v in corners[face].tolist()} - {vertex, target}
    other_ring = {v for face in around[target] for v in corners[face].tolist()} - {target}
    if ring & other_ring != opposite:
        return False
    if any(len(around[v]) < 4 for v in opposite):
        return False
    stay = sorted(around[vertex] - shared)
    old = corners[stay]
    if (np.linalg.norm(points[sorted(ring - {target})] - points[target], axis=1) > max_edge).any():
        return False
    before = _normals(points, old)
    after = _normals(points, np.where(old == vertex, target, old))
    length = np.linalg.norm(after, axis=1)
    return bool(
        (length > 1e-9).all() and ((before * after).sum(1) > 0.5 * np.linalg.norm(before, axis=1) * length).all()
    )


def _normals(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    a, b, c = points[corners[:, 0]], points[corners[:, 1]], points[corners[:, 2]]
    return np.cross(b - a, c - a)
