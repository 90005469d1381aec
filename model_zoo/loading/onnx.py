"""ONNX networks through onnxruntime, on the processor or on a GPU, as asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

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
