import dataclasses
import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.posing import Poser
from tests import examples
from tools.recipes import TrainConfig
from tools.train import ranks
from tools.train.data import Windows
from tools.train.loop import Rhythm, train
from tools.train.state import Folder
from workflow.errors import ToolError

ROOT = Path(__file__).resolve().parents[4]
STEPS = 3


def _train(config, shards, into):
    """What one process does; leaves the numbers it ends with, and which windows it read."""
    windows = Windows(shards, "train", config.model.frames, config.min_valid)
    held_out = Windows(shards, "val", config.model.frames, config.min_valid)
    read = []
    load = windows.load
    windows.load = lambda pick, *rest: (read.append(pick), load(pick, *rest))[1]
    torch.manual_seed(0)
    accelerator = ranks.accelerator(torch.device("cpu"), config.precision)
    rank = accelerator.process_index
    outcome = train(
        config,
        windows,
        Poser(examples.body_model()),
        model=MimoModel(config.model),
        accelerator=accelerator,
        seed=0,
        rhythm=Rhythm(STEPS, save_every=100, validate_every=2, sample_every=2),
        folder=Folder(into, {}, writes=rank == 0),
        held_out=held_out,
    )
    logging.getLogger("tools.train").info("rank %d is done", rank)
    torch.save(
        {
            "model": outcome.model.state_dict(),
            "averaged": outcome.averaged,
            "curve": torch.from_numpy(outcome.curve),
            "validation": torch.from_numpy(outcome.validation),
            "read": [(pick.number, pick.start, pick.reference) for pick in read],
        },
        into / f"rank-{rank}.pt",
    )


class Told(logging.Handler):
    """What is logged while it is open."""

    def __enter__(self):
        self.texts = []
        logging.getLogger("tools").addHandler(self)
        logging.getLogger("tools").setLevel(logging.INFO)
        return self

    def emit(self, record):
        self.texts.append(record.getMessage())

    def __exit__(self, *_):
        logging.getLogger("tools").removeHandler(self)
        logging.getLogger("tools").setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
def runs(dataset, tiny_run, tmp_path_factory):
    """The same run in one process and in two; batches of four, worked through in parts of one or two windows."""
    config = dataclasses.replace(tiny_run, batch=4, accumulate=4, autoencoder_steps=2)
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    _train(config, dataset["shards"], one)
    torch.use_deterministic_algorithms(False)
    with Told() as told:
        ranks.together(2, _train, config, dataset["shards"], two)
    assert [text for text in told.texts if "is done" in text] == ["rank 0 is done"]
    return [torch.load(path) for path in (one / "rank-0.pt", two / "rank-0.pt", two / "rank-1.pt")], two


def test_two_processes_share_the_batches_of_one(runs, windows):
    (alone, first, second), _ = runs

    def picks(steps, indices):
        drawn = [windows.draw(0, step, index) for step in steps for index in indices]
        return Counter((pick.number, pick.start, pick.reference) for pick in drawn)

    # the autoencoder's two steps, and the windows it is measured on before and after them, are read by everyone
    common = picks(range(2), range(4)) + picks((0, 2), range(4, 12))
    steps = range(2, 2 + STEPS)
    assert Counter(alone["read"]) == common + picks(steps, range(4))
    assert Counter(first["read"]) == common + picks(steps, (0, 1))
    assert Counter(second["read"]) == common + picks(steps, (2, 3))


def test_two_processes_learn_what_one_learns(runs, tiny_run):
    (alone, first, _), _ = runs
    assert np.allclose(alone["curve"], first["curve"], rtol=1e-4, atol=1e-6, equal_nan=True)
    assert np.allclose(alone["validation"], first["validation"], rtol=1e-4, equal_nan=True)
    assert len(alone["validation"]) == 1
    # Adam moves weights by its rate wherever a gradient is not zero, however small: single weights may differ.
    torch.manual_seed(0)
    fresh = dict(MimoModel(tiny_run.model).named_parameters())
    for part in ("model", "averaged"):
        difference, way = (
            torch.cat([(alone[part][name] - other[name]).flatten() for name in alone["averaged"]]).norm().item()
            for other in (first[part], fresh)
        )
        assert way > 0 and difference < 0.02 * way, part


def test_all_processes_end_with_the_same_bits_and_the_first_one_writes(runs):
    (_, first, second), folder = runs
    for part in ("model", "averaged"):
        assert all(torch.equal(tensor, second[part][name]) for name, tensor in first[part].items())
    assert torch.equal(first["curve"].nan_to_num(), second["curve"].nan_to_num())
    (run,) = (path for path in folder.iterdir() if path.is_dir())
    assert [path.name for path in run.glob("step-*")] == ["step-00000005.safetensors"]
    assert len(list((run / "tensorboard").iterdir())) == 1
    assert [path.name for path in (run / "samples").iterdir()] == ["step-00000004.mp4"]


def test_what_fails_in_a_process_is_said_here():
    with pytest.raises(ToolError, match="4 windows cannot be shared evenly by 3 processes"):
        ranks.together(2, ranks.check, TrainConfig(batch=4), 3)


PARENT = """
import os, time
from tools.train import ranks

def wait():
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    ranks.together(2, wait)
"""


def test_processes_die_with_the_one_that_started_them(tmp_path):
    program = tmp_path / "parent.py"
    program.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # as in the background of a shell: SIGINT is not heard
    parent = subprocess.Popen(
        [sys.executable, program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    assert len({parent.stdout.readline() for _ in range(2)}) == 2
    parent.kill()
    assert parent.communicate(timeout=20)[0] == b"", "its children held the other end until they died"


def test_batches_that_cannot_be_shared_are_refused():
    ranks.check(TrainConfig(batch=4, accumulate=4), 2)
    with pytest.raises(ToolError, match="batch of 4 windows cannot be shared evenly by 3 processes"):
        ranks.check(TrainConfig(batch=4), 3)
    with pytest.raises(ToolError, match="expected a divisor of the batch"):
        ranks.check(TrainConfig(batch=4, accumulate=3), 1)
