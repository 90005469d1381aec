"""HRNet a second time, from its weights alone: what the networks' tests compare with."""

import torch
from torch.nn import functional


def randomised(network, seed=0):
    """Random weights with statistics of their own, so that nothing is hidden by ones and zeros."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            elif tensor.is_floating_point():
                scale = 0.3 if tensor.ndim < 2 else (2 / tensor[0].numel()) ** 0.5
                offset = 1.0 if tensor.ndim == 1 and name.endswith("weight") else 0.0
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale + offset)
    return network.eval()


class PlainHrnet:
    """HRNet written down from a state dict alone, without modules."""

    def __init__(self, state, prefix=""):
        """Take the weights whose names start with the prefix."""
        self.s = {
            key.removeprefix(prefix): value.double()
            for key, value in state.items()
            if value.is_floating_point() and key.startswith(prefix)
        }

    def conv(self, x, name, stride=1):
        kernel = self.s[f"{name}.weight"]
        return functional.conv2d(x, kernel, self.s.get(f"{name}.bias"), stride, kernel.shape[-1] // 2)

    def norm(self, x, name):
        scale = self.s[f"{name}.weight"] / (self.s[f"{name}.running_var"] + 1e-5).sqrt()
        shift = self.s[f"{name}.bias"] - self.s[f"{name}.running_mean"] * scale
        return x * scale[:, None, None] + shift[:, None, None]

    def block(self, x, name):
        y, k = x, 1
        while f"{name}.conv{k}.weight" in self.s:
            y = self.norm(self.conv(y, f"{name}.conv{k}"), f"{name}.bn{k}")
            k += 1
            if f"{name}.conv{k}.weight" in self.s:
                y = y.clamp(min=0)
        if f"{name}.downsample.0.weight" in self.s:
            x = self.norm(self.conv(x, f"{name}.downsample.0"), f"{name}.downsample.1")
        return (x + y).clamp(min=0)

    def blocks(self, x, name):
        k = 0
        while f"{name}.{k}.conv1.weight" in self.s:
            x = self.block(x, f"{name}.{k}")
            k += 1
        return x

    def __call__(self, x):
        """Heatmaps."""
        return self.conv(self.features(x)[0], "final_layer")

    def features(self, x):
        """All branches that the weights give."""
        for k in (1, 2):
            x = self.norm(self.conv(x, f"conv{k}", 2), f"bn{k}").clamp(min=0)
        features = [self.blocks(x, "layer1")]
        for stage in (2, 3, 4):
            inputs = []
            for k in range(stage):
                last, name = features[-1], f"transition{stage - 1}.{k}"
                if f"{name}.0.weight" in self.s:
                    inputs.append(self.norm(self.conv(features[k], f"{name}.0"), f"{name}.1").clamp(min=0))
                elif f"{name}.0.0.weight" in self.s:
                    inputs.append(self.norm(self.conv(last, f"{name}.0.0", 2), f"{name}.0.1").clamp(min=0))
                else:
                    inputs.append(features[k])
            features, unit = inputs, 0
            while f"stage{stage}.{unit}.branches.0.0.conv1.weight" in self.s:
                features = self.unit(features, f"stage{stage}.{unit}")
                unit += 1
        return features

    def unit(self, features, name):
        inner = [self.blocks(x, f"{name}.branches.{k}") for k, x in enumerate(features)]
        outputs = []
        for target in range(len(inner)):
            if not any(key.startswith(f"{name}.fuse_layers.{target}.") for key in self.s):
                break
            total = inner[target]
            for source, x in enumerate(inner):
                link = f"{name}.fuse_layers.{target}.{source}"
                if source > target:
                    up = 2 ** (source - target)
                    x = self.norm(self.conv(x, f"{link}.0"), f"{link}.1")
                    total = total + x.repeat_interleave(up, 2).repeat_interleave(up, 3)
                elif source < target:
                    for k in range(target - source):
                        x = self.norm(self.conv(x, f"{link}.{k}.0", 2), f"{link}.{k}.1")
                        x = x.clamp(min=0) if k < target - source - 1 else x
                    total = total + x
            outputs.append(total.clamp(min=0))
        return outputs
