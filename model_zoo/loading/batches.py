"""Running a network on batches that fit into memory."""

from __future__ import annotations

import logging
from typing import Callable

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

FAILURES = (RuntimeError, torch.jit.Error)  # what a network raises: its operators, and TorchScript's own `raise`


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the GPU's memory did not suffice.

    TorchScript hands on what its operators raise as a plain RuntimeError that quotes them.
    """
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)


class Batches:
    """Calls a network on at most `size` items at a time; out of memory, on half as many from then on.

    Attributes:
        size: Items at a time, now.
    """

    def __init__(
        self, network: Callable[[Tensor], Tensor], size: int, device: torch.device, half: bool = False
    ) -> None:
        """Wrap a network.

        Args:
            network: Maps (B, ...) to (B, ...).
            size: Items at a time, to begin with.
            device: Where it runs.
            half: Whether it takes 16-bit floats.
        """
        if size < 1:
            raise ValueError(f"batch is {size}, expected at least 1")
        self.size = size
        self._network = network
        self._device = device
        self._dtype = torch.float16 if half else torch.float32

    def __call__(self, items: Tensor) -> Tensor:
        """Outputs of all items, (N, ...) to (N, ...), float32, on the network's device.

        Raises:
            MemoryError: Not even a single item fits.
        """
        done: list[Tensor] = []
        start = 0
        with torch.inference_mode():
            while start < len(items):
                part = items[start : start + self.size]
                try:
                    done.append(self._network(part.to(self._device, self._dtype)).float())
                except FAILURES as error:
                    if not is_out_of_memory(error):
                        raise
                    reason = [line for line in str(error).splitlines() if "memory" in line][-1]
                else:
                    start += len(part)
                    continue
                # Outside the handler: there the error's traceback still holds the tensors.
                self._shrink(reason)
        return torch.cat(done) if len(done) != 1 else done[0]

    def _shrink(self, reason: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if self.size == 1:
            raise MemoryError(
                "the GPU has too little memory for a single picture: choose a smaller model, a larger GPU class, or "
                f"device cpu ({reason.strip()[:200]})"
            )
        self.size //= 2
        logger.warning("out of GPU memory: going on with %d at a time; set batch to that to begin with", self.size)
