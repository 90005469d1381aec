"""Optimizers: AdamW, or AdamW with moments of 8 bits (Dettmers et al., ICLR 2022), and their state by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tools.recipes import TrainConfig
from workflow.errors import ToolError

NAMES = ("adamw", "adamw8bit")
Named = Sequence["tuple[str, nn.Parameter]"]


def build(config: TrainConfig, learning: Named) -> torch.optim.Optimizer:
    """The optimizer that a recipe names.

    Raises:
        ToolError: It is unknown, or its package is not installed.
    """
    parameters = [parameter for _, parameter in learning]
    settings = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, **settings)
    if config.optimizer != "adamw8bit":
        raise ToolError(f"train: optimizer is {config.optimizer!r}, expected one of {', '.join(NAMES)}")
    try:
        package = importlib.import_module("bitsandbytes")
    except ImportError as error:
        raise ToolError(
            f"train: optimizer adamw8bit needs the package bitsandbytes ({error}); install it into the trainer's "
            "environment, or use adamw"
        ) from None
    eight: torch.optim.Optimizer = package.optim.AdamW8bit(parameters, **settings)
    return eight


def moments(optimizer: torch.optim.Optimizer, learning: Named) -> dict[str, Tensor]:
    """The optimizer's numbers by "<parameter>/<moment>"; whole numbers become tensors of int64 without axes."""
    return {
        f"{name}/{moment}": value if isinstance(value, Tensor) else torch.tensor(value)
        for name, parameter in learning
        for moment, value in optimizer.state[parameter].items()
    }


def restore(optimizer: torch.optim.Optimizer, learning: Named, held: dict[str, Tensor]) -> None:
    """Give the optimizer what `moments` took."""
    of_parameter: dict[str, dict[str, Tensor]] = {}
    for name, value in held.items():
        parameter_name, _, moment = name.rpartition("/")
        of_parameter.setdefault(parameter_name, {})[moment] = value
    for name, parameter in learning:
        if name in of_parameter:
            optimizer.state[parameter] = {
                moment: _placed(value, parameter) for moment, value in of_parameter[name].items()
            }


def _placed(value: Tensor, parameter: nn.Parameter) -> Tensor | int:
    """Numbers stay on the CPU, as the optimizers count steps there; everything else goes to the parameter."""
    if value.ndim:
        return value.to(parameter.device)
    return value if value.is_floating_point() else int(value)
