"""Latents of a shard in a folder: a few `.npy` arrays and `latents.json`, which is written last and says what they are.

| array | shape | what |
|---|---|---|
| `video`, `scene`, `occluder` | (T, 4, h, w) | latents of the layers, frames of all clips end to end as in the shard |
| `reference` | (R, 4, s, s) | latents of identity pictures |
| `embedding` | (R, 512) | CLIP's embeddings of identity pictures |

All are float32. R is T where the subject is shown as it stands in a frame, and N, one per clip, where it is re-posed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from model_zoo.diffusion.frozen import PARTS
from tools import provenance
from tools.recipes import TrainConfig
from workflow.errors import ToolError
from workflow.shard_reader import Clip, Shard

FORMAT = "strata-latents"
FORMAT_VERSION = 1
ARRAYS = ("video", "scene", "occluder", "reference", "embedding")


def check(config: TrainConfig) -> None:
    """Whether what a recipe's networks give can be kept.

    Raises:
        ToolError: They learn during the run.
    """
    model = config.model
    if (
        model.autoencoder != "kl"
        or config.autoencoder_steps
        or not model.clip
        or not set(PARTS) <= set(config.pretrained)
    ):
        raise ToolError(
            "latents: the recipe's autoencoder or its identity network is trained in the run itself, so what they give "
            "cannot be made before; use a recipe with pretrained ones (small, paper), or train without latents"
        )


def key(config: TrainConfig, files: Mapping[str, Path], body_model: Path) -> str:
    """Digest of everything but the shard that latents depend on: weights, networks, how the subject is shown."""
    model = config.model
    said = {
        "weights": {part: provenance.file_digest(files[part]) for part in PARTS},
        "networks": [model.vae_channels, model.vae_layers, model.vae_groups, model.clip],
        "identity": [model.identity, model.reposer],
        "body_model": provenance.file_digest(body_model) if model.identity != "crop" else "",
        "version": FORMAT_VERSION,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def describe(shard: Shard, made_with: str, size: tuple[int, int]) -> dict[str, Any]:
    """Content of `latents.json`.

    Args:
        shard: What the latents are of.
        made_with: See `key`.
        size: (H, W) of the frames that the networks saw, px.
    """
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "shard": shard.attributes["digest"],
        "key": made_with,
        "size": list(size),
    }


class LatentCache:
    """Reads the latents of one shard; threads may share it."""

    def __init__(self, path: Path, shard: Shard, made_with: str, per_clip: bool) -> None:
        """Open.

        Args:
            path: `latents.json`.
            shard: What they should be of.
            made_with: What they should be made with, see `key`.
            per_clip: Whether there is one identity picture per clip, and not one per frame.

        Raises:
            ToolError: They are of another shard, or of other weights or settings.
        """
        found = json.loads(path.read_text())
        expected = describe(shard, made_with, tuple(found.get("size", (0, 0))))
        for name, about in (("format", "not latents"), ("version", "of another version"), ("shard", "of another shard"),
                            ("key", "of other weights or another recipe")):  # fmt: skip
            if found.get(name) != expected[name]:
                raise ToolError(f"train: {path} is {about}; run `snakemake --forcerun latents` with this recipe")
        self.size = (int(found["size"][0]), int(found["size"][1]))
        self._path, self._shard, self._per_clip = path, shard, per_clip
        self._numbers = {clip.id: number for number, clip in enumerate(shard.clips)}
        self._arrays = {name: np.load(path.with_name(f"{name}.npy"), mmap_mode="r") for name in ARRAYS}

    def read(self, clip: Clip, start: int, length: int, reference: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
        """Latents of a window, and of the identity picture of frame `reference`; see `latent_arrays`.

        Raises:
            ToolError: They are of frames of another size.
        """
        if size != self.size:
            raise ToolError(
                f"train: {self._path} is of frames of {self.size[0]} x {self.size[1]} px, this run's have {size[0]} x "
                f"{size[1]}; run `snakemake --forcerun latents` with this recipe"
            )
        begin = clip.start + start
        shown = self._numbers[clip.id] if self._per_clip else clip.start + reference
        made = {name: np.array(self._arrays[name][begin : begin + length]) for name in ("video", "scene", "occluder")}
        return {**made, **{name: np.array(self._arrays[name][shown]) for name in ("reference", "embedding")}}
