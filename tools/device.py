"""One GPU per job: takes a free device by a lock that the kernel frees when the process ends."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from pathlib import Path

from workflow.errors import ToolError

_SECONDS_BETWEEN_TRIES = 1.0


def claim(count: int, directory: Path | None = None) -> int | None:
    """Take one of `count` devices for this process and set CUDA_VISIBLE_DEVICES.

    Where the variable is already set (Slurm, Kubernetes), the scheduler has chosen: it is left alone.

    Args:
        count: Devices of the machine.
        directory: Folder of the lock files; by default one per user in the system's temporary folder.

    Returns:
        Index of the device; None where the scheduler chose.

    Raises:
        ToolError: The machine has no GPU.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES"):
        return None
    if count < 1:
        raise ToolError("the job needs a GPU and none is visible; choose another backend or run it where one is")
    folder = directory or Path(tempfile.gettempdir()) / f"strata-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        for device in range(count):
            handle = os.open(folder / f"{device}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            os.environ["CUDA_VISIBLE_DEVICES"] = str(device)
            return device
        time.sleep(_SECONDS_BETWEEN_TRIES)


def count() -> int:
    """Number of NVIDIA devices of the machine, without loading CUDA."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*"))) or len(list(Path("/dev").glob("nvidia[0-9]*")))
