"""PARE with HRNet-W32 as `mkocabas/PARE` publishes it for 3DPW: same module tree under `backbone.` and `head.`.

The published settings are inside the weights archive; these follow the head of MMHuman3D's PARE configuration: two
convolutions of 128 filters a branch, part segmentation as attention with softmax, no iterations, no mean pose or shape.

Shapes: N pictures, C channels, J joints.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from model_zoo.body.rotation import matrix_from_6d
from model_zoo.hrnet.network import Backbone, HrnetConfig

BOX_MARGIN = 1.1  # of the longer side of a person's box
_SIX = 6  # numbers of a rotation
_CAMERA = 3  # numbers of a weak perspective camera
_BETAS = 10


@dataclass(frozen=True)
class PareConfig:
    """Sizes of the network; the defaults are the published ones.

    Attributes:
        backbone: HRNet; its `joints` are those of an unused last layer.
        joints: Body parts, one per joint of SMPL.
        filters: Channels of the branches.
        layers: Convolutions of a branch.
        features: Channels per part for shape and camera.
    """

    backbone: HrnetConfig = field(default_factory=lambda: HrnetConfig(width=32, joints=24, input_size=(224, 224)))
    joints: int = 24
    filters: int = 128
    layers: int = 2
    features: int = 64


class PareBackbone(Backbone):
    """All branches of HRNet, brought to the finest one's size by bilinear steps and convolutions."""

    def __init__(self, config: HrnetConfig) -> None:
        """Build with random weights."""
        super().__init__(config, outputs=4)
        self.final_layer = nn.Conv2d(config.width, config.joints, 1)  # in the checkpoint, without use
        for branch, channels in enumerate(config.channels(4)[1:], start=1):
            layers: list[nn.Module] = []
            for _ in range(branch):
                layers += [
                    nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                    nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
                    nn.BatchNorm2d(channels),
                    nn.ReLU(),
                ]
            setattr(self, f"upsample_stage_{branch + 1}", nn.Sequential(*layers))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised RGB (N, 3, H, W) to features (N, 15 * width, H / 4, W / 4)."""
        features = self.branches(x)
        larger = [getattr(self, f"upsample_stage_{k + 1}")(features[k]) for k in (1, 2, 3)]
        return torch.cat([features[0], *larger], 1)


class PerJoint(nn.Module):
    """A linear map of its own for every joint."""

    def __init__(self, inputs: int, outputs: int, joints: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, joints, 1, 1) * inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (N, inputs, J) to (N, J, outputs)."""
        return torch.einsum("nij,oij->njo", x, self.weight[0, ..., 0, 0])


class PareHead(nn.Module):
    """Two branches: where the parts are, and what they look like; the first weighs the second."""

    def __init__(self, config: PareConfig) -> None:
        """Build with random weights."""
        super().__init__()
        inputs = 15 * config.backbone.width
        self.keypoint_deconv_layers = _branch(inputs, config)
        self.smpl_deconv_layers = _branch(inputs, config)
        self.keypoint_final_layer = nn.Conv2d(config.filters, config.joints + 1, 1)
        self.smpl_final_layer = nn.Conv2d(config.filters, config.features, 1)
        # Of the checkpoint, without use in these settings.
        self.register_buffer("temperature", torch.tensor(1.0))
        self.register_buffer("init_pose", torch.zeros(1, _SIX * config.joints))
        self.register_buffer("init_shape", torch.zeros(1, _BETAS))
        self.register_buffer("init_cam", torch.zeros(1, _CAMERA))
        self.shape_mlp = nn.Linear(config.joints * config.features, _BETAS)
        self.cam_mlp = nn.Linear(config.joints * config.features, _CAMERA)
        self.pose_mlp = PerJoint(config.filters, _SIX, config.joints)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, C, h, w) to rotations as six numbers (N, J, 6), betas (N, 10) and camera (N, 3)."""
        parts = self.keypoint_final_layer(self.keypoint_deconv_layers(features))[:, 1:]  # first is background
        attention = parts.flatten(2).softmax(-1)
        appearance = self.smpl_deconv_layers(features)
        pose = torch.einsum("njp,ncp->ncj", attention, appearance.flatten(2))
        rest = torch.einsum("njp,ncp->ncj", attention, self.smpl_final_layer(appearance).flatten(2)).flatten(1)
        return self.pose_mlp(pose), self.shape_mlp(rest), self.cam_mlp(rest)


def _branch(inputs: int, config: PareConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(config.layers):
        layers += [nn.Conv2d(inputs, config.filters, 3, 1, 1, bias=False), nn.BatchNorm2d(config.filters), nn.ReLU()]
        inputs = config.filters
    return nn.Sequential(*layers)


class Pare(nn.Module):
    """Pose and shape of a person in a crop."""

    def __init__(self, config: PareConfig | None = None) -> None:
        """Build with random weights; by default the published sizes."""
        super().__init__()
        self.config = config or PareConfig()
        self.backbone = PareBackbone(self.config.backbone)
        self.head = PareHead(self.config)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised RGB (N, 3, H, W) to rows of 24 * 6 + 10 + 3 numbers: rotations, betas, camera."""
        pose, betas, camera = self.head(self.backbone(x))
        return torch.cat([pose.flatten(1), betas, camera], 1)


def rotations(rows: Tensor) -> Tensor:
    """Rotation matrices (N, 24, 3, 3) of the network's rows; the six numbers are three rows of two columns."""
    six = rows[:, : -(_BETAS + _CAMERA)].unflatten(1, (-1, 3, 2))
    return matrix_from_6d(torch.cat([six[..., 0], six[..., 1]], -1))


def betas(rows: Tensor) -> Tensor:
    """Shape coefficients (N, 10) of the network's rows."""
    return rows[:, -(_BETAS + _CAMERA) : -_CAMERA]


def published_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State of the published checkpoint under the names of `Pare`: without its prefix and without its copy of SMPL."""
    plain = {key.removeprefix("model."): value for key, value in state.items()}
    return {key: value for key, value in plain.items() if key.startswith(("backbone.", "head."))}
