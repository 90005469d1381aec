"""Published weights into the model's parts: Stable Diffusion's UNet and VAE, AnimateDiff's motion modules, CLIP.

All files are safetensors with the state-dict names of diffusers or transformers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from model_zoo.diffusion.config import SD_LATENT_SCALE

# Names of the attention layers in files written before diffusers 0.13.
_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def load(model: nn.Module, files: Mapping[str, Path]) -> None:
    """Fill parts of a model from files.

    Args:
        model: Changed in place: a `MimoModel`, or what has those of its parts that are filled.
        files: By part: "unet" (denoiser and reference network; the denoiser's further input channels start at zero),
            "motion" (motion modules), "vae" (with Stable Diffusion's latent scale), "clip" (image tower).

    Raises:
        ValueError: A part is unknown, or a file does not fit the model's shape.
    """
    parts: dict[str, Callable[[Any, dict[str, Tensor]], str]] = {
        "unet": _unet,
        "motion": _motion,
        "vae": _vae,
        "clip": _clip,
    }
    for part, path in files.items():
        if part not in parts:
            raise ValueError(f"pretrained part {part!r} is unknown; one of {', '.join(parts)}")
        fault = parts[part](model, load_file(path))
        if fault:
            raise ValueError(f"{path} does not fit the model's {part}: {fault}")


def _filled(module: nn.Module, tensors: dict[str, Tensor], optional: str = "") -> str:
    """Load what must be there; names with `optional` in them may stay. Returns what is wrong, or nothing."""
    own = module.state_dict()
    missing = [name for name in own if name not in tensors and not (optional and optional in name)]
    surplus = [name for name in tensors if name not in own]
    shapes = [
        f"{name} is {tuple(tensor.shape)}, expected {tuple(own[name].shape)}"
        for name, tensor in tensors.items()
        if name in own and tensor.shape != own[name].shape
    ]
    faults = [
        f"{len(names)} names {word}, such as {names[0]}"
        for names, word in ((missing, "missing"), (surplus, "too many"))
        if names
    ]
    faults += shapes[:1]
    if not faults:
        module.load_state_dict(tensors, strict=False)
    return "; ".join(faults)


def _unet(model: Any, tensors: dict[str, Tensor]) -> str:
    fault = _filled(model.identity.reference.unet, tensors)
    if fault:
        return fault
    widened = dict(tensors)
    kernel = tensors["conv_in.weight"]
    further = model.denoiser.unet.conv_in.in_channels - kernel.shape[1]
    widened["conv_in.weight"] = torch.cat([kernel, kernel.new_zeros(len(kernel), further, *kernel.shape[2:])], 1)
    return _filled(model.denoiser.unet, widened, optional="motion_modules")


def _motion(model: Any, tensors: dict[str, Tensor]) -> str:
    own = model.denoiser.unet.state_dict()
    absent = [name for name in own if "motion_modules" in name and name not in tensors]
    if absent:
        return f"{len(absent)} names missing, such as {absent[0]}"
    return _filled(model.denoiser.unet, {**own, **tensors})


def _vae(model: Any, tensors: dict[str, Tensor]) -> str:
    vae = getattr(model.latents, "vae", None)
    if vae is None:
        return "the model has no AutoencoderKL"
    renamed = {}
    for name, tensor in tensors.items():
        words = name.split(".")
        if "attentions" in words and words[-2] in _OLD_ATTENTION:
            words[-2] = _OLD_ATTENTION[words[-2]]
            tensor = tensor.reshape(tensor.shape[:2]) if tensor.ndim == 4 else tensor
        renamed[".".join(words)] = tensor
    fault = _filled(vae, renamed)
    if not fault:
        model.latents.shift.zero_()
        model.latents.scale.fill_(SD_LATENT_SCALE)
    return fault


def _clip(model: Any, tensors: dict[str, Tensor]) -> str:
    tower = getattr(model.identity.tower, "model", None)
    if tower is None:
        return "the model has no CLIP tower"
    vision = {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith(("vision_model.", "visual_projection.")) and not name.endswith("position_ids")
    }
    return _filled(tower, vision)
