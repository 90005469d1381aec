"""The same body as a module of the smplx package."""

import contextlib
import io

import smplx

from model_zoo.body.skeleton import NUM_JOINTS
from model_zoo.body.smpl import SmplModel

_SMPL_VERTICES = 6890  # of the licensed model


def to_smplx(model: SmplModel, batch_size: int = 1) -> smplx.SMPL:
    """Hand a model to smplx without a file.

    Of a body other than the licensed one the module returns the 24 joints only: smplx picks its further
    joints (nose, toes, ...) by vertex index, which means nothing there.

    Args:
        model: The body.
        batch_size: Of the module's own parameters, as in smplx.
    """
    extra = {}
    if len(model.v_template) != _SMPL_VERTICES:
        extra = {
            "vertex_ids": dict.fromkeys(smplx.vertex_ids.vertex_ids["smplh"], 0),
            "joint_mapper": lambda joints: joints[:, :NUM_JOINTS],
        }
    with contextlib.redirect_stdout(io.StringIO()):  # the package prints a warning that there are 10 betas
        return smplx.SMPL("", data_struct=smplx.utils.Struct(**model.arrays()), batch_size=batch_size, **extra)
