import dataclasses

import numpy as np
import pytest

from model_zoo.body.smpl import SmplModel
from tests import examples
from tools.surface.mesh import load, render
from workflow.stages.surface import MeshParams


@pytest.fixture(scope="module")
def clip():
    return examples.clip(5, 96, 80, seed=2)


@pytest.fixture(scope="module")
def model():
    return SmplModel.from_arrays(examples.body_model())


@pytest.fixture(scope="module")
def surface(clip, model):
    return render(model, clip["body"], clip["crop"])


def test_depth_is_that_of_the_posed_vertices(surface, clip, model):
    body = clip["body"]
    vertices = model.poser(body.betas).vertices(body.global_orient[2:3], body.body_pose[2:3], body.transl[2:3])[0]
    depth = surface.depth[2].astype(float)
    seen = depth > 0
    assert seen.any() and surface.metric
    assert vertices[:, 2].min() - 0.01 <= depth[seen].min() and depth[seen].max() <= vertices[:, 2].max() + 0.01
    pixels = vertices @ clip["crop"].intrinsics[2].T
    pixels = np.rint(pixels[:, :2] / pixels[:, 2:]).astype(int)
    nearest = vertices[:, 2].argmin()
    x, y = pixels[nearest]
    around = depth[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
    assert around[around > 0].min() == pytest.approx(vertices[nearest, 2], abs=0.05)


def test_normals_are_unit_where_the_body_is_and_face_the_camera(surface):
    normal, depth = surface.normal[1].astype(float) / 127, surface.depth[1]
    length = np.linalg.norm(normal, axis=-1)
    assert np.abs(length[depth > 0] - 1).max() < 0.02
    assert not normal[depth == 0].any()
    assert (normal[depth > 0][:, 2] < 0).mean() > 0.8


def test_invalid_frames_are_empty(clip, model):
    body = dataclasses.replace(clip["body"], valid=np.array([True, False, True, True, True]))
    surface = render(model, body, clip["crop"])
    assert not surface.valid[1] and not surface.depth[1].any() and not surface.normal[1].any() and surface.valid[0]


def test_a_body_behind_the_camera_is_not_valid(clip, model):
    away = clip["body"].transl * np.array([1, 1, -1], np.float32)
    surface = render(model, dataclasses.replace(clip["body"], transl=away), clip["crop"])
    assert not surface.valid.any() and surface.quality == {}


def test_load_reads_the_model_file(tmp_path, clip):
    path = tmp_path / "body.npz"
    np.savez(path, **examples.body_model())
    first = load(MeshParams(), {"body_model": path})(clip["body"], clip["crop"])
    again = load(MeshParams(), {"body_model": path})(clip["body"], clip["crop"])
    assert first.depth.shape == (5, 96, 80)
    np.testing.assert_array_equal(first.depth[3], again.depth[3])
