"""A model's network as its tests need it: in evaluation mode, with the same random weights each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from sepkit.component import AudioSpec, ModelConfig
from sepkit.errors import ConfigError
from sepkit.testing.promises import Promises
from sepkit.testing.signals import noise


class BuiltNetwork(Promises):
    """Base of the parts of a model's suite."""

    component: ClassVar[ModelConfig]

    def network(self, audio: AudioSpec | None = None) -> nn.Module:
        """Return the network in evaluation mode, with the same random weights each time."""
        with seeded():
            return self.component.build(audio or self.audio).eval()

    def network_or_skip(self, audio: AudioSpec) -> nn.Module:
        """Return the network, or skip the test where the model says that it cannot do this."""
        try:
            return self.network(audio)
        except ConfigError as refused:
            pytest.skip(f"refused, which is allowed: {refused}")


@contextmanager
def seeded() -> Iterator[None]:
    """Let torch draw the same random numbers each time, and leave its state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def noise_for(audio: AudioSpec, batch: int, *, seed: int = 0, level: float = 0.1) -> Tensor:
    """Return noise [batch, channel, one second]."""
    return torch.from_numpy(noise(batch, audio.channels, audio.sample_rate, seed=seed, level=level))


def check_shape(network: nn.Module, audio: AudioSpec, batch: int, frames: int) -> None:
    """Fail unless [batch, channel, frames] gives [batch, source, channel, frames]."""
    mixture = torch.from_numpy(noise(batch, audio.channels, frames))
    expected = [batch, len(audio.sources), audio.channels, frames]
    try:
        with torch.no_grad():
            found = list(network(mixture).shape)
    except Exception as error:  # networks may raise anything
        raise AssertionError(f"an input of {list(mixture.shape)} fails: {error}") from error
    assert found == expected, f"an input of {list(mixture.shape)} must give {expected}, not {found}"
