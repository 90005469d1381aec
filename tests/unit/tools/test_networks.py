"""Networks filled and run: precision, memory, and what is told when it does not work."""

import numpy as np
import pytest
import torch

from model_zoo.hrnet.network import HrnetConfig, PoseHrnet
from tests.plain_hrnet import randomised
from tools import networks
from workflow.errors import ToolError

SMALL = HrnetConfig(width=4, joints=2, bottlenecks=1, modules=(1, 1, 1), blocks=1)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_half_precision_spares_the_normalisations():
    network = randomised(PoseHrnet(SMALL))
    with torch.no_grad():
        network.bn1.running_var.fill_(1e6)  # no 16-bit float
        x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        expected = network(x)
        networks.prepare(network, half=True)
        found = network(x.half())
    assert network.conv1.weight.dtype == found.dtype == torch.float16
    assert network.bn1.running_var.dtype == torch.float32
    assert torch.isfinite(found).all()
    assert float((found.float() - expected).abs().max()) < 0.02 * float(expected.abs().max())


def test_a_runner_gives_the_same_in_any_batch():
    network = randomised(PoseHrnet(SMALL))
    pictures = np.random.default_rng(0).normal(size=(5, 3, 32, 32)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(pictures)).numpy()
    for batch in (1, 2, 8):
        found = networks.runner(network, torch.device("cpu"), batch, "a/b")(pictures)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
        assert found.dtype == np.float32


def test_too_little_memory_for_one_picture_is_told():
    class Hungry(torch.nn.Module):
        def forward(self, x):
            raise torch.OutOfMemoryError("CUDA out of memory")

    run = networks.runner(Hungry(), torch.device("cpu"), 4, "keypoints/hrnet")
    with pytest.raises(ToolError, match="keypoints/hrnet: the GPU has too little memory for a single picture"):
        run(np.zeros((3, 1), np.float32))


def test_a_device_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert networks.device_of("auto", "a/b").type == "cpu"
    with pytest.raises(ToolError, match="a/b: device is cuda but no GPU is visible"):
        networks.device_of("cuda", "a/b")


def test_a_hostile_checkpoint_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return eval, ("print('run')",)

    torch.save({"conv1.weight": Hostile()}, tmp_path / "x.pth")
    with pytest.raises(ToolError, match="refused"):
        networks.fill(PoseHrnet(SMALL), tmp_path / "x.pth", "a/b")


def test_chunks():
    assert list(networks.chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(networks.chunks([], 2)) == []
