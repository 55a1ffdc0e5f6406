"""Folding: the same results with fewer operations, and nothing that somebody else uses is changed."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from sepkit.separation.engine.folding import fold


def lively(module):
    """Give batch norms the statistics, and all weights the size, of a network that has learned."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                for tensor, low, high in ((part.running_mean, -1, 1), (part.running_var, 0.2, 2)):
                    tensor.uniform_(low, high, generator=generator)
                if part.affine:
                    part.weight.uniform_(0.5, 1.5, generator=generator)
                    part.bias.uniform_(-1, 1, generator=generator)
    return module.eval()


def norms(module):
    return sum(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())


PAIRS = {
    "conv": (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
    "grouped": (nn.Conv2d(4, 8, 3, groups=2, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)),
    "reflecting": (nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(4)),
    "transposed": (nn.ConvTranspose2d(3, 4, (6, 4), (4, 2), 1, bias=False), nn.BatchNorm2d(4)),
    "conv of one dimension": (nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4, affine=False)),
    "transposed of one dimension": (nn.ConvTranspose1d(3, 4, 4, 2), nn.BatchNorm1d(4)),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_a_batch_norm_becomes_part_of_the_convolution_before_it(kind):
    network = lively(deepcopy(nn.Sequential(*PAIRS[kind], nn.ReLU())))
    inputs = torch.randn(2, network[0].in_channels, *[12] * (network[0].weight.dim() - 2))
    before = network(inputs)
    fold(network)
    assert norms(network) == 0
    assert type(network[2]) is nn.ReLU
    torch.testing.assert_close(network(inputs), before, atol=1e-5, rtol=1e-5)


def test_nested_pairs_and_long_chains_are_folded():
    chain = nn.Sequential(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2), nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2))
    network = lively(nn.ModuleList([nn.Sequential(chain, nn.ReLU())]))
    inputs = torch.randn(2, 2, 9)
    before = network[0](inputs)
    fold(network)
    assert norms(network) == 0
    torch.testing.assert_close(network[0](inputs), before, atol=1e-5, rtol=1e-5)


class Subclass(nn.Sequential):
    def forward(self, x):
        return self[1](self[0](x) + 1)


def hooked(module):
    module.register_forward_hook(lambda module, args, output: output + 1)
    return module


def shared():
    conv = nn.Conv1d(2, 2, 1)
    return nn.Sequential(nn.Sequential(conv, nn.BatchNorm1d(2)), nn.Sequential(conv, nn.ReLU()))


def twice():
    conv = nn.Conv1d(2, 2, 1)
    return nn.Sequential(conv, nn.BatchNorm1d(2), conv, nn.BatchNorm1d(2))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Subclass(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2)),
        lambda: nn.Sequential(hooked(nn.Conv1d(2, 2, 1)), nn.BatchNorm1d(2)),
        lambda: nn.Sequential(nn.Conv1d(2, 2, 1), hooked(nn.BatchNorm1d(2))),
        shared,
        twice,
        lambda: nn.Sequential(nn.Conv1d(2, 2, 1), nn.ReLU(), nn.BatchNorm1d(2)),
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 2, 1)), nn.BatchNorm1d(2)),
        lambda: nn.Sequential(nn.ConvTranspose1d(2, 2, 1, groups=2), nn.BatchNorm1d(2)),
        lambda: nn.Sequential(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2, track_running_stats=False)),
    ],
)
def test_what_cannot_be_folded_is_left_alone(build):
    network = build().eval()
    if not any(m.running_mean is None for m in network.modules() if isinstance(m, nn.BatchNorm1d)):
        lively(network)
    inputs = torch.randn(3, 2, 7)
    before, count = network(inputs), norms(network)
    fold(network)
    assert norms(network) == count
    assert torch.equal(network(inputs), before)


def test_a_network_in_training_is_left_alone():
    network = nn.Sequential(nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2)).train()
    fold(network)
    assert norms(network) == 1


def test_networks_that_share_weights_are_not_changed():
    conv, norm = nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2)
    mine, other = nn.Sequential(conv, norm), nn.Sequential(conv, norm)
    lively(other)
    inputs = torch.randn(3, 2, 7)
    before = other(inputs)
    fold(mine)
    assert norms(mine) == 0
    assert torch.equal(other(inputs), before)
    torch.testing.assert_close(mine(inputs), before, atol=1e-5, rtol=1e-5)
