"""What a network costs."""

import pytest
from torch import nn

from sepkit import AudioSpec
from sepkit.checkpoints.info import cost


class Recurrent(nn.Module):
    """Seventy samples a step, two layers of eleven units in both directions."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layers = kind(70, 11, 2, bidirectional=True)

    def forward(self, mixture):
        return self.layers(mixture.reshape(-1, 1, 70))[0]


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
def test_recurrent_layers_count(kind, gates):
    steps, weights = 60 * 7000 / 70, 2 * gates * 11 * ((70 + 11) + (22 + 11))
    found = cost(Recurrent(kind), AudioSpec(7000))["gflop_per_minute"]
    assert found == pytest.approx(2 * steps * weights / 1e9, abs=0.01)
