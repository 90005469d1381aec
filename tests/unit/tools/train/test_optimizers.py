import sys
import types

import pytest
import torch
from torch import nn

from tools.recipes import TrainConfig
from tools.train import optimizers
from tools.train.state import Folder, State
from workflow.errors import ToolError


class Eight(torch.optim.Optimizer):
    """Stand-in with the state of bitsandbytes' 8-bit AdamW: a whole step number, moments in bytes, their scales."""

    def __init__(self, params, lr, weight_decay):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state.update(step=0, state1=torch.zeros(parameter.shape, dtype=torch.uint8), absmax1=torch.zeros(2))
                assert isinstance(state["step"], int) and state["state1"].dtype == torch.uint8
                state["step"] += 1
                state["state1"] += state["step"]
                state["absmax1"] += parameter.grad.mean()
                parameter.data -= group["lr"] * (1 + state["absmax1"].mean()) * state["state1"]


@pytest.fixture
def eight(monkeypatch):
    package = types.ModuleType("bitsandbytes")
    package.optim = types.SimpleNamespace(AdamW8bit=Eight)
    monkeypatch.setitem(sys.modules, "bitsandbytes", package)


def _step(layer, optimizer):
    optimizer.zero_grad()
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()


def _layer():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.mark.parametrize("name", optimizers.NAMES)
def test_saved_and_restored_it_goes_on_in_the_same_bits(name, eight, tmp_path):
    config = TrainConfig(optimizer=name)
    whole = _layer()
    optimizer = optimizers.build(config, list(whole.named_parameters()))
    for _ in range(4):
        _step(whole, optimizer)
    first, folder = _layer(), Folder(tmp_path, {})
    optimizer = optimizers.build(config, list(first.named_parameters()))
    for _ in range(2):
        _step(first, optimizer)
    held = optimizers.moments(optimizer, list(first.named_parameters()))
    empty = torch.zeros(0, 5).numpy()
    folder.save(State(2, first.state_dict(), {}, held, empty, empty))
    state, second = folder.newest(9), _layer()
    second.load_state_dict(state.model)
    optimizer = optimizers.build(config, list(second.named_parameters()))
    optimizers.restore(optimizer, list(second.named_parameters()), state.optimizer)
    for _ in range(2):
        _step(second, optimizer)
    assert torch.equal(second.weight, whole.weight) and torch.equal(second.bias, whole.bias)


def test_a_run_with_8_bits_goes_on_after_its_state(go, eight):
    whole = go(4, folder="whole", optimizer="adamw8bit")
    go(2, folder="parts", optimizer="adamw8bit")
    again = go(4, folder="parts", optimizer="adamw8bit").model.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in whole.model.state_dict().items())


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ToolError, match="adamw8bit needs the package bitsandbytes .* or use adamw"):
        optimizers.build(TrainConfig(optimizer="adamw8bit"), list(_layer().named_parameters()))


def test_an_unknown_name_is_refused():
    with pytest.raises(ToolError, match="expected one of adamw, adamw8bit"):
        optimizers.build(TrainConfig(optimizer="sgd"), list(_layer().named_parameters()))
