"""Networks on stacks of pictures: on the device that was asked for, in batches that fit into its memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Callable, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from workflow.errors import ToolError

logger = logging.getLogger(__name__)

T = TypeVar("T")
DEVICES = ("cuda", "cpu")


def device_of(name: str, label: str) -> torch.device:
    """Device of a name.

    Args:
        name: "cuda" or "cpu".
        label: Who asks, as "stage/backend".

    Raises:
        ToolError: It is "cuda" and no GPU is visible.
    """
    if name == "cuda" and not torch.cuda.is_available():
        stage = label.partition("/")[0]
        raise ToolError(
            f"{label}: device is cuda but no GPU is visible; run it where one is, "
            f"or set stages.{stage}.params.device to cpu"
        )
    return torch.device(name)


class Batches:
    """A network ready to be run. Half precision on a GPU, single precision elsewhere."""

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        batch: int,
        label: str,
        forward: Callable[[Tensor], tuple[Tensor, ...]] | None = None,
    ) -> None:
        """Move the network to its device.

        Args:
            network: Whatever takes (N, ...) tensors.
            device: Where to.
            batch: Most pictures at a time.
            label: What messages call it.
            forward: What to compute, if not the network's own output; gives tensors with N first.
        """
        self._device, self._label = device, label
        self._dtype = torch.float16 if device.type == "cuda" else torch.float32
        self._network = network.to(device, self._dtype).eval()
        self._forward = forward or (lambda x: (self._network(x),))
        self.batch = batch

    @torch.inference_mode()
    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, ...]:
        """Run on pictures (N, ...), N at least 1; gives arrays with N first, floats as float32.

        Where memory does not suffice, the batch is halved, for good.

        Raises:
            ToolError: Memory does not suffice for a single picture.
        """
        parts: list[tuple[np.ndarray, ...]] = []
        done = 0
        while done < len(pictures):
            count = min(self.batch, len(pictures) - done)
            try:
                given = torch.from_numpy(pictures[done : done + count]).to(self._device, self._dtype)
                parts.append(tuple(_to_numpy(value) for value in self._forward(given)))
            except torch.OutOfMemoryError:
                self._halve(count)
                continue
            done += count
        return tuple(np.concatenate(column) for column in zip(*parts))

    def _halve(self, count: int) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if count == 1:
            raise ToolError(
                f"{self._label}: the GPU's memory does not suffice for a single picture; choose a larger GPU class"
            )
        self.batch = count // 2
        logger.warning("%s: out of GPU memory with %d pictures at a time, going on with %d", self._label, count, self.batch)


def _to_numpy(value: Tensor) -> np.ndarray:
    return (value.float() if value.is_floating_point() else value).cpu().numpy()


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
