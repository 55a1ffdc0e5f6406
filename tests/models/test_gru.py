"""The GRU against torch's own: the same states and the same gradients."""

import pytest
import torch
from torch import nn

from sepkit.models.gru import BidirectionalGRU


@pytest.mark.parametrize(("batch", "time", "layers"), [(1, 1, 1), (3, 7, 1), (2, 5, 3)])
def test_states_and_gradients_equal_those_of_torch(batch, time, layers):
    torch.manual_seed(0)
    ours = BidirectionalGRU(6, 4, layers, dropout=0.0)
    theirs = nn.GRU(6, 4, layers, batch_first=True, bidirectional=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(batch, time, 6)
    results = []
    for run in (ours, lambda signal: theirs(signal)[0]):
        signal = x.clone().requires_grad_()
        states = run(signal)
        (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
        results.append((states, signal.grad))
    for ours_, theirs_ in zip(*results, strict=True):
        torch.testing.assert_close(ours_, theirs_, atol=1e-5, rtol=1e-4)
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, theirs.get_parameter(name).grad, atol=1e-5, rtol=1e-4)


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(1)
    gru = BidirectionalGRU(3, 2, 1, 0.0).double()
    gru_layer = gru._layer
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda signal: gru_layer(signal, 0), (x,))


def test_with_and_without_gradients_agree():
    torch.manual_seed(2)
    gru = BidirectionalGRU(3, 5, 2, 0.3).eval()
    x = torch.randn(2, 9, 3)
    with torch.no_grad():
        without = gru(x)
    torch.testing.assert_close(gru(x), without, atol=1e-6, rtol=1e-5)
