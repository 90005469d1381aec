"""How a file was made: the same for the same inputs, so no time and no host."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from workflow import layout

_TOLD = ("numpy", "opencv-contrib-python-headless", "mediapipe", "torch", "numba", "zarr", "imageio-ffmpeg")


def commit() -> str:
    """Commit of this checkout, with "+" where files differ from it; "unknown" outside a checkout."""
    git = ["git", "-C", str(layout.repository)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
        if head.returncode:
            return "unknown"
        state = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "unknown"
    return head.stdout.strip() + ("+" if state.stdout.strip() else "")


def versions() -> dict[str, str]:
    """Versions of the packages that decide results, as far as this environment has them."""
    found = {}
    for name in _TOLD:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def record(
    stage: str,
    backend: str,
    version: int,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    weights: Optional[Mapping[str, str]] = None,
) -> dict[str, Any]:
    """Provenance of an output.

    Args:
        stage: Stage name.
        backend: Backend name.
        version: Backend version.
        settings: Settings of the backend.
        inputs: Digest of every input, by name.
        weights: Digest of every weight file, by name.
    """
    return {
        "stage": stage,
        "backend": backend,
        "version": version,
        "settings": dict(settings),
        "inputs": dict(inputs),
        **({"weights": dict(weights)} if weights else {}),
        "packages": versions(),
        "commit": commit(),
    }


def file_digest(path: Path) -> str:
    """Digest of a file that is not an artifact."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
