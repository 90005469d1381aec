"""Depth and normals of one picture."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from model_zoo.loading.device import choose
from model_zoo.sapiens.dense import depth_picture, normal_picture, unit_normals
from model_zoo.sapiens.network import Network, prepare, resized
from tools.sapiens import pictures
from tools.sapiens.checkpoints import SEGMENTERS, resolve

_CHANNELS = {"fg-bg-1b": 2, "part-seg-1b": 28}


def depth(options: argparse.Namespace) -> None:
    """Write the picture and the array of relative depth: float32, source size, NaN in the background."""
    rgb = pictures.read(options.input)
    path = resolve(
        f"sapiens-depth-{options.depth_model}", options.depth_checkpoint, options.checkpoint_dir, "--depth_checkpoint"
    )
    values = _output(path, 1, rgb, options.device)[..., 0]
    mask = foreground(rgb, options)
    pictures.write(options.output, depth_picture(values, mask))
    if options.npy is not None:
        pictures.write_array(options.npy, np.where(mask, values, np.float32(np.nan)))


def normal(options: argparse.Namespace) -> None:
    """Write the picture and the array of normals: float32, source size, unit length, -1 in the background."""
    rgb = pictures.read(options.input)
    path = resolve(
        f"sapiens-normal-{options.normal_model}",
        options.normal_checkpoint,
        options.checkpoint_dir,
        "--normal_checkpoint",
    )
    values = unit_normals(_output(path, 3, rgb, options.device))
    mask = foreground(rgb, options)
    pictures.write(options.output, normal_picture(values, mask))
    if options.npy is not None:
        pictures.write_array(options.npy, np.where(mask[..., None], values, np.float32(-1)))


def foreground(rgb: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    """Where the picture shows a person, by the segmenter chosen; everywhere without one. Shape (H, W), bool."""
    if options.seg_model == "no-bg-removal":
        return np.ones(rgb.shape[:2], bool)
    path = resolve(SEGMENTERS[options.seg_model], options.seg_checkpoint, options.checkpoint_dir, "--seg_checkpoint")
    return _output(path, _CHANNELS[options.seg_model], rgb, options.device).argmax(-1) > 0


def _output(path: Path, channels: int, rgb: np.ndarray, device: str) -> np.ndarray:
    """Output of a network at the size of the picture, (H, W, C), float32."""
    network = Network(path, choose(device), (channels,))
    out = resized(network(prepare(rgb)[None]), rgb.shape[0], rgb.shape[1])
    return torch.squeeze(out, 0).permute(1, 2, 0).cpu().numpy()
