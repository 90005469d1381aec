"""The network of Darknet's `yolov4.cfg`: 110 convolutions in the order in which the weight file stores them.

Layers are numbered as in that file, and named as in the PyTorch readers of it: `models.85.conv72.weight`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

ANCHORS = ((12, 16), (19, 36), (40, 28), (36, 75), (76, 55), (72, 146), (142, 110), (192, 243), (459, 401))  # px
STRIDES = (8, 16, 32)
SCALES_XY = (1.2, 1.1, 1.05)
_PER_SCALE = len(ANCHORS) // len(STRIDES)


@dataclass(frozen=True)
class Yolov4Config:
    """Sizes of the network; the defaults are those of `yolov4.weights`.

    Attributes:
        size: Side of the square input, px; a multiple of 32.
        classes: Classes of objects; class 0 is the person.
        width: Channels of the first convolution; all others scale with it.
        blocks: Residual blocks of the five stages.
    """

    size: int = 608
    classes: int = 80
    width: int = 32
    blocks: tuple[int, int, int, int, int] = (1, 2, 8, 8, 4)

    @property
    def anchors(self) -> int:
        """Boxes the network proposes for a picture."""
        return sum(_PER_SCALE * (self.size // stride) ** 2 for stride in STRIDES)


@dataclass(frozen=True)
class Layer:
    """One layer: what it does, and the layers it takes; `sources` are absolute indices."""

    kind: str  # conv, concat, add, pool, up or out
    sources: tuple[int, ...]
    inputs: int = 0
    outputs: int = 0
    size: int = 1
    stride: int = 1
    activation: str = "linear"
    normalised: bool = True


@dataclass
class _Plan:
    """Layers in the file's order, written down as they are read in the configuration."""

    layers: list[Layer] = field(default_factory=list)

    @property
    def last(self) -> int:
        return len(self.layers) - 1

    def channels(self, index: int) -> int:
        return 3 if index < 0 else self.layers[index].outputs

    def conv(self, outputs: int, size: int, act: str, stride: int = 1, normalised: bool = True) -> int:
        source = self.last
        made = Layer("conv", (source,), self.channels(source), outputs, size, stride, act, normalised)
        self.layers.append(made)
        return self.last

    def concat(self, *sources: int) -> int:
        self.layers.append(Layer("concat", sources, outputs=sum(self.channels(s) for s in sources)))
        return self.last

    def other(self, kind: str, *sources: int, size: int = 1) -> int:
        self.layers.append(Layer(kind, sources, outputs=self.channels(sources[0]), size=size))
        return self.last


def plan(config: Yolov4Config) -> list[Layer]:
    """Layers of the network."""
    p, w = _Plan(), config.width
    p.conv(w, 3, "mish")
    fine = []
    for stage, blocks in enumerate(config.blocks):
        outputs = w << (stage + 1)
        half = outputs if stage == 0 else outputs // 2
        down = p.conv(outputs, 3, "mish", stride=2)
        side = p.conv(half, 1, "mish")
        p.concat(down)
        p.conv(half, 1, "mish")
        for _ in range(blocks):
            start = p.last
            p.conv(half // 2 if stage == 0 else half, 1, "mish")
            p.conv(half, 3, "mish")
            p.other("add", p.last, start)
        p.conv(half, 1, "mish")
        p.concat(p.last, side)
        fine.append(p.conv(outputs, 1, "mish"))
    _neck(p, config, fine)
    return p.layers


def _neck(p: _Plan, config: Yolov4Config, fine: list[int]) -> None:
    """Pyramid pooling, top-down and bottom-up paths, and the three outputs."""
    w = config.width
    c512, c256 = w * 16, w * 8
    _alternate(p, c512, 3)
    middle = p.last
    pools = []
    for size in (5, 9, 13):
        if pools:
            p.concat(middle)
        pools.append(p.other("pool", middle, size=size))
    p.concat(pools[2], pools[1], pools[0], middle)
    _alternate(p, c512, 3)
    coarse = p.last
    joined = []
    for channels, feature in ((c256, fine[3]), (c256 // 2, fine[2])):
        p.conv(channels, 1, "leaky")
        up = p.other("up", p.last)
        p.concat(feature)
        p.conv(channels, 1, "leaky")
        p.concat(p.last, up)
        _alternate(p, channels, 5)
        joined.append(p.last)
    outputs = _PER_SCALE * (5 + config.classes)
    finest = joined[1]
    p.conv(c256, 3, "leaky")
    p.other("out", p.conv(outputs, 1, "linear", normalised=False))
    for channels, other in ((c256, joined[0]), (c512, coarse)):
        p.concat(finest)
        down = p.conv(channels, 3, "leaky", stride=2)
        p.concat(down, other)
        _alternate(p, channels, 5)
        finest = p.last
        p.conv(2 * channels, 3, "leaky")
        p.other("out", p.conv(outputs, 1, "linear", normalised=False))


def _alternate(p: _Plan, channels: int, count: int) -> None:
    """1 x 1 and 3 x 3 convolutions in turn."""
    for k in range(count):
        p.conv(channels if k % 2 == 0 else 2 * channels, 3 if k % 2 else 1, "leaky")


class Yolov4(nn.Module):
    """Proposals of the three scales."""

    def __init__(self, config: Yolov4Config | None = None) -> None:
        """Build with random weights; by default the published sizes."""
        super().__init__()
        self.config = config or Yolov4Config()
        self.plan = plan(self.config)
        self.models = nn.ModuleList()
        number = 0
        for layer in self.plan:
            made = nn.Sequential()
            if layer.kind == "conv":
                number += 1
                bias = not layer.normalised
                conv = nn.Conv2d(layer.inputs, layer.outputs, layer.size, layer.stride, layer.size // 2, bias=bias)
                made.add_module(f"conv{number}", conv)
                if layer.normalised:
                    made.add_module(f"bn{number}", nn.BatchNorm2d(layer.outputs))
            self.models.append(made)
        uses = {source: index for index, layer in enumerate(self.plan) for source in layer.sources}
        self._last_use = uses

    def forward(self, x: Tensor) -> list[Tensor]:
        """RGB in [0, 1], (N, 3, S, S), to raw values (N, 3 * (5 + classes), S / stride, S / stride), finest first."""
        results: dict[int, Tensor] = {-1: x}
        outputs = []
        for index, (layer, module) in enumerate(zip(self.plan, self.models)):
            given = [results[source] for source in layer.sources]
            results[index] = self._run(layer, module, given)
            if layer.kind == "out":
                outputs.append(results[index])
            for source in layer.sources:
                if self._last_use[source] == index:
                    del results[source]
        return outputs

    @staticmethod
    def _run(layer: Layer, module: nn.Module, given: list[Tensor]) -> Tensor:
        if layer.kind == "conv":
            y = module(given[0])
            if layer.activation == "mish":
                return functional.mish(y)
            return functional.leaky_relu(y, 0.1) if layer.activation == "leaky" else y
        if layer.kind == "concat":
            return torch.cat(given, 1) if len(given) > 1 else given[0]
        if layer.kind == "add":
            return given[0] + given[1]
        if layer.kind == "pool":
            return functional.max_pool2d(given[0], layer.size, 1, layer.size // 2)
        if layer.kind == "up":
            return functional.interpolate(given[0], scale_factor=2.0, mode="nearest")
        return given[0]


def proposals(outputs: list[Tensor], config: Yolov4Config) -> tuple[Tensor, Tensor, Tensor]:
    """Decode raw values, in float32.

    Centres are `(sigmoid(t) * s - (s - 1) / 2 + cell) / cells` with the scale's `s`, sizes `exp(t) * anchor`; the score
    is objectness times the best class's.

    Args:
        outputs: From the network.
        config: Of the network.

    Returns:
        Boxes (N, A, 4) as x0, y0, x1, y1 in [0, 1] of the square; scores (N, A); classes (N, A), int64.
    """
    boxes, scores, labels = [], [], []
    for raw, stride, scale, first in zip(outputs, STRIDES, SCALES_XY, range(0, len(ANCHORS), _PER_SCALE)):
        count, _, rows, columns = raw.shape
        t = raw.float().reshape(count, _PER_SCALE, 5 + config.classes, rows, columns)
        cell_x = torch.arange(columns, dtype=torch.float32, device=raw.device)
        cell_y = torch.arange(rows, dtype=torch.float32, device=raw.device)[:, None]
        anchor = torch.tensor(ANCHORS[first : first + _PER_SCALE], dtype=torch.float32, device=raw.device) / stride
        x = (t[:, :, 0].sigmoid() * scale - 0.5 * (scale - 1) + cell_x) / columns
        y = (t[:, :, 1].sigmoid() * scale - 0.5 * (scale - 1) + cell_y) / rows
        width = t[:, :, 2].exp() * anchor[:, 0, None, None] / columns
        height = t[:, :, 3].exp() * anchor[:, 1, None, None] / rows
        left, top = x - width * 0.5, y - height * 0.5
        boxes.append(torch.stack([left, top, left + width, top + height], -1).flatten(1, 3))
        best, label = t[:, :, 5:].sigmoid().max(2)
        scores.append((best * t[:, :, 4].sigmoid()).flatten(1))
        labels.append(label.flatten(1))
    return torch.cat(boxes, 1), torch.cat(scores, 1), torch.cat(labels, 1)
