"""`python -m tools train explain --step N`: which clips and frames a step of the training reads.

`python -m tools train overfit [--clip ID]`: can the model learn one clip by heart? Results go to train/overfit/<clip>.

`python -m tools train speed [--recipe NAME]`: how fast a recipe trains on this machine, with random weights.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from model_zoo.loading.device import NAMES
from tools import recipes
from tools.train import overfit, speed
from tools.train.diffusion import chosen_device, dataset, resolved
from workflow.errors import ToolError
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.shards import EVERY_SHARD, INDEX
from workflow.stages.train import CHECKPOINT, SETTINGS, TrainParams

_OVERFIT_STEPS = 1000
_MEASURED_STEPS = 20


def main(argv: list[str]) -> int:
    """Answer a question about the training; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    explain = commands.add_parser("explain", help="clips and frames of a step")
    explain.add_argument("--step", type=int, required=True, help="step as in train/loss.csv, from 1")
    check = commands.add_parser("overfit", help="health check: learn one clip by heart")
    check.add_argument("--clip", default="", help="clip id; the first one unless given")
    check.add_argument("--steps", type=int, default=_OVERFIT_STEPS, help="of the denoiser")
    measure = commands.add_parser("speed", help="steps per second, memory, waiting, use of the device")
    measure.add_argument("--steps", type=int, default=_MEASURED_STEPS, help="of the denoiser, after a few to warm up")
    for command in (check, measure):
        command.add_argument("--device", choices=NAMES, default=TrainParams.device)
        command.add_argument("--recipe", default=TrainParams.recipe)
    explain.add_argument("--recipe", help="as the recipe says; unless given, the run in train/ where there is one")
    explain.add_argument("--seed", type=int, help="of the run; unless given, that of the run in train/")
    check.add_argument("--seed", type=int, default=TrainParams.seed)
    options = parser.parse_args(argv)
    shards = sorted(Path().glob(EVERY_SHARD.path.format(split="*", shard="*")))
    if options.command == "overfit":
        return _overfit(options, shards)
    if options.command == "speed":
        sys.stdout.write(_measured(options, shards).table() + "\n")
        return 0
    if options.step < 1:
        raise ToolError(f"train explain: step is {options.step}, steps are counted from 1")
    sys.stdout.write("\n".join(_explained(options, shards)) + "\n")
    return 0


def _explained(options: argparse.Namespace, shards: list[Path]) -> list[str]:
    """Windows of a step: of the run whose checkpoint is there, or of a recipe."""
    settings = Path(SETTINGS.path)
    seed, digest = TrainParams.seed, ""
    if options.recipe is None and settings.is_file():
        record = json.loads(settings.read_text())["training"]
        config, seed, digest = recipes.of_json(record["config"]), record["seed"], record["data"]
    else:
        config = resolved(options.recipe or TrainParams.recipe, shards, Path(INDEX.path))
    windows = dataset(config, shards, Path(INDEX.path))
    if digest not in ("", windows.digest):
        raise ToolError(f"train explain: the shards are not those that {settings} was trained on; train again")
    seed = seed if options.seed is None else options.seed
    return windows.explain(seed, options.step - 1, config.batch, cropped=config.model.identity == "crop")


def _measured(options: argparse.Namespace, shards: list[Path]) -> speed.Speed:
    if options.steps < 1:
        raise ToolError(f"train speed: steps is {options.steps}, expected at least 1")
    index = Path(INDEX.path)
    return speed.run(
        options.recipe,
        resolved(options.recipe, shards, index),
        shards,
        index,
        Path(BODY_MODEL.path),
        steps=options.steps,
        device=chosen_device(options.device),
    )


def _overfit(options: argparse.Namespace, shards: list[Path]) -> int:
    if options.steps < 1:
        raise ToolError(f"train overfit: steps is {options.steps}, expected at least 1")
    verdict = overfit.run(
        options.recipe,
        resolved(options.recipe, shards, Path(INDEX.path)),
        shards,
        Path(BODY_MODEL.path),
        options.clip,
        steps=options.steps,
        seed=options.seed,
        device=chosen_device(options.device),
        into=Path(CHECKPOINT.path).parent / "overfit",
    )
    sys.stdout.write(verdict.words() + "\n")
    return 0 if verdict.healthy else 1
