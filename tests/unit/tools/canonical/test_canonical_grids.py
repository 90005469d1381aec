"""Backend `grids` of the canonical stage, on a doll of octahedra in SMPL's format."""

import numpy as np
import pytest

from model_zoo.body.smpl import SmplModel, easymocap_translation, rodrigues
from model_zoo.canonical import bigpose
from model_zoo.canonical.grids import axes_from_origin, grid_points
from model_zoo.canonical.packing import PackedGrid, unpack_nearest
from tests import examples
from tools.canonical import grids
from workflow import store
from workflow.errors import Rejected
from workflow.stages.body import Body
from workflow.stages.canonical import Canonical, GridsParams

PARAMS = GridsParams(voxel_m=0.05)
VALID = np.array([False, True, True, False, True])


@pytest.fixture(scope="module")
def arrays():
    return examples.body_model()


@pytest.fixture(scope="module")
def body():
    random = np.random.RandomState(0)
    count = len(VALID)
    return Body(
        betas=random.randn(10).astype(np.float32),
        global_orient=random.randn(count, 3).astype(np.float32),
        body_pose=(0.3 * random.randn(count, 69)).astype(np.float32),
        transl=random.randn(count, 3).astype(np.float32),
        joints=np.zeros((count, 24, 3), np.float32),
        intrinsics=np.eye(3, dtype=np.float32),
        world_from_camera=np.tile(np.eye(4, dtype=np.float32), (count, 1, 1)),
        reprojection_error=np.zeros(count, np.float32),
        valid=VALID,
    )


@pytest.fixture(scope="module")
def made(arrays, body):
    return grids.assets(SmplModel.from_arrays(arrays), body, PARAMS)


def pxyz_of(arrays, body, t):
    """(v - Th) R from the posed body in the camera frame, as EasyMocap's users compute it."""
    poser = SmplModel.from_arrays(arrays).poser(body.betas)
    vertices = poser.vertices(body.global_orient[t : t + 1], body.body_pose[t : t + 1], body.transl[t : t + 1])[0]
    th = easymocap_translation(body.global_orient[t : t + 1], body.transl[t : t + 1], poser.joints_rest[0])[0]
    return (vertices - th) @ rodrigues(body.global_orient[t])


@pytest.mark.parametrize("t", [1, 2, 4])
def test_every_voxel_has_the_nearest_vertex_of_the_body_in_its_own_frame(arrays, body, made, t):
    pxyz = pxyz_of(arrays, body, t)
    nearest = made.nearest[t]
    points = grid_points(axes_from_origin(made.origin[t], nearest.shape, PARAMS.voxel_m))
    assert np.abs(points.min((0, 1, 2)) - (pxyz.min(0) - PARAMS.padding_m)).max() < 1e-5
    every = np.random.RandomState(1).permutation(nearest.size)[:400]
    distance = np.linalg.norm(points.reshape(-1, 1, 3)[every] - pxyz, axis=-1)
    chosen = distance[np.arange(len(every)), nearest.reshape(-1)[every]]
    assert np.abs(chosen - distance.min(1)).max() < 1e-5
    unpacked = unpack_nearest(PackedGrid(made.origin[t], nearest), pxyz, PARAMS.voxel_m)
    assert np.abs(unpacked.distance.reshape(-1)[every] - chosen).max() < 1e-9


def test_frames_without_a_body_have_an_empty_grid_and_survive_the_file(made, tmp_path):
    path = tmp_path / "canonical.zip"
    with store.writing(path, Canonical, {}) as writer:
        writer.add("clip", made)
    with store.Reader(path, Canonical) as reader:
        back = reader.read("clip")
        shapes = [frame.shape for frame in back.nearest]
        assert (back.valid == VALID).all()
        assert [np.prod(shape) > 0 for shape in shapes] == VALID.tolist()
        assert shapes[0] == (0, 0, 0) and not back.origin[~VALID].any()
        assert (back.nearest[4] == made.nearest[4]).all()


def test_big_pose_is_the_shaped_body_with_its_legs_apart(arrays, body, made):
    # The doll has no pose correctives, so un-posing any frame gives the same body.
    model = SmplModel.from_arrays(arrays)
    poser = model.poser(body.betas)
    big = bigpose.big_pose()
    expected = poser.vertices(np.zeros((1, 3)), big[None, 3:], np.zeros((1, 3)))[0]
    assert np.abs(made.vertices - expected).max() < 1e-5
    assert made.vertices.dtype == made.joints.dtype == np.float64
    assert made.parents[0] == 4294967295 and made.parents[4] == 1
    assert np.allclose(made.joints, poser.joints_rest)


def test_big_pose_grids_hold_weights_and_texture_of_the_surface(arrays, made):
    shape = made.bigpose_weights.shape[:3]
    assert shape == made.bigpose_uv.shape[:3]
    assert np.allclose(made.bigpose_weights[..., :24].sum(-1), 1, atol=1e-5)
    points = grid_points(axes_from_origin(made.bigpose_origin, shape, PARAMS.voxel_m))
    knee = np.abs(points - made.vertices[24:30].mean(0)).sum(-1).reshape(-1).argmin()
    assert made.bigpose_weights.reshape(-1, 25)[knee, 4] > 0.99  # the knee moves what is nearest to it
    distance = np.linalg.norm(points.reshape(-1, 1, 3)[::97] - made.vertices, axis=-1).min(1)
    stored = made.bigpose_weights.reshape(-1, 25)[::97, 24]
    assert (stored <= distance + 1e-5).all() and (stored > distance - 0.13).all()  # a surface point is never further
    assert made.quality["uv_share"] == 1 and made.bigpose_uv.any()


def test_a_body_file_without_texture_gives_a_zero_uv_grid(arrays, body):
    bare = {key: value for key, value in arrays.items() if key not in ("vt", "ft")}
    made = grids.assets(SmplModel.from_arrays(bare), body, PARAMS)
    assert made.quality["uv_share"] == 0 and not made.bigpose_uv.any()


def test_a_clip_without_any_body_is_rejected(arrays, body):
    nobody = Body(**{**{k: getattr(body, k) for k in body.specs()}, "valid": np.zeros_like(VALID)})
    with pytest.raises(Rejected, match="no frame has a body"):
        grids.assets(SmplModel.from_arrays(arrays), nobody, PARAMS)


def test_load_reads_the_body_model_and_gives_the_same_bytes_twice(arrays, body, made, tmp_path):
    np.savez(tmp_path / "model.npz", **arrays)
    work = grids.load(PARAMS, {"body_model": tmp_path / "model.npz"})
    again = work(body)
    assert (again.vertices == made.vertices).all()
    assert all(again.nearest.encoded(t) == made.nearest.encoded(t) for t in range(len(VALID)))
