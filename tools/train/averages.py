"""Averaged weights: how they follow the weights, and how the model runs with them for a moment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from model_zoo.diffusion.mimo import MimoModel

_DELAY = 10


def start(model: MimoModel) -> dict[str, Tensor]:
    """Averages that begin with the weights as they are, by name."""
    return {name: parameter.detach().clone() for name, parameter in model.trained()}


def follow(averaged: dict[str, Tensor], model: MimoModel, limit: float, since: int) -> None:
    """Move the averages after step `since` (from 0); the decay grows to `limit`, as early weights soon mean nothing."""
    decay = min(limit, (1 + since) / (_DELAY + since))
    for name, parameter in model.trained():
        averaged[name].lerp_(parameter.detach(), 1 - decay)


@contextlib.contextmanager
def used(averaged: dict[str, Tensor], model: MimoModel) -> Iterator[None]:
    """Let the model run with its averaged weights, for looking only; nothing is copied."""
    trained = model.trained()
    own = {name: parameter.data for name, parameter in trained}
    model.eval()
    for name, parameter in trained:
        parameter.data = averaged[name]
    try:
        with torch.no_grad():
            yield
    finally:
        for name, parameter in trained:
            parameter.data = own[name]
        model.train()
