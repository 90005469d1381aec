"""A trained model as two files: weights in safetensors, everything else in JSON. No pickles."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from model_zoo.diffusion.config import from_json, to_json
from model_zoo.diffusion.mimo import MimoModel

FORMAT = "strata-mimo"
FORMAT_VERSION = 1


def save(
    model: MimoModel, averaged: Mapping[str, Tensor], weights: Path, settings: Path, record: Mapping[str, Any]
) -> None:
    """Write a model.

    Args:
        model: The model.
        averaged: Weights that replace the model's own of the same name.
        weights: Where the safetensors file goes.
        settings: Where the JSON file goes.
        record: How the model was trained; JSON data.
    """
    tensors = {**model.state_dict(), **averaged}
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, weights, {"format": FORMAT}
    )
    document = {"format": FORMAT, "version": FORMAT_VERSION, "model": to_json(model.config), "training": dict(record)}
    settings.write_text(json.dumps(document, indent=1) + "\n")


def load(weights: Path, settings: Path) -> tuple[MimoModel, dict[str, Any]]:
    """Read a model, on the CPU and ready to sample, and the record of its training.

    Raises:
        ValueError: The files are not such a model, or of another version.
    """
    document = json.loads(settings.read_text())
    found = f"{document.get('format')} v{document.get('version')}"
    if found != f"{FORMAT} v{FORMAT_VERSION}":
        raise ValueError(f"{settings} holds {found}, expected {FORMAT} v{FORMAT_VERSION}; train again")
    model = MimoModel(from_json(document["model"]))
    model.load_state_dict(load_file(weights), strict=True)
    return model.eval().requires_grad_(False), document["training"]
