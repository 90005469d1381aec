import pytest
import torch

from model_zoo.diffusion.rasterize import DifferentiableRasterizer, seen_faces_numba, seen_faces_torch

SIZE = (14, 17)
CAMERA = torch.tensor([[20.0, 0, 8.1], [0, 22.0, 6.7], [0, 0, 1]], dtype=torch.float64)


def _soup(num_faces, seed):
    """Triangles before the camera, every one on corners of its own."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(num_faces, 1, 3, generator=generator, dtype=torch.float64) - 0.5
    corners = centres + 1.2 * (torch.rand(num_faces, 3, 3, generator=generator, dtype=torch.float64) - 0.5)
    corners = corners.reshape(-1, 3) + torch.tensor([0, 0, 2.0], dtype=torch.float64)
    return corners, torch.arange(3 * num_faces).reshape(num_faces, 3)


def _brute_force(vertices, faces, camera, size):
    """Face and perspective-correct barycentrics per pixel, by solving ray = mix of corners one pixel at a time."""
    seen = torch.full(size, -1)
    weights = torch.zeros(*size, 3, dtype=torch.float64)
    nearest = torch.full(size, torch.inf, dtype=torch.float64)
    inverse = torch.linalg.inv(camera)
    for row in range(size[0]):
        for column in range(size[1]):
            ray = inverse @ torch.tensor([column, row, 1.0], dtype=torch.float64)
            for number, face in enumerate(faces):
                # ray * z = sum_i w_i corner_i with sum w = 1: solve for w / z.
                share = torch.linalg.solve(vertices[face].T, ray)
                if (share >= 0).all() and share.sum() > 0:
                    z = 1 / share.sum()
                    if z < nearest[row, column]:
                        nearest[row, column], seen[row, column] = z, number
                        weights[row, column] = share * z
    return seen, weights, nearest


@pytest.fixture(scope="module")
def soup():
    vertices, faces = _soup(12, 3)
    return vertices, faces, *_brute_force(vertices, faces, CAMERA, SIZE)


@pytest.mark.parametrize("find", [seen_faces_numba, seen_faces_torch])
def test_faces_agree_with_brute_force(soup, find):
    vertices, faces, seen, _, _ = soup
    found = find(vertices[None], faces, CAMERA[None], SIZE)[0]
    assert (found >= 0).sum() > 50
    assert (found != seen).sum() <= 1  # a pixel centre may lie on an edge within rounding


def test_attributes_and_depth_are_perspective_correct(soup):
    vertices, faces, seen, weights, nearest = soup
    attrs = torch.randn(len(vertices), 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    features, mask, depth = DifferentiableRasterizer(SIZE)(vertices[None], faces, attrs, CAMERA[None])
    assert features.shape == (1, 5, *SIZE)
    both = mask[0, 0] & (seen >= 0)
    expected = (weights[..., None] * attrs[faces[seen.clamp(min=0)]]).sum(2)
    assert torch.allclose(features[0].permute(1, 2, 0)[both], expected[both], atol=1e-6)
    assert torch.allclose(depth[0, 0][both], nearest[both], atol=1e-6)
    assert (features[0][:, ~mask[0, 0]] == 0).all() and (depth[~mask] == 0).all()


def test_camera_positions_as_attributes_lie_on_the_pixels_rays(soup):
    vertices, faces = soup[:2]
    features, mask, _ = DifferentiableRasterizer(SIZE)(vertices[None], faces, vertices, CAMERA[None])
    points = features[0].permute(1, 2, 0)[mask[0, 0]]
    pixels = points @ CAMERA.T
    row, column = mask[0, 0].nonzero(as_tuple=True)
    assert torch.allclose(pixels[:, 0] / pixels[:, 2], column.double(), atol=1e-3)
    assert torch.allclose(pixels[:, 1] / pixels[:, 2], row.double(), atol=1e-3)


def test_gradients_to_attributes_and_vertices():
    vertices, faces = _soup(3, 1)
    attrs = torch.randn(len(vertices), 2, dtype=torch.float64)
    draw = DifferentiableRasterizer((5, 6))
    camera = torch.tensor([[9.0, 0, 2.6], [0, 9.0, 2.3], [0, 0, 1]], dtype=torch.float64)[None]
    _, mask, _ = draw(vertices[None], faces, attrs, camera)
    assert mask.sum() >= 3

    def drawn(points, values):
        features, _, depth = draw(points[None], faces, values, camera)
        return features, depth

    # Steps of 1e-7 m do not change which pixels are covered.
    assert torch.autograd.gradcheck(
        drawn, (vertices.requires_grad_(), attrs.requires_grad_()), eps=1e-7, atol=1e-4, rtol=1e-3
    )


def test_only_seen_vertices_get_gradients():
    vertices, faces = _soup(6, 2)
    attrs = torch.zeros(len(vertices), 1, dtype=torch.float64, requires_grad=True)
    features, _, _ = DifferentiableRasterizer(SIZE)(vertices[None], faces, attrs, CAMERA[None])
    features.sum().backward()
    seen = seen_faces_numba(vertices[None], faces, CAMERA[None], SIZE)
    shown = torch.zeros(len(vertices), dtype=torch.bool)
    shown[faces[seen[seen >= 0]].unique()] = True
    assert torch.equal(attrs.grad[:, 0] > 0, shown)


def test_mixed_precision_leaves_the_geometry_alone():
    vertices, faces = (part if part.dtype == torch.int64 else part.float() for part in _soup(12, 3))
    draw, camera = DifferentiableRasterizer((140, 170)), CAMERA.float() * torch.tensor([[10.0], [10.0], [1.0]])
    plain = draw(vertices[None], faces, vertices, camera[None])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = draw(vertices[None], faces, vertices, camera[None])
    assert plain[1].sum() > 1000
    assert all(torch.equal(one, other) for one, other in zip(plain, mixed))


def test_attributes_may_differ_per_frame():
    vertices, faces = _soup(6, 4)
    attrs = torch.stack([torch.zeros(len(vertices), 1), torch.ones(len(vertices), 1)]).double()
    cameras = CAMERA.expand(2, 3, 3)
    features, mask, _ = DifferentiableRasterizer(SIZE)(vertices.expand(2, -1, -1), faces, attrs, cameras)
    assert (features[0] == 0).all()
    assert torch.allclose(features[1], mask[1].double())


@pytest.mark.parametrize("find", [seen_faces_numba, seen_faces_torch])
def test_nothing_in_sight(find):
    vertices, faces = _soup(3, 5)
    behind = vertices * torch.tensor([1, 1, -1.0], dtype=torch.float64)
    assert (find(behind[None], faces, CAMERA[None], SIZE) == -1).all()
