"""The recipes, which lie beside the stages because `latents` reads them too."""

from tools.recipes import RECIPES, TrainConfig

__all__ = ["RECIPES", "TrainConfig"]
