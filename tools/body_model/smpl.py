"""The user's own licensed SMPL file, converted once; nothing in the file is executed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from model_zoo.body.smpl import SmplModel
from tools.body_model import texture
from tools.body_model.write import write_model
from workflow import layout
from workflow.errors import ToolError
from workflow.stages.body_model import SmplParams


def run(params: SmplParams, inputs: Mapping[str, Path | list[Path]], outputs: Mapping[str, Path]) -> None:
    """Read the licensed file, add texture coordinates where given, and write it in the common form.

    Raises:
        ToolError: A file is missing or is not what it should be.
    """
    try:
        model = SmplModel.load(_licensed(params.file, "body_model/smpl: params.file"))
        if params.uv:
            vt, ft = texture.read_obj(_licensed(params.uv, "body_model/smpl: params.uv"), model.faces)
            model = dataclasses.replace(model, vt=vt, ft=ft)
    except ValueError as error:
        raise ToolError(f"body_model/smpl: {error}") from error
    write_model(model.arrays(), outputs["body_model"])


def _licensed(name: str, setting: str) -> Path:
    path = layout.WEIGHTS / name
    if not path.is_file():
        raise ToolError(
            f"{setting} is {name!r}, but {path} is not there. SMPL's files come from https://smpl.is.tue.mpg.de "
            "(registration, non-commercial licence): download SMPL for Python, put the neutral model, and "
            f"the UV map if wanted, into {layout.WEIGHTS}; or use backend anny of body_model, which needs no download"
        )
    return path
