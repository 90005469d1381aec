"""ONNX networks through onnxruntime, on the processor or on a GPU, as asked for."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

logger = logging.getLogger(__name__)

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def provider(device: str) -> str:
    """Execution provider for "auto", "cpu" or "cuda"; `auto` takes CUDA where onnxruntime was built with it.

    Raises:
        ValueError: The name is unknown, or "cuda" is asked for and this onnxruntime has no CUDA.
    """
    available = onnxruntime.get_available_providers()
    if device == "auto":
        device = "cuda" if PROVIDERS["cuda"] in available else "cpu"
    if device not in PROVIDERS:
        raise ValueError(f"device is {device!r}, expected one of auto, {', '.join(PROVIDERS)}")
    if PROVIDERS[device] not in available:
        raise ValueError(
            f"device is {device} but this onnxruntime offers {', '.join(available)} only; set it to cpu, or install "
            "onnxruntime-gpu in this environment"
        )
    return PROVIDERS[device]


def load(path: Path, device: str = "cpu", threads: int = 1) -> onnxruntime.InferenceSession:
    """Open a network.

    Tensors of a model must lie in its own file: a path to another file in it is refused.

    Args:
        path: ONNX file.
        device: "auto", "cpu" or "cuda".
        threads: Processor threads.

    Raises:
        ValueError: It is no such file, is damaged, needs operators or files from elsewhere, or the device is absent.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; they are raised too
    chosen = provider(device)
    data = path.read_bytes()
    try:
        # From bytes, not from a path: then there is no folder against which references to other files could resolve.
        session = onnxruntime.InferenceSession(data, options, providers=[chosen])
    except Exception as error:  # noqa: BLE001  onnxruntime raises classes of its own that share no base but Exception
        raise ValueError(f"{path}: not a readable ONNX network: {' '.join(str(error).split())[:300]}") from None
    if session.get_providers()[0] != chosen:
        raise ValueError(f"{path}: {chosen} was asked for and could not be started; see the messages of onnxruntime")
    return session


def run(session: onnxruntime.InferenceSession, path: Path, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """All outputs of a network.

    Raises:
        ValueError: The network takes other inputs.
        MemoryError: The GPU's memory does not suffice.
    """
    try:
        return list(session.run(None, dict(inputs)))
    except Exception as error:  # noqa: BLE001  see `load`
        reason = " ".join(str(error).split())[:300]
        if "allocate memory" in reason or "out of memory" in reason.lower():
            raise MemoryError(f"{path}: out of GPU memory: {reason}") from None
        raise ValueError(f"{path}: does not run on {[x.shape for x in inputs.values()]}: {reason}") from None


class Batches:
    """Runs a network with one input on at most `size` items at a time; out of memory, on half as many from then on.

    Attributes:
        size: Items at a time, now.
    """

    def __init__(self, session: onnxruntime.InferenceSession, path: Path, size: int) -> None:
        """Wrap a network; one whose file fixes the number of items gets one at a time."""
        first = session.get_inputs()[0]
        self.size = 1 if isinstance(first.shape[0], int) else max(size, 1)
        self._session, self._path, self._input = session, path, first.name

    def __call__(self, items: np.ndarray) -> list[np.ndarray]:
        """All outputs of all items (N, ...), each (N, ...).

        Raises:
            ValueError: It is another network.
            MemoryError: Not even a single item fits.
        """
        done: list[list[np.ndarray]] = []
        start = 0
        while start < len(items):
            part = items[start : start + self.size]
            try:
                done.append(run(self._session, self._path, {self._input: part}))
            except MemoryError:
                if self.size == 1:
                    raise
                self.size //= 2
                logger.warning(
                    "out of GPU memory: going on with %d at a time; set batch to that to begin with", self.size
                )
                continue
            start += len(part)
        return [np.concatenate(output) for output in zip(*done)]
