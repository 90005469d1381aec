"""`python -m tools train explain --step N`: which clips and frames a step of the training reads."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.train.diffusion import dataset, resolved
from workflow.errors import ToolError
from workflow.stages.shards import EVERY_SHARD, INDEX
from workflow.stages.train import TrainParams


def main(argv: list[str]) -> int:
    """Answer a question about the training; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools train", description=__doc__)
    parser.add_argument("command", choices=["explain"])
    parser.add_argument("--step", type=int, required=True, help="step as in train/loss.csv, from 1")
    parser.add_argument("--recipe", default=TrainParams.recipe)
    parser.add_argument("--seed", type=int, default=TrainParams.seed)
    options = parser.parse_args(argv)
    if options.step < 1:
        raise ToolError(f"train explain: step is {options.step}, steps are counted from 1")
    shards = sorted(Path().glob(EVERY_SHARD.path.format(split="*", shard="*")))
    config = resolved(options.recipe, shards, Path(INDEX.path))
    windows = dataset(config, shards, Path(INDEX.path))
    lines = windows.explain(options.seed, options.step - 1, config.batch)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
