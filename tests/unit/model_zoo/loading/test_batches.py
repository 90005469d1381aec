import pytest
import torch

from model_zoo.loading import device
from model_zoo.loading.batches import Batches

CPU = torch.device("cpu")


class Small:
    """A network whose memory holds `limit` items."""

    def __init__(self, limit):
        self.limit, self.calls = limit, []

    def __call__(self, items):
        self.calls.append(len(items))
        if len(items) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return items + 1


def test_out_of_memory_halves_the_batch_and_loses_nothing(caplog):
    network = Small(limit=3)
    batches = Batches(network, 8, CPU)
    assert batches(torch.arange(10)).tolist() == list(range(1, 11))
    assert network.calls == [8, 4, 2, 2, 2, 2, 2]
    assert batches.size == 2
    assert "going on with 2 at a time" in caplog.text
    network.calls.clear()
    batches(torch.arange(2))
    assert network.calls == [2]


def test_when_a_single_item_does_not_fit_it_says_so():
    with pytest.raises(MemoryError, match="too little memory for a single picture"):
        Batches(Small(limit=0), 4, CPU)(torch.ones(4))


def test_other_errors_are_not_taken_for_it():
    def network(items):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Batches(network, 4, CPU)(torch.ones(4))


def test_half_precision_is_what_the_network_sees():
    seen = []

    def network(items):
        seen.append(items.dtype)
        return items

    assert Batches(network, 2, CPU, half=True)(torch.ones(3)).dtype == torch.float32
    assert seen == [torch.float16, torch.float16]


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="batch is 0"):
        Batches(lambda items: items, 0, CPU)


def test_device_is_what_was_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.choose("auto") == CPU
    with pytest.raises(ValueError, match="no GPU is visible"):
        device.choose("cuda")
    with pytest.raises(ValueError, match="device is 'gpu'"):
        device.choose("gpu")
