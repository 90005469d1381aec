import pytest
import torch

from model_zoo.diffusion.temporal import TemporalAttentionLayer, sinusoids


def _awake(**changes):
    layer = TemporalAttentionLayer(16, 8, num_groups=4, **changes)
    torch.nn.init.normal_(layer.proj_out.weight)
    return layer


def test_starts_as_the_identity():
    features = torch.randn(2, 16, 5, 3, 4)
    assert torch.equal(TemporalAttentionLayer(16, 8, num_groups=4)(features), features)


def test_places_do_not_mix_but_times_do():
    layer = _awake()
    # One group per channel and place would hide mixing; the normalisation sees all places, so it is taken out.
    layer.norm = torch.nn.Identity()
    features = torch.randn(1, 16, 5, 3, 4, requires_grad=True)
    layer(features)[0, :, 2, 1, 1].sum().backward()
    reached = features.grad.abs().sum(1)[0] > 0
    assert reached[:, 1, 1].all()
    reached[:, 1, 1] = False
    assert not reached.any()


def test_order_of_frames_matters():
    layer, features = _awake(), torch.randn(1, 16, 4, 2, 2)
    assert not torch.allclose(layer(features.flip(2)).flip(2), layer(features), atol=1e-3)


def test_gradients_reach_every_parameter():
    layer = _awake()
    layer(torch.randn(2, 16, 3, 2, 2)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_limits():
    with pytest.raises(ValueError, match="heads of 7"):
        TemporalAttentionLayer(16, 7)
    with pytest.raises(ValueError, match="serves 4"):
        _awake(max_frames=4)(torch.randn(1, 16, 5, 2, 2))


def test_positions_are_sines_and_cosines():
    table = sinusoids(3, 4)
    assert torch.allclose(table[:, 0], torch.sin(torch.arange(3.0)))
    assert torch.allclose(table[:, 3], torch.cos(torch.arange(3.0) / 100))
