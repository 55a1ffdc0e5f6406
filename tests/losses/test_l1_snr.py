"""L1 signal-to-noise ratio."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sepkit import AudioSpec
from sepkit.losses.l1_snr import L1SNR

AUDIO = AudioSpec(8000, 2, ("a", "b"))


@given(
    seed=st.integers(0, 1000),
    levels=st.lists(st.sampled_from([0.0, 1e-4, 0.05, 1.0]), min_size=6, max_size=6),
    channels=st.integers(1, 2),
    frames=st.integers(1, 500),
    eps=st.floats(1e-9, 0.1),
)
@settings(max_examples=50, deadline=None)
def test_the_value_is_that_of_the_formula_for_each_example(seed, levels, channels, frames, eps):
    shape, random = (3, 2, channels, frames), torch.Generator().manual_seed(seed)
    target = torch.tensor(levels).view(3, 2, 1, 1) * torch.randn(shape, generator=random, dtype=torch.float64)
    estimate = target + 0.1 * torch.randn(shape, generator=random, dtype=torch.float64)
    error, size = (estimate - target).abs().mean((2, 3)), target.abs().mean((2, 3))
    wanted = [
        10 * math.log10((e + eps) / (s + eps))
        for e, s in zip(error.flatten().tolist(), size.flatten().tolist(), strict=True)
    ]
    assert L1SNR(eps=eps).build(AUDIO)(estimate, target).item() == pytest.approx(sum(wanted) / 6, rel=1e-9, abs=1e-9)


def test_by_hand():
    target = torch.tensor([[[[1.0, -1.0, 0.5, -0.5], [0.75, 0.75, -0.75, -0.75]]]], dtype=torch.float64)
    loss = L1SNR(eps=1e-9).build(AUDIO)
    assert loss(target + 0.075, target).item() == pytest.approx(-10)
    assert loss(0 * target, target).item() == pytest.approx(0)
    assert loss(11 * target, target).item() == pytest.approx(10)


def test_eps_bounds_both_ends():
    target = torch.full((1, 1, 1, 100), 0.099)
    loss = L1SNR().build(AUDIO)
    assert loss(target, target).item() == pytest.approx(-20, abs=1e-4)  # 0.001 / 0.1
    assert loss(target, 0 * target).item() == pytest.approx(20, abs=1e-4)
    assert loss(0 * target, 0 * target) == 0


@pytest.mark.parametrize("eps", [0, -1, 1e-12])
def test_an_eps_that_single_precision_would_lose_is_refused(eps):
    with pytest.raises(ValidationError, match="eps"):
        L1SNR(eps=eps)
