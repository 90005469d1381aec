"""Depth and normals of the subject by Sapiens, from the crop's pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Callable

import numpy as np
import torch

from model_zoo.body.smpl import SmplModel
from model_zoo.loading.device import choose
from model_zoo.sapiens.dense import AXES, unit_normals
from model_zoo.sapiens.network import Network, prepare, resized
from tools.faults import of_networks
from tools.networks import chunks
from tools.surface.relative import RelativeDepth
from tools.surface.silhouette import silhouettes
from workflow.stages.body import Body
from workflow.stages.crop import Crop
from workflow.stages.surface import SapiensParams, Surface

_LABEL = "surface/sapiens"
_HALF = 128  # of the matte
_UNIT = 127.0  # int8 value of a unit normal's component


def load(params: SapiensParams, files: Mapping[str, Path]) -> Callable[[Body, Crop], Surface]:
    """Open both networks and return the estimator.

    Raises:
        ToolError: A file is another network, or the device is not there.
    """
    with of_networks(_LABEL):
        device = choose(params.device)
        depth = Network(files[f"sapiens-depth-{params.size}"], device, (1,), params.batch, params.half)
        normal = Network(files[f"sapiens-normal-{params.size}"], device, (3,), params.batch, params.half)
    model = SmplModel.load(files["body_model"])

    def work(body: Body, crop: Crop) -> Surface:
        with of_networks(_LABEL):
            return estimate(depth, normal, model, body, crop, params)

    return work


def estimate(
    depth: Network, normal: Network, model: SmplModel, body: Body, crop: Crop, params: SapiensParams
) -> Surface:
    """Depth and normals of every valid frame.

    The estimate is kept where the subject is seen, and where its body is behind something: there it is that of the
    thing in front, and the layers tell it from the subject by the matte. Depth is relative; the subject's pixels of
    the whole clip span its range.
    """
    height, width = crop.rgb.frame_shape[:2]
    relative, normals = RelativeDepth(height, width), Surface.spool("normal")
    signs = np.array(AXES[params.normal_axes], np.float32)
    nothing = np.zeros((height, width), bool)
    valid: list[bool] = []
    shares, facing = [], []
    for items in chunks(_frames(model, body, crop), params.batch):
        valid += [mask is not None for _, mask, _ in items]
        usable = [rgb for rgb, mask, _ in items if mask is not None]
        raw, towards = iter(_maps(depth, usable, height, width)), iter(_maps(normal, usable, height, width))
        for _, mask, seen in items:
            if mask is None:
                relative.append(np.zeros((height, width), np.float32), nothing, nothing)
                normals.append(np.zeros((height, width, 3), np.int8))
                continue
            relative.append(next(raw)[..., 0], mask, seen)
            unit = unit_normals(next(towards)) * signs
            unit[~mask] = 0
            normals.append(np.rint(unit * _UNIT).astype(np.int8))
            shares.append(mask.mean())
            facing.append((unit[seen, 2] < 0).mean())
    quality = {"body_share": float(np.mean(shares)), "facing_share": float(np.mean(facing))} if shares else {}
    return Surface(
        depth=relative.finish(), normal=normals.finish(), valid=np.array(valid, bool), metric=False, quality=quality
    )


def _frames(model: SmplModel, body: Body, crop: Crop) -> Iterator[tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """Picture, where the estimate is kept, and where the subject is seen; None where there is no subject."""
    rows = zip(crop.rgb, crop.matte, crop.inside, silhouettes(model, body, crop), crop.valid)
    for rgb, matte, inside, hidden, valid in rows:
        seen = (matte >= _HALF) & inside
        yield rgb, (seen | (hidden & inside)) if valid and seen.any() else None, seen


def _maps(network: Network, pictures: list[np.ndarray], height: int, width: int) -> Iterator[np.ndarray]:
    """Outputs at the size of the crop, (H, W, C), float32."""
    if pictures:
        outputs = network(torch.stack([prepare(rgb) for rgb in pictures]))
        for output in outputs:
            yield resized(output[None], height, width)[0].permute(1, 2, 0).cpu().numpy()
