"""The engine: channels, and what it does where memory does not suffice."""

import logging

import numpy as np
import pytest
import torch

from sepkit.errors import AudioError
from sepkit.separation.engine.engine import Extent
from sepkit.separation.engine.torch_engine import TorchEngine
from sepkit.separation.overlap_add import Chunking


def noise(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


class Hungry(torch.nn.Module):
    """Takes at most `most` samples at once, and twice the input away from "meta", as a GPU is called here."""

    def __init__(self, most):
        super().__init__()
        self.most, self.on, self.seen = most, "gpu", []

    def to(self, device):
        self.on = str(device)
        return self

    def forward(self, x):
        self.seen.append((self.on, x.shape[0], x.shape[-1]))
        if x.shape[0] * x.shape[-1] > self.most[self.on]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return x[:, None] * 0.5


class Pretended:
    """A device of which the engine knows only that it is no CPU."""

    type = "gpu"

    def __str__(self):
        return "gpu"


def engine(most, channels=2, batch=4):
    made = TorchEngine(Hungry(most), torch.device("cpu"), 1000, channels, Chunking(1600, 400))
    made.device, made._extent, made.network.on = Pretended(), Extent(batch), "gpu"
    made._on_device = lambda samples: samples
    return made


def test_fewer_at_once_then_shorter_ones_then_the_cpu_each_said_once(caplog):
    made, chunks = engine({"gpu": 50, "cpu": 10_000}), noise(4, 2, 1600)
    with caplog.at_level(logging.WARNING):
        result = made(chunks)
    np.testing.assert_array_equal(result, 0.5 * chunks[:, None])
    assert [made.network.seen[i][1] for i in range(3)] == [4, 2, 1]
    assert made.network.seen[-1][0] == "cpu"
    words = [record.message for record in caplog.records]
    assert words == [
        "memory exhausted: going on with 2 at once", "memory exhausted: going on with 1 at once",
        *(f"memory exhausted: going on with chunks of {s} s" for s in ("0.8", "0.4", "0.2", "0.1")),
        "memory of gpu exhausted: going on on the CPU",
    ]  # fmt: skip


def test_it_stays_with_what_fits(caplog):
    made = engine({"gpu": 3200, "cpu": 0})
    made(noise(4, 2, 1600))
    made.network.seen.clear()
    made(noise(4, 2, 1600))
    assert {batch for _, batch, _ in made.network.seen} == {2}


def test_at_the_end_there_is_a_clear_error():
    made = engine({"gpu": 0, "cpu": 0})
    with pytest.raises(AudioError, match="memory exhausted, even with the shortest chunks"):
        made(noise(1, 2, 1600))


def test_another_error_is_no_lack_of_memory():
    made = engine({})
    with pytest.raises(KeyError):
        made(noise(1, 2, 1600))


def test_channels_that_the_network_does_not_hear_pass_one_by_one():
    made, chunks = engine({"gpu": 1600, "cpu": 0}, channels=1, batch=1), noise(2, 6, 1600)
    np.testing.assert_array_equal(made(chunks), 0.5 * chunks[:, None])
    assert {batch for _, batch, _ in made.network.seen} == {1}
