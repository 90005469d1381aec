import pytest
import torch

from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.posing import Poser
from tests import examples


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def small_config():
    """The smallest model that has every part."""
    return MimoConfig(
        height=32,
        width=48,
        frames=3,
        num_vertices=144,
        vae_channels=(8, 8),
        unet_channels=(8, 16),
        unet_heads=(2, 2),
        cross_dim=8,
        code_dim=4,
        motion_channels=(8, 8),
    )


@pytest.fixture
def model(small_config):
    return MimoModel(small_config)


@pytest.fixture(scope="session")
def poser():
    return Poser(examples.body_model())


@pytest.fixture
def scene_inputs(small_config, poser):
    """Random pictures of two clips and a body that walks through them."""
    frames = small_config.frames
    pictures = (2, 3, frames, small_config.height, small_config.width)
    pose = torch.zeros(2, frames, 72)
    pose[..., 0] = torch.pi
    transl = torch.tensor([0.0, 0.0, 3.0]) + torch.linspace(-0.3, 0.3, frames)[:, None] * torch.tensor([1.0, 0.0, 0.0])
    vertices = poser(torch.zeros(2, 10), pose, transl.expand(2, frames, 3))
    height, width = small_config.motion_size
    camera = torch.tensor([[40.0, 0, (width - 1) / 2], [0, 40.0, (height - 1) / 2], [0, 0, 1]])
    return {
        "scene": torch.rand(pictures) * 2 - 1,
        "occluder": torch.rand(pictures) * 2 - 1,
        "vertices": vertices,
        "faces": poser.faces,
        "intrinsics": camera.expand(2, frames, 3, 3),
        "reference": torch.rand(2, 3, *small_config.reference_size) * 2 - 1,
    }
