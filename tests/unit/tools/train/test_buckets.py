"""Clips of several aspects are trained together, each batch of one."""

import dataclasses

import numpy as np
import pytest
import torch

from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.posing import Poser
from tests import examples
from tools.train import ranks
from tools.train.buckets import Buckets
from tools.train.data import Windows
from tools.train.loop import Rhythm, train
from tools.train.state import Folder


def test_clips_are_sorted_by_aspect_and_keep_their_weights():
    buckets = Buckets([(512, 512), (256, 128), (256, 256), (64, 32)], np.array([1.0, 2.0, 3.0, 0.0]))
    assert len(buckets) == 2
    shares = (np.arange(600) + 0.5) / 600
    square = np.mean([buckets.bucket(share) == 0 for share in shares])
    assert square == pytest.approx(4 / 6, abs=0.01)
    assert np.bincount([buckets.clip(0, share) for share in shares], minlength=4).tolist() == [150, 0, 450, 0]
    assert {buckets.clip(1, share) for share in shares} == {1}, "a weight of 0 is never drawn"


def test_training_goes_through_all_aspects(dataset, tmp_path, tiny_run):
    wide = examples.shard(tmp_path, name="s00002", lengths=(9, 8), rejected=(), height=32, width=64, seed=20)
    windows = Windows([*dataset["shards"], wide], "train", 4, 0.5, pixels=32 * 32)
    config = dataclasses.replace(tiny_run, autoencoder_steps=3)
    aspects = {windows.sources[windows.draw(0, step, 0).number].shard.width for step in range(3, 9)}
    assert aspects == {40, 64}
    torch.manual_seed(0)
    outcome = train(
        config,
        windows,
        Poser(examples.body_model()),
        model=MimoModel(config.model),
        accelerator=ranks.accelerator(torch.device("cpu"), config.precision),
        seed=0,
        rhythm=Rhythm(6, 100),
        folder=Folder(tmp_path / "run", {}),
    )
    assert len(outcome.curve) == 9 and np.isfinite(outcome.curve[:, 2]).all()
