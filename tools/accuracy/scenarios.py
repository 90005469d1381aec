"""The clips of the accuracy card, read from `scenarios.yaml`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import yaml

from model_zoo.synthetic.recipes import Recipe
from workflow.errors import ToolError

FILE = Path(__file__).with_name("scenarios.yaml")


def read(path: Path = FILE, only: Collection[str] = (), frames: int = 0) -> list[Recipe]:
    """The recipes of the file.

    Args:
        path: The file.
        only: Names of the clips wanted; all where empty.
        frames: Frames of every clip; 0 for as many as each says.

    Raises:
        ToolError: A recipe is wrong, or a wanted one is not there.
    """
    recipes, faults = [], []
    for number, entry in enumerate(yaml.safe_load(path.read_text(encoding="utf-8"))):
        try:
            recipe = Recipe(**entry)
        except TypeError as error:
            faults.append(f"clip {number}: {error}")
            continue
        faults += [f"{recipe.name}: {fault}" for fault in recipe.faults()]
        recipes.append(recipe.at(frames=frames) if frames else recipe)
    names = [recipe.name for recipe in recipes]
    faults += [f"{name}: occurs twice" for name in sorted(set(names)) if names.count(name) > 1]
    faults += [f"{name}: no such clip; there are {', '.join(names)}" for name in only if name not in names]
    if faults:
        raise ToolError(f"{path}:\n" + "\n".join(f"  {fault}" for fault in faults))
    return [recipe for recipe in recipes if not only or recipe.name in only]
