import os
import pickle
import warnings
import zipfile

import numpy as np
import onnx
import onnx.helper
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from model_zoo.loading import onnx as networks
from model_zoo.loading import tensors, torchscript

CPU = torch.device("cpu")
torch.set_num_threads(1)


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Settings:
    """Something a checkpoint carries along."""

    def __init__(self):
        self.learning_rate = 0.1


class Double(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


class Writes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "stolen")
        return x


class Reads(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_file("secret", False, 10)


def script(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(module).save(str(path))
    return path


def test_a_state_dict_is_read(tmp_path):
    torch.save({"state_dict": {"module.a": torch.ones(2), "other": torch.zeros(1)}, "epoch": 3}, tmp_path / "a.pth")
    found = tensors.load(tmp_path / "a.pth", "state_dict", entry="state_dict", prefix="module.")
    assert list(found) == ["a"]
    assert found["a"].tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"holds no 'weights'; found 'state_dict', 'epoch'"):
        tensors.load(tmp_path / "a.pth", "state_dict", entry="weights")
    with pytest.raises(ValueError, match="holds no tensors"):
        tensors.load(tmp_path / "a.pth", "state_dict", entry="state_dict", prefix="nothing.")


def test_safetensors_are_read(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    assert tensors.load(tmp_path / "a.safetensors", "safetensors")["a"].tolist() == [1, 1]
    with pytest.raises(ValueError, match="not a readable checkpoint|refused"):
        tensors.load(tmp_path / "a.safetensors", "state_dict")  # the declared format holds, nothing is guessed


@pytest.mark.parametrize("legacy", [False, True])
def test_a_hostile_checkpoint_is_refused_and_does_nothing(tmp_path, legacy):
    path = tmp_path / "a.pth"
    torch.save({"a": torch.ones(1), "b": Hostile(tmp_path / "done")}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match="refused.*posix.system"):
        tensors.load(path, "state_dict")
    with pytest.raises(ValueError, match="refused.*posix.system"):
        tensors.load(path, "state_dict", ignore=("yacs.config.CfgNode",))
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("form", tensors.FORMATS)
def test_a_bare_hostile_pickle_is_refused(tmp_path, form):
    (tmp_path / "a").write_bytes(pickle.dumps(Hostile(tmp_path / "done")))
    with pytest.raises(ValueError, match="refused|not a readable"):
        tensors.load(tmp_path / "a", form)
    assert not (tmp_path / "done").exists()


def test_a_class_that_was_named_beforehand_is_replaced(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(1)}, "settings": Settings()}, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="refused"):
        tensors.load(tmp_path / "a.ckpt", "state_dict", entry="state_dict")
    name = f"{Settings.__module__}.{Settings.__qualname__}"
    found = tensors.load(tmp_path / "a.ckpt", "state_dict", entry="state_dict", ignore=(name,))
    assert list(found) == ["a"]


def test_a_stand_in_cannot_be_made_to_call_anything(tmp_path):
    torch.save({"a": torch.ones(1), "b": Hostile(tmp_path / "done")}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="refused"):
        tensors.load(tmp_path / "a.pth", "state_dict", ignore=("posix.system",))
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("form", tensors.FORMATS)
@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"\x80\x02}", b"\xff" * 64, (1 << 60).to_bytes(8, "little") + b"{}"]
)
def test_damaged_files_are_said_to_be_damaged(tmp_path, form, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError):
        tensors.load(tmp_path / "a", form)


def test_a_truncated_checkpoint_is_refused(tmp_path):
    torch.save({"a": torch.ones(10_000)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes((tmp_path / "a.pth").read_bytes()[:-2000])
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        tensors.load(tmp_path / "b.pth", "state_dict")


def test_another_architecture_is_explained():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    good = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    tensors.fill(network, good, "file")
    with pytest.raises(ValueError) as error:
        tensors.fill(network, {**good, "0.weight": torch.ones(2, 2), "9.extra": torch.ones(1)}, "file")
    assert "1 not known, such as 9.extra" in str(error.value)
    assert "0.weight is (2, 2), expected (3, 2)" in str(error.value)
    del good["0.bias"]
    with pytest.raises(ValueError, match=r"1 missing, such as 0.bias"):
        tensors.fill(network, good, "file")


def test_torchscript_runs(tmp_path):
    network = torchscript.load(script(Double(), tmp_path / "a.pt2"), CPU)
    assert network(torch.ones(2)).tolist() == [2, 2]


@pytest.mark.parametrize("module", [Writes(), Reads()], ids=["writes", "reads"])
def test_torchscript_that_touches_files_is_refused(tmp_path, module):
    with pytest.raises(ValueError, match=r"refused: .*torch\.(save|from_file)"):
        torchscript.load(script(module, tmp_path / "a.pt"), CPU)


def test_torchscript_with_a_disguised_call_is_refused(tmp_path):
    script(Double(), tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as source, zipfile.ZipFile(tmp_path / "b.pt", "w") as changed:
        for info in source.infolist():
            data = source.read(info)
            if info.filename.endswith(".py"):
                data = data.replace(b"    return", b'    ops . aten . save(x, "stolen")\n    return')
            changed.writestr(info.filename, data)
    with pytest.raises(ValueError, match="refused"):
        torchscript.load(tmp_path / "b.pt", CPU)


def test_what_is_no_torchscript_is_said(tmp_path):
    torch.save({"a": torch.ones(1), "b": Hostile(tmp_path / "done")}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="not a TorchScript archive but a checkpoint of torch.save"):
        torchscript.load(tmp_path / "a.pt", CPU)
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Hostile(tmp_path / "done")))
    with pytest.raises(ValueError, match="no zip file"):
        torchscript.load(tmp_path / "b.pt", CPU)
    script(Double(), tmp_path / "c.pt")
    (tmp_path / "d.pt").write_bytes((tmp_path / "c.pt").read_bytes()[:-300])
    with pytest.raises(ValueError, match="not a"):
        torchscript.load(tmp_path / "d.pt", CPU)
    with pytest.raises(ValueError, match="is a TorchScript archive"):
        tensors.load(tmp_path / "c.pt", "state_dict")
    assert not (tmp_path / "done").exists()


def graph(path, nodes, initializers=()):
    value = onnx.helper.make_tensor_value_info
    made = onnx.helper.make_graph(
        nodes,
        "g",
        [value("x", onnx.TensorProto.FLOAT, [2])],
        [value("y", onnx.TensorProto.FLOAT, [2])],
        list(initializers),
    )
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_onnx_runs(tmp_path):
    session = networks.load(graph(tmp_path / "a.onnx", [onnx.helper.make_node("Add", ["x", "x"], ["y"])]))
    assert session.run(None, {"x": np.ones(2, np.float32)})[0].tolist() == [2, 2]


def test_onnx_that_refers_to_other_files_is_refused(tmp_path):
    np.array([1.0, 2.0], np.float32).tofile(tmp_path / "secret.bin")
    for location in ("secret.bin", "../secret.bin", str(tmp_path / "secret.bin")):
        tensor = onnx.TensorProto(
            name="w", data_type=onnx.TensorProto.FLOAT, dims=[2], data_location=onnx.TensorProto.EXTERNAL
        )
        tensor.external_data.add(key="location", value=location)
        path = graph(tmp_path / "a.onnx", [onnx.helper.make_node("Add", ["x", "w"], ["y"])], [tensor])
        with pytest.raises(ValueError, match="not a readable ONNX network"):
            networks.load(path)


def test_onnx_with_foreign_operators_is_refused(tmp_path):
    path = graph(tmp_path / "a.onnx", [onnx.helper.make_node("Evil", ["x"], ["y"], domain="ai.evil")])
    with pytest.raises(ValueError, match="not a readable ONNX network"):
        networks.load(path)


@pytest.mark.parametrize("data", [b"", b"nothing of the kind", b"\x08\x07" * 40])
def test_what_is_no_onnx_is_said(tmp_path, data):
    (tmp_path / "a.onnx").write_bytes(data)
    with pytest.raises(ValueError, match="not a readable ONNX network"):
        networks.load(tmp_path / "a.onnx")


def test_devices_are_never_swapped_silently(tmp_path, monkeypatch):
    monkeypatch.setattr(networks.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert networks.provider("auto") == "CPUExecutionProvider"
    with pytest.raises(ValueError, match="device is cuda but this onnxruntime offers CPUExecutionProvider only"):
        networks.provider("cuda")
    with pytest.raises(ValueError, match="device is 'tpu'"):
        networks.provider("tpu")


class Parts(nn.Module):
    """A network whose own names look like those of operators."""

    def __init__(self):
        super().__init__()
        self.ops = nn.ModuleDict({"conv": nn.Linear(2, 2)})
        self.torch = nn.Linear(2, 2)
        self.save = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.save(self.torch(self.ops["conv"](x)))


def test_a_network_may_call_its_parts_what_it_likes(tmp_path):
    assert torchscript.load(script(Parts(), tmp_path / "a.pt"), CPU)(torch.ones(1, 2)).shape == (1, 2)
