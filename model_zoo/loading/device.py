"""Where networks run: the user's word, or what the machine has."""

from __future__ import annotations

import torch

NAMES = ("auto", "cpu", "cuda")


def choose(name: str) -> torch.device:
    """Device for "auto", "cpu" or "cuda"; `auto` takes a GPU where one is visible.

    Raises:
        ValueError: The name is unknown, or "cuda" is asked for and no GPU is visible.
    """
    if name not in NAMES:
        raise ValueError(f"device is {name!r}, expected one of {', '.join(NAMES)}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("device is cuda but no GPU is visible; set it to cpu or auto, or run where there is a GPU")
    return torch.device("cuda" if available and name != "cpu" else "cpu")
