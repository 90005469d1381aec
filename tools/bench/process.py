"""Runs a command and measures it from outside: wall time, processor time, peak memory of the largest process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow.errors import ToolError


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def measure(command: Sequence[str], directory: Path, log: Path) -> Cost:
    """Run a command to its end.

    Args:
        command: Program and arguments.
        directory: Working directory.
        log: File for everything it prints.

    Raises:
        ToolError: It failed; the end of the log is in the message.
    """
    started = time.monotonic()
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=directory, stdout=sink, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise ToolError(f"{' '.join(map(str, command))}: exit code {process.returncode}\n{tail}")
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
