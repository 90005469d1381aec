"""A video from the trained model by DDIM, driven by clips or files, with a sheet that shows the conditions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from model_zoo.diffusion import checkpoint
from model_zoo.diffusion.mimo import MimoModel
from model_zoo.diffusion.pictures import ClipBatch, Placement, collate, to_pictures
from model_zoo.diffusion.posing import Poser
from model_zoo.diffusion.rasterize import DifferentiableRasterizer
from model_zoo.diffusion.sampling import sample
from model_zoo.loading import device
from tools import mp4, progress
from tools.sample import clips
from tools.sample.control import chosen, gathered
from tools.sample.sheet import sheet
from workflow.errors import ToolError
from workflow.stages.train import SampleParams
from workflow.store import replacing

logger = logging.getLogger(__name__)

_MOMENTS = 6
_MOTION_SCALE = 4  # of the motion row over the model's raster, for the eye
_VIDEO_PX = 256  # smaller models' videos are enlarged to at least this height


def run(params: SampleParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Sample a video and write it and its sheet."""
    where = _device(params.device)
    model, record = _model(inputs)
    if where.type == "cpu":
        torch.set_num_threads(int(record["config"]["cpu_threads"]))
    with np.load(_paths(inputs["body_model"])[0]) as body:
        arrays = dict(body)
    poser = Poser(arrays).to(where)
    if poser.num_vertices != model.config.num_vertices:
        raise ToolError(
            f"sample: the model was trained on a body of {model.config.num_vertices} vertices, this one has "
            f"{poser.num_vertices}; train again"
        )
    control = chosen(params, clips.every(_paths(inputs["shards"])))
    logger.info(
        "sample: motion of %s, identity of %s, scene of %s, on %s",
        *(control.names[name] for name in ("motion", "identity", "scene")), where,
    )  # fmt: skip
    driven = gathered(control, params.frames, model.config, arrays)
    known = collate([driven.arrays], where)
    model = model.to(where)
    guidance = float(record["config"]["guidance"]) if params.guidance is None else params.guidance
    result = composed(model, poser, known, params, guidance)
    with replacing(outputs["video"]) as path:
        mp4.write(mp4.enlarged(result, _VIDEO_PX), driven.fps, path)
    trained_on = "" if control.held_out else ", NOT held out: the model was trained on this clip"
    note = (
        f"motion {control.names['motion']}{trained_on}\nidentity {control.names['identity']}, "
        f"scene {control.names['scene']}\n{record['recipe']}, {record['steps']} steps, guidance {guidance:g}"
    )
    rows = {
        "reference": to_pictures(known.reference[0][:, None]),
        "motion": motion_map(model, poser, known),
        "scene": to_pictures(known.scene[0]),
        "occluder": to_pictures(known.occluder[0]),
        "result": result,
    }
    if driven.driver is not None:
        rows["driver"] = driven.driver
    picture = sheet(rows, _MOMENTS, note)
    with replacing(outputs["sheet"]) as path:
        path.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())


@torch.no_grad()
def composed(model: MimoModel, poser: Poser, known: ClipBatch, params: SampleParams, guidance: float) -> np.ndarray:
    """Sampled frames with the occluders of the scene put back in front, (T, H, W, 3) uint8."""
    vertices = poser(known.betas, known.pose, known.transl)
    conditions = model.conditions(known.scene, known.occluder, vertices, poser.faces, known.intrinsics, known.reference)

    def shown(steps: list[int]) -> Iterable[int]:
        return progress.bar(steps, len(steps), "sample")

    latents = sample(
        model,
        conditions,
        steps=params.steps,
        guidance=guidance,
        generator=torch.Generator().manual_seed(params.seed),
        progress=shown,
    )
    before = known.occluder_mask[:, None]
    return to_pictures((model.latents.decode(latents) * (1 - before) + known.video * before)[0])


@torch.no_grad()
def motion_map(model: MimoModel, poser: Poser, known: ClipBatch) -> np.ndarray:
    """The driving body in fixed colours per vertex on black, finer than the model sees it, (T, H, W, 3) uint8."""
    template = poser.template
    colours = (template - template.amin(0)) / (template.amax(0) - template.amin(0))
    vertices = poser(known.betas, known.pose, known.transl)[0]
    height, width = model.config.motion_size
    place = Placement.cover((height, width), (height * _MOTION_SCALE, width * _MOTION_SCALE))
    intrinsics = torch.from_numpy(place.intrinsics(known.intrinsics[0].cpu().numpy())).to(vertices.device)
    drawn, _, _ = DifferentiableRasterizer((place.height, place.width))(vertices, poser.faces, colours, intrinsics)
    return to_pictures(drawn.transpose(0, 1) * 2 - 1)


def _model(inputs: Mapping[str, Path | list[Path]]) -> tuple[MimoModel, dict[str, Any]]:
    try:
        return checkpoint.load(_paths(inputs["checkpoint"])[0], _paths(inputs["config"])[0])
    except ValueError as error:
        raise ToolError(f"sample: {error}") from None


def _paths(value: Path | list[Path]) -> list[Path]:
    return value if isinstance(value, list) else [value]


def _device(name: str) -> torch.device:
    try:
        chosen = device.choose(name)
    except ValueError as error:
        raise ToolError(f"sample: {error}") from None
    logger.info("sample: device %s, asked for %s", chosen.type, name)
    return chosen
