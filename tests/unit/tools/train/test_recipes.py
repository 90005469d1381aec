import pytest

from model_zoo.diffusion.config import frame_size
from tools.recipes import RECIPES


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipes_are_valid(name):
    config = RECIPES[name]()
    assert config.batch % config.accumulate == 0
    assert RECIPES[name]() == config


def test_paper_has_the_published_numbers():
    config = RECIPES["paper"]()
    assert (config.model.frames, config.batch, config.autoencoder_steps) == (24, 4, 0)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(512, 512, (64, 64)), (512, 384, (72, 56)), (384, 512, (56, 72)), (100, 1000, (24, 240))],
)
def test_frame_size_follows_the_shards(height, width, expected):
    model = RECIPES["tiny"]().model
    size = frame_size(model, height, width)
    assert size == expected
    assert all(side % 8 == 0 for side in size)
