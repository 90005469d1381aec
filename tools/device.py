"""GPUs of a job: takes free devices by locks that the kernel frees when the process ends."""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
import time
from pathlib import Path

from workflow.errors import ToolError

_SECONDS_BETWEEN_TRIES = 1.0


def claim(count: int, directory: Path | None = None, wanted: int = 1) -> str | None:
    """Take devices for this process, all or none, and set CUDA_VISIBLE_DEVICES.

    Where the variable is already set (Slurm, Kubernetes), the scheduler has chosen: it is left alone.

    Args:
        count: Devices of the machine.
        directory: Folder of the lock files; by default one per user in the system's temporary folder.
        wanted: Devices to take.

    Returns:
        Indices of the devices, as in CUDA_VISIBLE_DEVICES; None where the scheduler chose.

    Raises:
        ToolError: The machine has no GPU, or fewer than wanted.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES"):
        return None
    if count < 1:
        raise ToolError("the job needs a GPU and none is visible; choose another backend or run it where one is")
    if count < wanted:
        raise ToolError(f"the job needs {wanted} GPUs and {count} are visible; set `processes` to at most {count}")
    folder = directory or Path(tempfile.gettempdir()) / f"strata-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        held: dict[int, int] = {}
        for device in range(count):
            handle = os.open(folder / f"{device}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            held[device] = handle
            if len(held) == wanted:
                os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, held))
                return os.environ["CUDA_VISIBLE_DEVICES"]
        for handle in held.values():  # too few are free: leave them to others while waiting
            os.close(handle)
        time.sleep(_SECONDS_BETWEEN_TRIES + random.random())  # two jobs that wait do not try in step


def count() -> int:
    """Number of NVIDIA devices of the machine, without loading CUDA."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*"))) or len(list(Path("/dev").glob("nvidia[0-9]*")))
