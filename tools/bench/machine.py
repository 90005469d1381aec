"""The machine a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

_TOLD = ("numpy", "opencv-contrib-python-headless", "mediapipe", "torch", "numba", "zarr", "snakemake")


def describe() -> str:
    """One paragraph: processor, cores, memory, system, package versions."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _TOLD)
    return (
        f"{cpu}, {len(os.sched_getaffinity(0))} cores, {memory_gb:.0f} GB of memory, no GPU used; "
        f"Python {platform.python_version()}; {versions}."
    )
