"""The working state of a run: what a killed training goes on from, bit for bit. Safetensors with JSON in its header."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from workflow.store import replacing

logger = logging.getLogger(__name__)

_KEPT = 2
_PATTERN = "step-*.safetensors"


def key(settings: Mapping[str, Any]) -> str:
    """Name of the state of a run: another setting or other data make another name."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class State:
    """What goes on after a kill.

    Attributes:
        step: Steps done.
        model: All weights of the model.
        averaged: Averaged weights of what is trained.
        optimizer: Moments of the optimizer, by "<parameter>/<moment>".
        curve: Shape (step, columns), float64: the rows of the loss curve.
        validation: Shape (n, columns), float64: the losses on held-out clips so far.
    """

    step: int
    model: dict[str, Tensor]
    averaged: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    curve: np.ndarray
    validation: np.ndarray


class Folder:
    """States of one run in `<root>/<key>/`, the newest two."""

    def __init__(self, root: Path, settings: Mapping[str, Any], writes: bool = True) -> None:
        """Open or make the folder of the run that `settings` describe; states of other runs are left alone.

        Of several processes only one may write.
        """
        self.path = root / key(settings)
        if not writes:
            return
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "run.json").write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")
        for partial in self.path.glob(".*.partial"):  # of a process that was killed while it wrote
            partial.unlink()
        others = sorted(other.name for other in root.iterdir() if other.is_dir() and other != self.path)
        if others:
            logger.info(
                "train: %s also holds other runs (other data or settings), not used: %s", root, ", ".join(others)
            )

    def save(self, state: State) -> None:
        """Write a state; it is there whole or not at all."""
        tensors = {f"model/{name}": tensor for name, tensor in state.model.items()}
        tensors.update({f"averaged/{name}": tensor for name, tensor in state.averaged.items()})
        tensors.update({f"optimizer/{name}": tensor for name, tensor in state.optimizer.items()})
        tensors["curve"] = torch.from_numpy(state.curve)
        tensors["validation"] = torch.from_numpy(state.validation)
        # Clones: safetensors refuses tensors that share memory, and an average may still be the weight itself.
        whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        with replacing(self.path / f"step-{state.step:08d}.safetensors") as partial:
            save_file(whole, partial, {"step": str(state.step)})
        for old in sorted(self.path.glob(_PATTERN))[:-_KEPT]:
            old.unlink()

    def newest(self, limit: int) -> State | None:
        """The latest state of at most `limit` steps; None where there is none."""
        fitting = [path for path in sorted(self.path.glob(_PATTERN)) if int(path.stem.partition("-")[2]) <= limit]
        if not fitting:
            return None
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "averaged": {}, "optimizer": {}}
        with safe_open(fitting[-1], framework="pt") as file:
            step = int(file.metadata()["step"])
            curve, judged = (file.get_tensor(name).numpy() for name in ("curve", "validation"))
            for name in file.keys():  # noqa: SIM118  a file of safetensors is no mapping
                part, _, rest = name.partition("/")
                if part in parts:
                    # Cloned: the file's tensors lie anywhere, and kernels round differently on unaligned memory.
                    parts[part][rest] = file.get_tensor(name).clone()
        return State(step, parts["model"], parts["averaged"], parts["optimizer"], curve, judged)
