"""Relative depth of the subject by MiDaS 2.1 small; it gives no normals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Callable

import numpy as np

from model_zoo.body.smpl import SmplModel
from model_zoo.loading.device import choose
from model_zoo.midas.network import Midas
from tools.faults import of_networks
from tools.networks import chunks
from tools.surface.relative import RelativeDepth
from tools.surface.silhouette import silhouettes
from workflow.stages.body import Body
from workflow.stages.crop import Crop
from workflow.stages.surface import MidasParams, Surface

_LABEL = "surface/midas"
_HALF = 128  # of the matte


def load(params: MidasParams, files: Mapping[str, Path]) -> Callable[[Body, Crop], Surface]:
    """Open the network and return the estimator.

    Raises:
        ToolError: The file is another network, or the device is not there.
    """
    with of_networks(_LABEL):
        network = Midas(files["midas-small"], choose(params.device), params.batch)
    model = SmplModel.load(files["body_model"])

    def work(body: Body, crop: Crop) -> Surface:
        with of_networks(_LABEL):
            return estimate(network, model, body, crop, params.batch)

    return work


def estimate(network: Midas, model: SmplModel, body: Body, crop: Crop, batch: int) -> Surface:
    """Depth of every valid frame, kept where the subject is seen and where its body is behind something.

    The network gives inverse depth up to scale and shift, so only the order of its values is known: it is turned
    round, and the subject's pixels of the whole clip span the range.
    """
    height, width = crop.rgb.frame_shape[:2]
    relative, normals = RelativeDepth(height, width), Surface.spool("normal")
    empty, nothing = np.zeros((height, width, 3), np.int8), np.zeros((height, width), bool)
    valid, shares = [], []
    frames = zip(crop.rgb, crop.matte, crop.inside, silhouettes(model, body, crop), crop.valid)
    for items in chunks(frames, batch):
        outputs = network([item[0] for item in items])
        for output, (_, matte, inside, hidden, sound) in zip(outputs, items):
            seen = (matte >= _HALF) & inside
            valid.append(bool(sound and seen.any()))
            mask = seen | (hidden & inside) if valid[-1] else nothing
            relative.append(-output, mask, seen if valid[-1] else nothing)
            normals.append(empty)
            if valid[-1]:
                shares.append(mask.mean())
    quality = {"body_share": float(np.mean(shares))} if shares else {}
    return Surface(
        depth=relative.finish(), normal=normals.finish(), valid=np.array(valid, bool), metric=False, quality=quality
    )
