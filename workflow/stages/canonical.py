"""Canonical: what avatar models need besides pictures: the big pose, its grids, and per-frame blend weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow.artifact import Artifact, array, figures, raster
from workflow.raster import Raster
from workflow.stage import Backend, Params, Resources, Stage, outside
from workflow.stages.body import Body
from workflow.stages.body_model import BODY_MODEL


@dataclass(frozen=True)
class Canonical(Artifact):
    """Canonical assets as instant-nvr defines them (Geng et al., CVPR 2023; its preparation script).

    Grids have voxels of 0.025 m, indexed (x, y, z) from their origin. `nearest` holds, for every voxel of the
    posed frame's grid, the index of the nearest vertex; its blend weights are `weights[nearest]`, its distance
    follows from the vertex. Frames where `valid` is false have an empty grid of shape (0, 0, 0) and origin 0.
    `bigpose_uv` is 0 everywhere for a body file without texture coordinates (quality figure `uv_share` 0).
    """

    name = "canonical"
    version = 2

    vertices: np.ndarray = array("vertex xyz=3", "float64", unit="m", frame="big pose")
    joints: np.ndarray = array("smpl_joint=24 xyz=3", "float64", unit="m", frame="body")
    parents: np.ndarray = array("smpl_joint=24", "uint32")
    faces: np.ndarray = array("face corner=3", "uint32")
    weights: np.ndarray = array("vertex smpl_joint=24", "float32", bounds=(0, 1.0001))
    bigpose_origin: np.ndarray = array("xyz=3", "float64", unit="m", frame="big pose")
    bigpose_weights: np.ndarray = array("x y z channel=25", "float32")  # 24 blend weights, then distance in m
    bigpose_uv: np.ndarray = array("x y z uv=2", "float32", bounds=(-0.001, 1.001))
    origin: np.ndarray = array("time xyz=3", "float64", unit="m", frame="body")
    nearest: Raster = raster("time gx gy gz", "uint16", frame="body", ragged=True)
    valid: np.ndarray = array("time", "bool")
    quality: dict[str, float] = figures()


@dataclass(frozen=True)
class GridsParams(Params):
    """Grids by closest surface point (big pose) and nearest vertex (per frame)."""

    voxel_m: float = 0.025  # side of a grid cell
    padding_m: float = 0.05  # by which the grid reaches beyond the body on every side

    def faults(self) -> list[str]:
        """See `Params.faults`."""
        return outside(self, voxel_m=(0.005, 0.2), padding_m=(0, 1))


STAGE = Stage(
    "canonical",
    "big-pose body, blend-weight and uv grids, and per-frame blend weights",
    inputs=(Body, BODY_MODEL),
    outputs=(Canonical,),
    backends={"grids": Backend("body", GridsParams, Resources(threads=1, mem_mb=2_500), summary="exact search")},
    default="grids",
)
