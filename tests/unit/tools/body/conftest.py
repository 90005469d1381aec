"""A doll in SMPL's format, and what the fit makes of it."""

import pytest
import torch

from model_zoo.body.smpl import SmplModel
from tests import examples
from tools.body.smplify import carry


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def doll() -> SmplModel:
    return SmplModel.from_arrays(examples.body_model())


@pytest.fixture(scope="session")
def carried(doll):
    return carry(doll)
