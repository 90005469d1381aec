"""The free body for tests: derived once for all of them, because deriving takes some seconds."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import inspect
from pathlib import Path

import numpy as np
import pytest

from model_zoo.body import decimate, skeleton
from model_zoo.body.smpl import SmplModel
from workflow.store import replacing

_CACHE = Path(__file__).resolve().parents[1] / ".pytest_cache" / "bodies"


@functools.cache
def free_body_file() -> Path:
    """An `.npz` with the free body; kept in pytest's cache folder under a name that changes with the code."""
    free = pytest.importorskip("model_zoo.body.free", reason="anny is not in this environment", exc_type=ImportError)
    sources = "".join(inspect.getsource(module) for module in (free, decimate, skeleton))
    path = _CACHE / f"free-{hashlib.sha256(sources.encode()).hexdigest()[:16]}.npz"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes, and one derives for all
        if not path.exists():
            with replacing(path) as partial, partial.open("wb") as file:
                np.savez(file, **SmplModel.from_arrays(free.derive()).arrays())
    return path


@functools.cache
def free_body() -> SmplModel:
    """The free body."""
    return SmplModel.load(free_body_file())
