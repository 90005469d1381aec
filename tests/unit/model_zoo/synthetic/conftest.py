"""A dressed body to test with."""

import pytest

from model_zoo.synthetic.dressed import DressedBody, Outfit
from tests import bodies


@pytest.fixture(scope="session")
def model():
    return bodies.free_body()


@pytest.fixture(scope="session")
def body(model):
    return DressedBody(model, [0.5, -0.5, 0.3] + [0.0] * 7, Outfit())
