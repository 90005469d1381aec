"""Networks of backends: filled from checkpoints and run on stacks of pictures, with errors for whoever runs the job."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Callable, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.serialization import safe_globals

from model_zoo.loading import tensors
from model_zoo.loading.batches import Batches
from model_zoo.loading.device import choose
from workflow.errors import ToolError

T = TypeVar("T")
Run = Callable[[np.ndarray], np.ndarray]


def device_of(name: str, label: str) -> torch.device:
    """Device of a setting.

    Args:
        name: "auto", "cpu" or "cuda".
        label: Who asks, as "stage/backend".

    Raises:
        ToolError: It is "cuda" and no GPU is visible.
    """
    try:
        return choose(name)
    except ValueError as error:
        raise ToolError(f"{label}: {error}") from None


def fill(
    network: nn.Module,
    path: Path,
    label: str,
    *,
    names: Callable[[dict[str, Tensor]], Mapping[str, Tensor]] = lambda state: state,
    entry: str = "",
    ignore: Iterable[str] = (),
    mappings: Iterable[str] = (),
) -> None:
    """Fill a network from a checkpoint; every name and shape must fit.

    Args:
        network: What to fill.
        path: Checkpoint written by `torch.save`.
        label: Who asks, as "stage/backend".
        names: Brings the published names to those of the network.
        entry: Key of the state dict in the checkpoint.
        ignore: See `model_zoo.loading.tensors.load`.
        mappings: Full names of classes that are dictionaries of the checkpoint's settings; read as plain ones.

    Raises:
        ToolError: The file is damaged, hostile or of another network.
    """
    try:
        with safe_globals([(OrderedDict, name) for name in mappings]):
            state = tensors.load(path, "state_dict", entry=entry, ignore=ignore)
        tensors.fill(network, names(state), path)
    except ValueError as error:
        raise ToolError(f"{label}: {error}") from None


def runner(
    network: nn.Module, device: torch.device, batch: int, label: str, forward: Callable[[Tensor], Tensor] | None = None
) -> Run:
    """Ready a network: half precision on a GPU, single elsewhere; batches that fit into memory.

    Args:
        network: Maps (N, ...) to (N, ...).
        device: Where it runs.
        batch: Most pictures at a time.
        label: Who asks, as "stage/backend".
        forward: What to compute with the network, if not its own output.

    Returns:
        Maps arrays (N, ...), N at least 1, to arrays (N, ...), float32.
    """
    half = device.type == "cuda"
    prepare(network.to(device), half)
    batches = Batches(forward or network, batch, device, half)
    return functools.partial(_run, batches, label)


def prepare(network: nn.Module, half: bool) -> None:
    """Ready a network for inference, in 16-bit floats but for its normalisations: variances leave their range."""
    network.to(torch.float16 if half else torch.float32).eval()
    for module in network.modules():
        if hasattr(module, "running_var"):
            module.float()


def _run(batches: Batches, label: str, items: np.ndarray) -> np.ndarray:
    try:
        return batches(torch.from_numpy(items)).cpu().numpy()
    except MemoryError as error:
        raise ToolError(f"{label}: {error}") from None


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of up to `size` items, in order."""
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
