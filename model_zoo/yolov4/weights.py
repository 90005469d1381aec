"""Darknet's weight files: a header of five int32, then float32 values in the order of the convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model_zoo.yolov4.network import Yolov4

HEADER_BYTES = 20


def load_darknet(network: Yolov4, path: Path) -> None:
    """Fill a network from a weight file: per convolution the bias, then scale, mean and variance, then the kernel.

    Raises:
        ValueError: The file is not of this network; the message tells the sizes.
    """
    tensors = _tensors(network)
    expected = HEADER_BYTES + 4 * sum(tensor.numel() for tensor in tensors)
    found = path.stat().st_size
    if found != expected:
        kind = "truncated" if found < expected else "of another network"
        raise ValueError(f"{path}: has {found:,} bytes, expected {expected:,}; the file is {kind}, fetch it again")
    values = torch.from_numpy(np.fromfile(path, np.float32, offset=HEADER_BYTES))
    if not bool(torch.isfinite(values).all()):
        raise ValueError(f"{path}: has values that are not finite; the file is damaged, fetch it again")
    start = 0
    with torch.no_grad():
        for tensor in tensors:
            tensor.copy_(values[start : start + tensor.numel()].reshape(tensor.shape))
            start += tensor.numel()


def save_darknet(network: Yolov4, path: Path) -> None:
    """Write a network's weights in Darknet's format."""
    with path.open("wb") as file:
        file.write(np.array([0, 2, 5, 0, 0], np.int32).tobytes())
        for tensor in _tensors(network):
            file.write(tensor.detach().numpy().astype(np.float32).tobytes())


def _tensors(network: Yolov4) -> list[Tensor]:
    """Tensors in the order of the file."""
    found: list[Tensor] = []
    for module in network.models:
        parts = list(module.children())
        if not parts:
            continue
        conv = parts[0]
        assert isinstance(conv, nn.Conv2d)
        if len(parts) > 1:
            norm = parts[1]
            assert isinstance(norm, nn.BatchNorm2d)
            found += [norm.bias, norm.weight, norm.running_mean, norm.running_var]  # type: ignore[list-item]
        else:
            assert conv.bias is not None
            found.append(conv.bias)
        found.append(conv.weight)
    return found
