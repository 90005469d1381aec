"""Values known at some vertices of a mesh, spread over all of it."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree


def laplacian(faces: np.ndarray, num_vertices: int) -> sparse.csr_matrix:
    """Graph Laplacian of a mesh's edges: a vertex times the number of its neighbours, minus their sum.

    Args:
        faces: Shape (F, 3), integers.
        num_vertices: V.

    Returns:
        Shape (V, V), float64, symmetric; the row of a vertex without a face is 0.
    """
    faces = np.asarray(faces, np.int64)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    touching = sparse.csr_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (num_vertices, num_vertices))
    return (sparse.diags(np.asarray(touching.sum(1)).ravel()) - touching).tocsr()


def mirror_of(template: np.ndarray) -> np.ndarray:
    """Vertex on the other side of the body for every vertex, (V,) int64; nearest to the mirror image in x.

    Args:
        template: Shape (V, 3), m, in the rest pose, symmetric about x = 0 to a few millimetres.
    """
    return cKDTree(template).query(template * np.array([-1.0, 1.0, 1.0]))[1]


def spread(
    operator: sparse.spmatrix, values: np.ndarray, weights: np.ndarray, default: np.ndarray, held: float = 1e-6
) -> np.ndarray:
    """Smooth values that agree with what is known, without going beyond it anywhere.

    Minimises weights (x - values)^2 + x operator x + held (x - default)^2, a membrane held at the known vertices.

    Args:
        operator: Shape (V, V), from `laplacian`, scaled by how much smoothness counts.
        values: Shape (V, C); read only where `weights` is positive.
        weights: Shape (V,), at least 0.
        default: Shape (C,), where values tend to that nothing holds.
        held: How strongly they do.

    Returns:
        Shape (V, C), float64.
    """
    known = np.where(weights[:, None] > 0, weights[:, None] * values, 0.0) + held * default
    solve = splu((sparse.diags(weights + held) + operator).tocsc(), permc_spec="MMD_AT_PLUS_A")
    return solve.solve(known)
