"""Several processes that train as one: how they are started, and what `accelerate` makes of them."""

from __future__ import annotations

import ctypes
import logging
import logging.handlers
import os
import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from typing import Any

import torch
import torch.multiprocessing
from accelerate import Accelerator
from torch.multiprocessing.spawn import ProcessExitedException

from tools.recipes import TrainConfig
from workflow.errors import ToolError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def inside() -> bool:
    """Whether this process is already one of several, started by `together` or by `accelerate launch`."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def hush() -> None:
    """Let only the first of several processes tell how it goes; the others warn."""
    if int(os.environ.get("RANK", "0")):
        logging.getLogger().setLevel(logging.WARNING)


def accelerator(device: torch.device, precision: str) -> Accelerator:
    """What places, reduces and wraps; one process alone needs no process group.

    Args:
        device: Kind of device to compute on.
        precision: "float32" or "bfloat16" (activations; weights and optimizer stay float32).
    """
    return Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if precision == "bfloat16" else "no")


def check(config: TrainConfig, processes: int) -> None:
    """Whether a batch can be shared evenly.

    Raises:
        ToolError: It cannot.
    """
    if config.batch % processes:
        raise ToolError(
            f"train: a batch of {config.batch} windows cannot be shared evenly by {processes} processes; "
            f"set processes to a divisor of {config.batch}, or batch to a multiple of {processes}"
        )
    if config.batch % config.accumulate:
        raise ToolError(f"train: accumulate is {config.accumulate}, expected a divisor of the batch, {config.batch}")


def together(processes: int, work: Callable[..., None], *arguments: Any) -> None:
    """Run `work(*arguments)` in new processes that form a group on this machine, and wait for them.

    When one fails, or when this process dies, the others are ended. The first one's log goes to this
    process's handlers, of the others only warnings.

    Raises:
        ToolError: One of them raised it.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    records = context.Queue()
    failures = context.SimpleQueue()
    listener = logging.handlers.QueueListener(records, _Forward())
    listener.start()
    try:
        torch.multiprocessing.spawn(
            _rank, (os.getpid(), processes, port, records, failures, work, arguments), nprocs=processes, join=True
        )
    except ProcessExitedException as error:
        if failures.empty():
            raise ToolError(f"train: one of {processes} processes ended: {error}") from None
        raise ToolError(failures.get()) from None
    finally:
        listener.stop()
        records.close()


def _die_with(parent: int) -> None:
    """Be killed when the parent dies, however it dies: nobody else would end a process that still writes states.

    torch asks for SIGINT, which a process does not hear that was started in the background of a shell.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before
        sys.exit(1)


class _Forward(logging.Handler):
    """Hands the records of another process to this one's handlers."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand on one record."""
        logging.getLogger(record.name).handle(record)


def _rank(
    rank: int,
    parent: int,
    processes: int,
    port: int,
    records: Any,
    failures: SimpleQueue[str],
    work: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    """One process of `together`."""
    _die_with(parent)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes), LOCAL_WORLD_SIZE=str(processes),
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
    )  # fmt: skip
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    hush()
    root.handlers = [logging.handlers.QueueHandler(records)]
    logging.captureWarnings(True)
    try:
        work(*arguments)
    except ToolError as error:
        failures.put(str(error))
        sys.exit(1)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
