import dataclasses

import pytest
import torch

from model_zoo.diffusion.config import MimoConfig
from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.posing import Poser
from tests import examples
from tools import recipes
from tools.recipes import TrainConfig
from tools.train import ranks
from tools.train.data import Windows
from tools.train.loop import Rhythm, train
from tools.train.state import Folder


@pytest.fixture(autouse=True)
def _as_it_was():
    """The loop sets threads and determinism for its process."""
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """A training shard of three clips, one shorter than a window, and a validation shard."""
    root = tmp_path_factory.mktemp("dataset")
    train_shard = examples.shard(
        root, split="train", name="s00000", lengths=(9, 7, 3), rejected=(), height=48, width=40
    )
    held_out = examples.shard(root, split="val", name="s00001", lengths=(6,), rejected=(), height=48, width=40, seed=5)
    return {"root": root, "shards": [train_shard, held_out], "body_model": root / "work" / "s00000" / "body_model.npz"}


@pytest.fixture(scope="session")
def tiny_run():
    """A run of seconds: four steps of the autoencoder, then the denoiser."""
    model = MimoConfig(
        height=32, width=32, frames=4, num_vertices=144, vae_channels=(8, 8), unet_channels=(8, 16), unet_heads=(2, 2),
        cross_dim=8, code_dim=4, motion_channels=(8, 8),
    )  # fmt: skip
    return TrainConfig(
        model=model, batch=2, warmup=2, autoencoder_steps=4, autoencoder_pictures=4, drop=0.3, workers=2, min_valid=0.5
    )


@pytest.fixture
def recipe(monkeypatch, tiny_run):
    """The run under the name `tiny`."""
    monkeypatch.setitem(recipes.RECIPES, "tiny", lambda: tiny_run)


@pytest.fixture(scope="session")
def windows(dataset, tiny_run):
    return Windows(dataset["shards"], "train", tiny_run.model.frames, tiny_run.min_valid)


@pytest.fixture
def go(tmp_path, tiny_run, windows):
    """Train for some steps in a folder; settings of the run may be changed."""

    def run(steps, folder="run", seed=0, save_every=100, rhythm=None, held_out=None, **changes):
        config = dataclasses.replace(tiny_run, **changes)
        torch.manual_seed(seed)
        return train(
            config,
            windows,
            Poser(examples.body_model()),
            model=MimoModel(config.model),
            accelerator=ranks.accelerator(torch.device("cpu"), config.precision),
            seed=seed,
            rhythm=Rhythm(steps, save_every, **(rhythm or {})),
            held_out=held_out,
            folder=Folder(tmp_path / folder, {"seed": seed}),
        )

    return run
