"""AugmentCE2P on ResNet-101 as published in `GoGoDuck912/Self-Correction-Human-Parsing`: same module tree.

Normalisation is that of InPlaceABN in evaluation, `(x - mean) / sqrt(var + eps) * (|weight| + eps) + bias`; a plain
batch normalisation with the signed weight gives other labels wherever a weight is negative (mapillary/inplace_abn#92).

Shapes: N pictures, C channels, H and W of the input.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_EPS = 1e-5
_SLOPE = 0.01  # of the leaky rectifier that InPlaceABN includes
_STEM = 64
_EXPANSION = 4


@dataclass(frozen=True)
class SchpConfig:
    """Sizes of the network; the defaults are the published ones.

    Attributes:
        classes: Labels.
        planes: Inner channels of the first stage; each stage doubles them.
        layers: Blocks of the four stages.
        context: Channels of the pyramid's output.
        middle: Channels of the decoder and of the edge branch.
        low: Channels kept of the first stage's features.
        size: Side of the square input, px.
    """

    classes: int = 20
    planes: int = 64
    layers: tuple[int, int, int, int] = (3, 4, 23, 3)
    context: int = 512
    middle: int = 256
    low: int = 48
    size: int = 473


class Abn(nn.Module):
    """InPlaceABN in evaluation; `active` adds its leaky rectifier."""

    def __init__(self, channels: int, active: bool = True) -> None:
        super().__init__()
        self.active = active
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (N, C, H, W) to the same."""
        weight = self.weight.abs() + _EPS
        y = functional.batch_norm(x, self.running_mean, self.running_var, weight, self.bias, False, 0.0, _EPS)
        return functional.leaky_relu(y, _SLOPE) if self.active else y


def _conv(inputs: int, outputs: int, size: int = 1, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, dilation * (size // 2), dilation, bias=False)


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, planes: int, stride: int, dilation: int) -> None:
        super().__init__()
        outputs = planes * _EXPANSION
        self.conv1, self.bn1 = _conv(inputs, planes), Abn(planes, False)
        self.conv2, self.bn2 = _conv(planes, planes, 3, stride, dilation), Abn(planes, False)
        self.conv3, self.bn3 = _conv(planes, outputs), Abn(outputs, False)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(_conv(inputs, outputs, 1, stride), Abn(outputs, False))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


class _Pyramid(nn.Module):
    """Pyramid pooling (Zhao et al., CVPR 2017) over 1, 2, 3 and 6 cells."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d((cells, cells)), _conv(inputs, outputs), Abn(outputs))
            for cells in (1, 2, 3, 6)
        )
        self.bottleneck = nn.Sequential(_conv(inputs + 4 * outputs, outputs, 3), Abn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.bottleneck(torch.cat([*(_resized(stage(x), x) for stage in self.stages), x], 1))


class _Edge(nn.Module):
    """Edge branch; only its features are used here, the edge map serves training."""

    def __init__(self, inputs: tuple[int, int, int], middle: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(_conv(inputs[0], middle), Abn(middle))
        self.conv2 = nn.Sequential(_conv(inputs[1], middle), Abn(middle))
        self.conv3 = nn.Sequential(_conv(inputs[2], middle), Abn(middle))
        self.conv4 = nn.Conv2d(middle, 2, 3, padding=1)
        self.conv5 = nn.Conv2d(6, 2, 1)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        first = self.conv1(fine)
        return torch.cat([first, _resized(self.conv2(middle), first), _resized(self.conv3(coarse), first)], 1)


class _Decoder(nn.Module):
    """Parsing branch; only its features are used here, `conv4` gives the labels before the fusion."""

    def __init__(self, config: SchpConfig) -> None:
        super().__init__()
        m = config.middle
        self.conv1 = nn.Sequential(_conv(config.context, m), Abn(m))
        self.conv2 = nn.Sequential(_conv(config.planes * _EXPANSION, config.low), Abn(config.low))
        self.conv3 = nn.Sequential(_conv(m + config.low, m), Abn(m), _conv(m, m), Abn(m))
        self.conv4 = nn.Conv2d(m, config.classes, 1)

    def forward(self, context: Tensor, fine: Tensor) -> Tensor:
        low = self.conv2(fine)
        return self.conv3(torch.cat([_resized(self.conv1(context), low), low], 1))


class Schp(nn.Module):
    """Logits of the fusion branch at a quarter of the input's size."""

    def __init__(self, config: SchpConfig | None = None) -> None:
        """Build with random weights; by default the published sizes."""
        super().__init__()
        c = self.config = config or SchpConfig()
        self.conv1, self.bn1 = _conv(3, _STEM, 3, 2), Abn(_STEM, False)
        self.conv2, self.bn2 = _conv(_STEM, _STEM, 3), Abn(_STEM, False)
        self.conv3, self.bn3 = _conv(_STEM, 2 * _STEM, 3), Abn(2 * _STEM, False)
        inputs = 2 * _STEM
        for index, (blocks, stride, dilation) in enumerate(zip(c.layers, (1, 2, 2, 1), (1, 1, 1, 2))):
            planes, made = c.planes << index, []
            for block in range(blocks):
                made.append(_Bottleneck(inputs, planes, stride if block == 0 else 1, dilation))
                inputs = planes * _EXPANSION
            setattr(self, f"layer{index + 1}", nn.Sequential(*made))
        widths = tuple((c.planes << k) * _EXPANSION for k in range(3))
        self.context_encoding = _Pyramid(inputs, c.context)
        self.edge = _Edge(widths, c.middle)  # type: ignore[arg-type]
        self.decoder = _Decoder(c)
        self.fushion = nn.Sequential(  # sic: the published name
            _conv(4 * c.middle, c.middle), Abn(c.middle), nn.Dropout2d(0.1), nn.Conv2d(c.middle, c.classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Normalised BGR (N, 3, S, S) to logits (N, classes, s, s); s is 119 for S = 473."""
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        x = torch.relu(self.bn3(self.conv3(x)))
        x = functional.max_pool2d(x, 3, 2, 1)
        fine = self.layer1(x)
        middle = self.layer2(fine)
        coarse = self.layer3(middle)
        context = self.context_encoding(self.layer4(coarse))
        return self.fushion(torch.cat([self.decoder(context, fine), self.edge(fine, middle, coarse)], 1))


def published_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State of a published checkpoint under the names of `Schp`: without the prefix that data parallelism adds."""
    plain = {key.removeprefix("module."): value for key, value in state.items()}
    return {key: value for key, value in plain.items() if not key.endswith("num_batches_tracked")}
