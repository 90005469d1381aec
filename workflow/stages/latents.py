"""Latents: what a recipe's frozen networks make of the shards, so that training need not make it in every step."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from workflow.stage import Backend, File, Params, Resources, Stage, device_faults
from workflow.stages.body_model import BODY_MODEL
from workflow.stages.shards import SHARD

LATENTS = File("latents", "latents/{split}/{shard}/latents.json")  # written last, beside the arrays it describes
EVERY_LATENTS = File("latents", LATENTS.path, each=True, when="latents")


@dataclass(frozen=True)
class VaeParams(Params):
    """Autoencoder and CLIP on every frame; nothing runs it unless `train` has `latents: true`."""

    recipe: str = ""  # as of `train`; its autoencoder must be a pretrained one
    device: str = "auto"  # auto, cpu or cuda

    def faults(self) -> list[str]:
        """Values that cannot work."""
        return device_faults(self.device)

    def needs(self, declared: Resources) -> Resources:
        """The networks of published recipes want a GPU; a small one does."""
        return dataclasses.replace(declared, gpu_class="gpu-small") if self.recipe else declared


STAGE = Stage(
    "latents",
    "latents and embeddings of a shard by a recipe's frozen networks",
    inputs=(SHARD, BODY_MODEL),
    outputs=(LATENTS,),
    backends={
        "vae": Backend(
            "train",
            VaeParams,
            Resources(threads=2, mem_mb=6_000, runtime_min=600),
            weights=("for:train/{recipe}",),
            summary="diffusers, transformers",
        )
    },
    default="vae",
)
