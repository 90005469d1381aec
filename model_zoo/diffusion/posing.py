"""SMPL parameters to vertices in the camera frame, and the flat vectors that the re-implementation packs them in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from model_zoo.body.rotation import matrix_from_axis_angle
from model_zoo.body.skinning import kinematics, posed_from_rest, skin

NUM_JOINTS = 24
POSE_SIZE, CAMERA_SIZE = 168, 16  # johndpope/MIMO-hack: see `pack_pose` and `unpack_camera`
_BODY = slice(3, 66)  # 21 joints; the two hand joints of SMPL have no place in it
_TRANSLATION = slice(165, 168)


class Poser(nn.Module):
    """Linear blend skinning of a body in SMPL's format. Learns nothing: its arrays come from the body model's file."""

    template: Tensor
    shapedirs: Tensor
    posedirs: Tensor
    weights: Tensor
    joints_template: Tensor
    joints_shapedirs: Tensor
    faces: Tensor

    def __init__(self, body: Mapping[str, np.ndarray]) -> None:
        """Take the arrays of a body model file (`v_template`, `shapedirs`, `posedirs`, `J_regressor`, ...)."""
        super().__init__()
        template = np.asarray(body["v_template"], np.float64)
        regressor = np.asarray(body["J_regressor"], np.float64)
        shapedirs = np.asarray(body["shapedirs"], np.float64)
        posedirs = np.asarray(body["posedirs"], np.float64)

        def keep(name: str, values: np.ndarray) -> None:
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values, np.float32)), persistent=False)

        keep("template", template)
        keep("shapedirs", shapedirs)
        keep("posedirs", posedirs if posedirs.any() else np.zeros((*posedirs.shape[:2], 0)))
        keep("weights", np.asarray(body["weights"]))
        keep("joints_template", regressor @ template)
        keep("joints_shapedirs", np.einsum("jv,vcb->jcb", regressor, shapedirs))
        faces = np.asarray(body["f"]).astype(np.int64)
        self.register_buffer("faces", torch.from_numpy(faces), persistent=False)
        parents = np.asarray(body["kintree_table"])[0].astype(np.int64)
        self.parents = (-1, *(int(parent) for parent in parents[1:]))

    @property
    def num_vertices(self) -> int:
        """Vertices of the body."""
        return len(self.template)

    def forward(self, betas: Tensor, pose: Tensor, transl: Tensor) -> Tensor:
        """Pose the body.

        Args:
            betas: Shape (B, 10).
            pose: Shape (B, T, 72), rad, axis-angle: the root, then the 23 joints.
            transl: Shape (B, T, 3), m.

        Returns:
            Shape (B, T, V, 3), m, in the frame of the root's rotation and translation (the camera's).
        """
        batch, frames = pose.shape[:2]
        rotations = matrix_from_axis_angle(pose.reshape(batch * frames, NUM_JOINTS, 3))
        shaped = self.template + torch.einsum("vcn,bn->bvc", self.shapedirs, betas)
        joints = self.joints_template + torch.einsum("jcn,bn->bjc", self.joints_shapedirs, betas)
        joints = joints.repeat_interleave(frames, 0)
        rest = shaped.repeat_interleave(frames, 0)
        if self.posedirs.shape[-1]:
            eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            rest = rest + torch.einsum("vcn,tn->tvc", self.posedirs, (rotations[:, 1:] - eye).flatten(1))
        posed = skin(rest, self.weights, posed_from_rest(kinematics(rotations, joints, self.parents), joints))
        return posed.unflatten(0, (batch, frames)) + transl[:, :, None]


def pack_pose(pose: Tensor, transl: Tensor) -> Tensor:
    """SMPL pose and translation as the vector of 168: global 3, body 63, face and hands 99 (zero), translation 3.

    Args:
        pose: Shape (..., 72), rad.
        transl: Shape (..., 3), m.

    Returns:
        Shape (..., 168).
    """
    packed = pose.new_zeros(*pose.shape[:-1], POSE_SIZE)
    packed[..., :66] = pose[..., :66]
    packed[..., _TRANSLATION] = transl
    return packed


def unpack_pose(packed: Tensor) -> tuple[Tensor, Tensor]:
    """SMPL pose (..., 72), rad, and translation (..., 3), m, of a vector of 168; hands keep their rest pose."""
    hands = packed.new_zeros(*packed.shape[:-1], 6)
    return torch.cat([packed[..., :3], packed[..., _BODY], hands], -1), packed[..., _TRANSLATION]


def pack_camera(rotation: Tensor, translation: Tensor, intrinsics: Tensor) -> Tensor:
    """Camera as the vector of 16: rotation 9 (row-major), translation 3, fx, fy, cx, cy.

    Args:
        rotation: Shape (..., 3, 3), camera from world.
        translation: Shape (..., 3), m.
        intrinsics: Shape (..., 3, 3), px.
    """
    focal = torch.stack([intrinsics[..., 0, 0], intrinsics[..., 1, 1]], -1)
    return torch.cat([rotation.flatten(-2), translation, focal, intrinsics[..., :2, 2]], -1)


def unpack_camera(packed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rotation (..., 3, 3), translation (..., 3) and intrinsics (..., 3, 3) of a vector of 16."""
    fx, fy, cx, cy = packed[..., 12:].unbind(-1)
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    intrinsics = torch.stack([fx, zero, cx, zero, fy, cy, zero, zero, one], -1).unflatten(-1, (3, 3))
    return packed[..., :9].unflatten(-1, (3, 3)), packed[..., 9:12], intrinsics


def unpacked(poser: Poser, smpl_params: Tensor, betas: Tensor, camera: Tensor) -> tuple[Tensor, Tensor]:
    """What `StructuredMotionEncoder` draws, from what the re-implementation's encoder is given.

    Args:
        poser: The body.
        smpl_params: Shape (B, T, 168), see `pack_pose`, in the world.
        betas: Shape (1 or B, 10).
        camera: Shape (B, T, 16), see `pack_camera`; x_camera = R x_world + T.

    Returns:
        vertices: Shape (B, T, V, 3), m, camera frame.
        intrinsics: Shape (B, T, 3, 3), px.
    """
    pose, transl = unpack_pose(smpl_params)
    rotation, translation, intrinsics = unpack_camera(camera)
    vertices = poser(betas.expand(len(pose), -1), pose, transl)
    return vertices @ rotation.transpose(-1, -2) + translation[..., None, :], intrinsics
