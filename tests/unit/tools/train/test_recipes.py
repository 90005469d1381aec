import dataclasses

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import MotionAdapter
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

from model_zoo.diffusion.config import frame_size
from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.pictures import ClipBatch
from model_zoo.diffusion.posing import Poser
from tests import examples
from tools.recipes import RECIPES
from tools.train.diffusion import choose_learning, recompute
from tools.train.objective import Objective
from workflow.errors import ToolError


@pytest.mark.parametrize("name", list(RECIPES))
def test_recipes_are_valid(name):
    config = RECIPES[name]()
    assert config.batch % config.accumulate == 0
    assert RECIPES[name]() == config


def test_paper_has_the_published_numbers():
    config = RECIPES["paper"]()
    assert (config.model.frames, config.batch, config.steps, config.autoencoder_steps) == (24, 4, 50_000, 0)
    assert not config.learning, "all but autoencoder and CLIP learns"


@pytest.mark.parametrize(("name", "most"), [("small", 19e9), ("paper", 45e9)])
def test_a_recipes_weights_leave_room_on_its_gpu(name, most):
    """Weights, and gradients, two moments and averages of those that learn; a GPU of 24 or 80 GB holds the rest too."""
    config = RECIPES[name]()
    with torch.device("meta"):
        model = MimoModel(config.model)
    choose_learning(model, config.learning)
    every = sum(parameter.numel() for parameter in model.parameters())
    learning = sum(parameter.numel() for _, parameter in model.trained())
    assert most * 0.9 < 4 * every + 16 * learning < most


def test_patterns_choose_what_learns():
    def learning(*patterns):
        model = MimoModel(_made_small("small"))
        choose_learning(model, patterns)
        return [name for name, _ in model.trained()]

    assert all(".attn1." in name for name in learning("denoiser.*.attn1.*"))
    chosen = learning(*RECIPES["small"]().learning)
    assert not any(name.startswith("identity.reference") or ".resnets." in name for name in chosen)
    for part in ("motion.codes", "conv_in.weight", "mid_block.motion_modules", "attn2.to_k", "identity.project.bias"):
        assert any(part in name for name in chosen), part
    assert len(learning()) > 2 * len(chosen)
    with pytest.raises(ToolError, match="no parameter is named nothing"):
        learning("motion.*", "nothing.*")


def _made_small(name):
    """Sizes of a recipe's parts, made small."""
    return dataclasses.replace(
        RECIPES[name]().model, height=64, width=64, frames=2, num_vertices=144, vae_channels=(8, 8, 8, 8), vae_groups=8,
        unet_channels=(8, 8, 8, 8), unet_groups=4, unet_heads=(2, 2, 2, 2), cross_dim=8, code_dim=4,
        motion_channels=(8, 8, 8), clip=(16, 2, 2, 16, 32),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(512, 512, (64, 64)), (512, 384, (72, 56)), (384, 512, (56, 72)), (100, 1000, (24, 240))],
)
def test_frame_size_follows_the_shards(height, width, expected):
    model = RECIPES["tiny"]().model
    size = frame_size(model, height, width)
    assert size == expected
    assert all(side % 8 == 0 for side in size)


def _gradients(name, keep=None, checkpointing=False):
    """Gradients of a step of a recipe's parts, made small, by name of what learns."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = MimoModel(_made_small(name)).train()
    for key, parameter in model.named_parameters():
        if "motion" in key and not parameter.abs().sum():  # nothing passes layers that start at zero
            torch.nn.init.normal_(parameter, std=0.1)
    choose_learning(model, RECIPES[name]().learning)
    model.latents.requires_grad_(False)
    if checkpointing:
        recompute(model)
    layer = torch.rand(1, 3, 2, 64, 64)
    mask = torch.zeros(1, 2, 64, 64)
    camera = torch.tensor([[60.0, 0, 32], [0, 60.0, 32], [0, 0, 1]]).expand(1, 2, 3, 3)
    known = ClipBatch(
        layer, layer, layer, mask, mask, torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 10), torch.zeros(1, 2, 72),
        torch.tensor([0.0, 0, 3]).expand(1, 2, 3), camera, torch.rand(1, 3, 64, 64),
    )  # fmt: skip
    objective = Objective(model, Poser(examples.body_model()))
    objective(known, torch.randn(1, 4, 2, 8, 8), torch.tensor([500]), keep).mean().backward()
    return {key: parameter.grad for key, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("name", ["small", "paper"])
def test_every_parameter_that_a_recipe_trains_takes_part_in_a_step(name):
    """Processes wait for every gradient that is not frozen: one that never comes would stop them."""
    assert not [key for key, gradient in _gradients(name, keep=torch.tensor([False])).items() if gradient is None]


@pytest.mark.parametrize("name", ["small", "paper"])
def test_computing_again_to_save_memory_changes_no_gradient(name):
    plain, again = _gradients(name), _gradients(name, checkpointing=True)
    assert any(gradient.abs().max() > 0 for key, gradient in plain.items() if key.startswith("identity"))
    assert all(torch.allclose(gradient, again[key], rtol=1e-4, atol=1e-8) for key, gradient in plain.items())


def test_small_has_the_names_and_shapes_of_the_published_networks():
    """Stable Diffusion 1.5, its autoencoder, AnimateDiff v1.5.2 and CLIP ViT-B/32, as their configurations say."""
    with torch.device("meta"):
        model = MimoModel(RECIPES["small"]().model)
        unet = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512), layers_per_block=2,
        )  # fmt: skip
        motion = MotionAdapter(motion_max_seq_length=32, motion_num_attention_heads=8, use_motion_mid_block=True)
        clip = CLIPVisionModelWithProjection(CLIPVisionConfig(patch_size=32, projection_dim=512))

    def shapes(module):
        return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}

    denoiser = shapes(model.denoiser.unet)
    assert denoiser.pop("conv_in.weight") == (320, 12, 3, 3)
    found = {**shapes(unet), **shapes(motion)}
    assert found.pop("conv_in.weight") == (320, 4, 3, 3)
    assert denoiser == found
    assert shapes(model.identity.reference.unet) == shapes(unet)
    assert shapes(model.latents.vae) == shapes(vae)
    assert shapes(model.identity.tower.model) == shapes(clip)
    places = [block.motion_modules[0] for block in model.denoiser.unet.down_blocks]
    assert {layer.transformer_blocks[0].attn1.heads for layer in places} == {8}
