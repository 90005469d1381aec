"""One file per stage: its artifacts, its settings, its STAGE. PIPELINE is the table of contents."""

from __future__ import annotations

from workflow.stage import Stage
from workflow.stages import (
    accuracy,
    body,
    body_model,
    canonical,
    crop,
    frames,
    instant_nvr,
    keypoints,
    latents,
    layers,
    parsing,
    report,
    scene,
    shards,
    surface,
    train,
)

PIPELINE: tuple[Stage, ...] = (
    body_model.STAGE,
    frames.STAGE,
    keypoints.STAGE,
    body.STAGE,
    parsing.STAGE,
    crop.STAGE,
    canonical.STAGE,
    surface.STAGE,
    layers.STAGE,
    scene.STAGE,
    shards.STAGE,
    shards.INDEX_STAGE,
    report.STAGE,
    report.OVERVIEW_STAGE,
    latents.STAGE,
    train.STAGE,
    train.SAMPLE_STAGE,
    instant_nvr.STAGE,
    accuracy.STAGE,
)
STAGES: dict[str, Stage] = {stage.name: stage for stage in PIPELINE}
