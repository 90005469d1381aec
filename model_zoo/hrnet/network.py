"""HRNet as published in `leoxiaobin/deep-high-resolution-net.pytorch`: same module tree, so its files load strictly.

Shapes: N pictures, C channels, H and W of the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_STEM = 64  # channels after the first two convolutions
_EXPANSION = 4  # of a bottleneck block


@dataclass(frozen=True)
class HrnetConfig:
    """Sizes of the network; the defaults are those of `pose_hrnet_w48_384x288.pth`.

    Attributes:
        width: Channels of the finest branch; each coarser one has twice as many.
        joints: Heatmaps of the last layer.
        bottlenecks: Blocks of the first stage.
        modules: Exchange units of stages 2, 3 and 4.
        blocks: Residual blocks per branch of an exchange unit.
        input_size: Width and height of the crop, px.
    """

    width: int = 48
    joints: int = 17
    bottlenecks: int = 4
    modules: tuple[int, int, int] = (1, 4, 3)
    blocks: int = 4
    input_size: tuple[int, int] = (288, 384)

    def channels(self, branches: int) -> list[int]:
        """Channels of the branches, finest first."""
        return [self.width << k for k in range(branches)]


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """3 x 3 convolution that keeps the size at stride 1."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv3x3(channels, channels), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv3x3(channels, channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (N, C, H, W) to the same."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + x)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 convolutions and the input, projected where the channels differ."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        outputs = channels * _EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(inputs, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv3x3(channels, channels), nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = nn.Conv2d(channels, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (N, inputs, H, W) to (N, 4 * channels, H, W)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def _step(inputs: int, outputs: int, active: bool = True) -> nn.Sequential:
    """Convolution that halves the size."""
    layers: list[nn.Module] = [conv3x3(inputs, outputs, 2), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU()) if active else nn.Sequential(*layers)


class ExchangeUnit(nn.Module):
    """Parallel branches of residual blocks, then every branch receives the sum of all, resampled."""

    def __init__(self, channels: Sequence[int], blocks: int, outputs: int) -> None:
        """For branches of the given `channels`; the first `outputs` of them are computed."""
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(c) for _ in range(blocks))) for c in channels)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(self._link(channels, source, target) for source in range(len(channels)))
            for target in range(outputs)
        )

    @staticmethod
    def _link(channels: Sequence[int], source: int, target: int) -> nn.Module | None:
        here, there = channels[source], channels[target]
        if source == target:
            return None
        if source > target:
            up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
            return nn.Sequential(nn.Conv2d(here, there, 1, bias=False), nn.BatchNorm2d(there), up)
        steps = target - source
        return nn.Sequential(
            *(_step(here, there if k == steps - 1 else here, active=k < steps - 1) for k in range(steps))
        )

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        """One tensor per branch to one per computed branch."""
        inner = [branch(x) for branch, x in zip(self.branches, inputs)]
        outputs = []
        for links in self.fuse_layers:
            total = None
            for link, x in zip(links, inner):  # type: ignore[call-overload]
                part = x if link is None else link(x)
                total = part if total is None else total + part
            outputs.append(torch.relu(total))
        return outputs


class Backbone(nn.Module):
    """Stem and the four stages; subclasses add what makes use of the branches."""

    def __init__(self, config: HrnetConfig, outputs: int) -> None:
        """Build the stages; the last exchange unit gives `outputs` branches."""
        super().__init__()
        self.conv1, self.bn1 = conv3x3(3, _STEM, 2), nn.BatchNorm2d(_STEM)
        self.conv2, self.bn2 = conv3x3(_STEM, _STEM, 2), nn.BatchNorm2d(_STEM)
        wide = _STEM * _EXPANSION
        self.layer1 = nn.Sequential(*(Bottleneck(wide if k else _STEM, _STEM) for k in range(config.bottlenecks)))
        before = [wide]
        for stage, units in zip((2, 3, 4), config.modules):
            channels = config.channels(stage)
            setattr(self, f"transition{stage - 1}", _transition(before, channels))
            made = [
                ExchangeUnit(channels, config.blocks, outputs if stage == 4 and k == units - 1 else stage)
                for k in range(units)
            ]
            setattr(self, f"stage{stage}", nn.Sequential(*made))
            before = channels

    def branches(self, x: Tensor) -> list[Tensor]:
        """Features, finest first, (N, width * 2^k, H / 2^(k + 2), W / 2^(k + 2)), of pictures (N, 3, H, W)."""
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        features = [self.layer1(x)]
        for stage in (2, 3, 4):
            links = getattr(self, f"transition{stage - 1}")
            inputs = []
            for k, link in enumerate(links):
                source = features[min(k, len(features) - 1)]
                inputs.append(source if link is None else link(source))
            features = getattr(self, f"stage{stage}")(inputs)
        return features


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    links: list[nn.Module | None] = []
    for k, channels in enumerate(after):
        if k >= len(before):
            links.append(nn.Sequential(_step(before[-1], channels)))
        elif before[k] != channels:
            links.append(nn.Sequential(conv3x3(before[k], channels), nn.BatchNorm2d(channels), nn.ReLU()))
        else:
            links.append(None)
    return nn.ModuleList(links)


class PoseHrnet(Backbone):
    """Heatmaps of joints at a quarter of the input's size."""

    def __init__(self, config: HrnetConfig | None = None) -> None:
        """Build with random weights; by default the published W48."""
        config = config or HrnetConfig()
        super().__init__(config, outputs=1)
        self.config = config
        self.final_layer = nn.Conv2d(config.width, config.joints, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised RGB (N, 3, H, W) to heatmaps (N, joints, H / 4, W / 4)."""
        return self.final_layer(self.branches(x)[0])
