import sys
import types

import pytest
import torch

from model_zoo.diffusion import rasterize, rasterize_nvdiffrast
from model_zoo.diffusion.rasterize import DifferentiableRasterizer, seen_faces_numba, seen_faces_torch
from model_zoo.diffusion.rasterize_nvdiffrast import clip_from_camera, seen_faces_nvdiffrast

SIZE = (30, 46)
CAMERAS = torch.tensor(
    [[[40.0, 0.7, 21.3], [0, 44.0, 12.2], [0, 0, 1]], [[60.0, 0, 30.0], [0, 50.0, 20.0], [0, 0, 1]]],
    dtype=torch.float64,
)


def _soup(num_faces=20, frames=2, seed=3):
    """Overlapping triangles before the camera, other places in every frame."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(frames, num_faces, 1, 3, generator=generator, dtype=torch.float64) - 0.5
    corners = centres + torch.rand(frames, num_faces, 3, 3, generator=generator, dtype=torch.float64) - 0.5
    corners = corners.reshape(frames, -1, 3) + torch.tensor([0, 0, 2.0], dtype=torch.float64)
    return corners, torch.arange(3 * num_faces).reshape(num_faces, 3)


def test_clip_space_projects_to_the_same_pixels():
    vertices, _ = _soup(200)
    size = (512, 768)
    cameras = CAMERAS * torch.tensor([16.0, 16.0, 1.0], dtype=torch.float64)[:, None]
    clip = clip_from_camera(vertices, cameras, size).double()
    pixels = vertices @ cameras.transpose(1, 2)
    pixels = pixels[..., :2] / pixels[..., 2:]
    window = (clip[..., :2] / clip[..., 3:] + 1) / 2 * torch.tensor([size[1], size[0]])  # OpenGL's viewport
    assert (window - 0.5 - pixels).abs().max() < 1e-4


def test_clip_space_keeps_the_order_of_depths_and_everything_between_the_planes():
    vertices, _ = _soup(200)
    clip = clip_from_camera(vertices, CAMERAS, SIZE).double()
    for depth, distance in zip(clip[..., 2] / clip[..., 3], vertices[..., 2]):
        order = distance.argsort()
        assert (depth[order].diff() >= 0).all() and depth.min() > -1 and depth.max() < 1
    assert torch.allclose(clip[..., 3], vertices[..., 2], atol=1e-6)
    behind = clip_from_camera(vertices * torch.tensor([1, 1, -1.0]), CAMERAS, SIZE)
    assert (behind[..., 3] < 0).all() and (behind[..., 2] < behind[..., 3]).all(), "beyond the near plane: cut off"


def _rasterize(context, clip, faces, resolution, grad_db=True):
    """nvdiffrast's function as its manual describes it, one pixel at a time: row 0 is y/w = -1, least z/w is seen."""
    assert clip.dtype == torch.float32 and faces.dtype == torch.int32 and clip.is_contiguous()
    height, width = resolution
    y, x = torch.meshgrid(
        (2 * torch.arange(height) + 1) / height - 1.0, (2 * torch.arange(width) + 1) / width - 1.0, indexing="ij"
    )
    out = torch.zeros(len(clip), height, width, 4)
    for frame, points in enumerate(clip.double()):
        nearest = torch.full((height, width), torch.inf, dtype=torch.float64)
        for number, face in enumerate(faces.long()):
            # x = sum_i b_i x_i / sum_i b_i w_i and so on: b is orthogonal to (x_i - x w_i) and (y_i - y w_i).
            corner = points[face]
            across = corner[:, 0] - x[..., None] * corner[:, 3]
            down = corner[:, 1] - y[..., None] * corner[:, 3]
            share = torch.linalg.cross(across, down)
            total = share.sum(-1, keepdim=True)
            share = share / torch.where(total == 0, 1.0, total)
            z = (share * corner[:, 2]).sum(-1) / (share * corner[:, 3]).sum(-1)
            hit = (share >= 0).all(-1) & (total[..., 0] != 0) & (z.abs() <= 1) & (z < nearest)
            nearest[hit] = z[hit]
            found = torch.stack([share[..., 0], share[..., 1], z, torch.full_like(z, number + 1)], -1)
            out[frame][hit] = found[hit].float()
    return out, None


@pytest.fixture
def stand_in(monkeypatch):
    """A package of that name with the documented function."""
    module = types.ModuleType("nvdiffrast.torch")
    module.rasterize, module.RasterizeCudaContext = _rasterize, lambda device: object()
    monkeypatch.setitem(sys.modules, "nvdiffrast", types.ModuleType("nvdiffrast"))
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", module)
    rasterize_nvdiffrast._context.cache_clear()
    yield
    rasterize_nvdiffrast._context.cache_clear()


def test_faces_agree_with_the_processors_by_the_documented_conventions(stand_in):
    vertices, faces = _soup()
    expected = seen_faces_numba(vertices, faces, CAMERAS, SIZE)
    found = seen_faces_nvdiffrast(vertices, faces, CAMERAS, SIZE)
    assert (expected >= 0).float().mean() > 0.3 and len(expected.unique()) > 10
    assert (found != expected).sum() <= 4  # pixel centres on edges


def test_the_device_decides(monkeypatch):
    monkeypatch.setattr(rasterize, "installed", lambda: True)
    assert rasterize.finder(torch.device("cpu")) is seen_faces_numba
    assert rasterize.finder(torch.device("cuda")) is seen_faces_nvdiffrast
    monkeypatch.setattr(rasterize, "installed", lambda: False)
    assert rasterize.finder(torch.device("cuda")) is seen_faces_torch


def test_maps_and_gradients_agree_on_a_gpu():
    pytest.importorskip("nvdiffrast.torch", reason="nvdiffrast is not installed")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    vertices, faces = _soup()
    attrs = torch.randn(vertices.shape[1], 5, dtype=torch.float64)
    found = []
    for device in ("cpu", "cuda"):
        points, values = (x.to(device).clone().requires_grad_() for x in (vertices, attrs))
        features, mask, depth = DifferentiableRasterizer(SIZE)(points, faces.to(device), values, CAMERAS.to(device))
        (features.square().sum() + depth.sum()).backward()
        found.append([x.detach().cpu() for x in (features, mask.double(), depth, points.grad, values.grad)])
    same = found[0][1] == found[1][1]
    assert (~same).sum() <= 4
    for one, other in zip(*found):
        close = torch.isclose(one, other, atol=1e-4, rtol=1e-3)
        assert close.double().mean() > 0.97
