"""An SMPL-format body as a torch module: joints by kinematics alone, vertices by skinning; differentiable.

Shapes: T time, J 24 joints, V vertices, K keypoints.
"""

import numpy as np
import torch
from torch import Tensor

from model_zoo.body.rotation import matrix_from_axis_angle
from model_zoo.body.skeleton import NUM_JOINTS, PARENTS
from model_zoo.body.skinning import kinematics, posed_from_rest, skin
from model_zoo.body.smpl import SmplModel


class TorchSmpl(torch.nn.Module):
    """Poses a body in smplx's convention: turned about its pelvis joint, `transl` added afterwards.

    `betas` are (10,), one shape for all frames, or (T, 10). `global_orient` is (T, 3) and `body_pose` (T,
    69), axis-angle, rad; with `_matrices` functions the pose is (T, 24, 3, 3).
    """

    def __init__(self, model: SmplModel, dtype: torch.dtype = torch.float32) -> None:
        """Take the arrays of a model; nothing is trainable."""
        super().__init__()
        arrays = {
            "v_template": model.v_template,
            "shapedirs": model.shapedirs,
            "posedirs": model.posedirs.reshape(-1, model.posedirs.shape[-1]).T,
            "weights": model.weights,
            "joints_template": model.joints_template,
            "joints_shapedirs": model.joints_shapedirs,
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.tensor(array, dtype=dtype), persistent=False)
        self.has_posedirs = model.has_posedirs

    def joints_rest(self, betas: Tensor) -> Tensor:
        """Rest joints, shape (24, 3) or (T, 24, 3), m."""
        return self.joints_template + (betas @ self.joints_shapedirs.flatten(0, 1).T).unflatten(-1, (NUM_JOINTS, 3))

    def vertices_rest(self, betas: Tensor) -> Tensor:
        """Shaped template without pose correctives, shape (V, 3) or (T, V, 3), m."""
        return self.v_template + (betas @ self.shapedirs.flatten(0, 1).T).unflatten(-1, (-1, 3))

    def joints_posed(self, global_orient: Tensor, body_pose: Tensor, transl: Tensor, betas: Tensor) -> Tensor:
        """Joints by forward kinematics alone, shape (T, 24, 3), m; exact, since joints move rigidly."""
        return self.joints_posed_matrices(pose_matrices(global_orient, body_pose), transl, betas)

    def joints_posed_matrices(self, rotations_TJ33: Tensor, transl: Tensor, betas: Tensor) -> Tensor:
        """As `joints_posed`, from rotation matrices (T, 24, 3, 3)."""
        return kinematics(rotations_TJ33, self.joints_rest(betas), PARENTS)[..., :3, 3] + transl[:, None]

    def vertices_posed(self, global_orient: Tensor, body_pose: Tensor, transl: Tensor, betas: Tensor) -> Tensor:
        """Vertices by linear blend skinning, shape (T, V, 3), m."""
        return self.vertices_posed_matrices(pose_matrices(global_orient, body_pose), transl, betas)

    def vertices_posed_matrices(self, rotations_TJ33: Tensor, transl: Tensor, betas: Tensor) -> Tensor:
        """As `vertices_posed`, from rotation matrices (T, 24, 3, 3)."""
        joints = self.joints_rest(betas)
        rest = self.vertices_rest(betas)
        if self.has_posedirs:
            eye = torch.eye(3, dtype=rotations_TJ33.dtype, device=rotations_TJ33.device)
            rest = rest + ((rotations_TJ33[:, 1:] - eye).flatten(1) @ self.posedirs).unflatten(-1, (-1, 3))
        transforms = posed_from_rest(kinematics(rotations_TJ33, joints, PARENTS), joints)
        return skin(rest, self.weights, transforms) + transl[:, None]


class PosedPoints(torch.nn.Module):
    """Points fixed to a body by rows over its vertices, posed without the vertices.

    The points are regressed from the rest mesh and skinned themselves (EasyMocap's reduced model): template,
    shape and pose blend shapes and skinning weights are all multiplied by the rows once. A point in a joint
    stays in the joint; regressed from the posed mesh it would move with the skin, by a centimetre or two
    where a limb is bent.
    """

    def __init__(self, model: SmplModel, rows: np.ndarray, dtype: torch.dtype = torch.float32) -> None:
        """Reduce a model; `rows` is (K, V), its rows sum to one, as of `keypoint_regressor`."""
        super().__init__()
        reduced = {
            "template": rows @ model.v_template,
            "shapedirs": (rows @ model.shapedirs.reshape(len(model.v_template), -1)).reshape(
                -1, 3, model.shapedirs.shape[-1]
            ),
            "posedirs": (rows @ model.posedirs.reshape(len(model.v_template), -1))
            .reshape(-1, model.posedirs.shape[-1])
            .T,
            "weights": rows @ model.weights,
            "joints_template": model.joints_template,
            "joints_shapedirs": model.joints_shapedirs,
        }
        for name, array in reduced.items():
            self.register_buffer(name, torch.tensor(array, dtype=dtype), persistent=False)
        self.has_posedirs = model.has_posedirs

    def forward(self, rotations_TJ33: Tensor, transl: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
        """Posed points (T, K, 3) and joints (T, 24, 3), m, from rotation matrices (T, 24, 3, 3)."""
        joints = self.joints_template + (betas @ self.joints_shapedirs.flatten(0, 1).T).unflatten(-1, (NUM_JOINTS, 3))
        points = self.template + (betas @ self.shapedirs.flatten(0, 1).T).unflatten(-1, (-1, 3))
        if self.has_posedirs:
            eye = torch.eye(3, dtype=rotations_TJ33.dtype, device=rotations_TJ33.device)
            points = points + ((rotations_TJ33[:, 1:] - eye).flatten(1) @ self.posedirs).unflatten(-1, (-1, 3))
        chain = kinematics(rotations_TJ33, joints, PARENTS)
        posed = skin(points, self.weights, posed_from_rest(chain, joints))
        return posed + transl[:, None], chain[..., :3, 3] + transl[:, None]


def pose_matrices(global_orient: Tensor, body_pose: Tensor) -> Tensor:
    """Rotations of all joints, shape (T, 24, 3, 3), from axis-angle (T, 3) and (T, 69), rad."""
    return matrix_from_axis_angle(torch.cat([global_orient, body_pose], dim=1).unflatten(1, (NUM_JOINTS, 3)))
