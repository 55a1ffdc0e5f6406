"""Negative SI-SDR."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit import AudioSpec
from sepkit.losses.si_sdr import SISDRLoss
from sepkit.metrics.si_sdr import SISDR

AUDIO = AudioSpec(8000, 2, ("a",))
LOSS = SISDRLoss().build(AUDIO)


def noise(seed, *shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def with_distortion(target, decibels, seed=1):
    """The target [1, 1, channel, time] plus noise that is orthogonal to it and `decibels` below it."""
    off = noise(seed, *target.shape, dtype=target.dtype)
    off = off - (off * target).sum() / target.square().sum() * target
    return target + off * target.norm() / off.norm() * 10 ** (-decibels / 20)


@given(
    decibels=st.floats(-20, 40),
    target_level=st.floats(1e-5, 10),
    gain=st.floats(0.03, 30),
    polarity=st.sampled_from([-1, 1]),
    frames=st.integers(20, 2000),
)
@settings(max_examples=60, deadline=None)
def test_the_value_is_the_constructed_one_at_any_level(decibels, target_level, gain, polarity, frames):
    target = target_level * noise(0, 1, 1, 2, frames)
    estimate = polarity * gain * with_distortion(target, decibels)
    assert LOSS(estimate, target).item() == pytest.approx(-decibels, abs=1e-6)


def test_by_hand():
    target = torch.tensor([[[[3.0, 0.0, 0.0, 4.0]]]], dtype=torch.float64)
    estimate = target + torch.tensor([0.0, 0.5, 0.0, 0.0], dtype=torch.float64)
    assert LOSS(estimate, target).item() == pytest.approx(-20)  # energies 25 and 1/4


@given(st.integers(0, 1000), st.integers(1, 2), st.integers(20, 3000))
@settings(max_examples=30, deadline=None)
def test_it_is_the_negative_of_the_metric(seed, channels, frames):
    target = noise(seed, 1, 1, channels, frames)
    estimate = 0.7 * target + 0.2 * noise(seed + 1, *target.shape)
    estimates, references = (x[0].float().numpy() for x in (estimate, target))
    metric = SISDR().build(AUDIO)(estimates, references, references[0])
    assert LOSS(estimate, target).item() == pytest.approx(-metric.item(), abs=1e-4)


def test_channels_are_one_signal():
    target = noise(0, 1, 1, 2, 1000)
    loud_left = target * torch.tensor([1.0, 0.1]).view(2, 1)
    assert LOSS(loud_left, target) == LOSS(loud_left.view(1, 1, 1, -1), target.view(1, 1, 1, -1))
    assert LOSS(loud_left, target) > -20


@pytest.mark.parametrize("level", [1, 1e-3, 1e-5])
def test_quiet_targets_are_scored_like_loud_ones_in_single_precision(level):
    target = noise(0, 1, 1, 1, 8000, dtype=torch.float32)
    estimate = with_distortion(target, 40)
    assert LOSS(level * estimate, level * target).item() == pytest.approx(-40, abs=0.02)


def test_a_silent_target_counts_as_zero_and_has_no_gradient():
    target, estimate = noise(0, 4, 1, 2, 1000), noise(1, 4, 1, 2, 1000).requires_grad_()
    target[0], target[2] = 0, 1e-8 * target[2]
    value = LOSS(estimate, target)
    value.backward()
    assert value.item() == pytest.approx(LOSS(estimate[[1, 3]], target[[1, 3]]).item() / 2)
    assert not estimate.grad[[0, 2]].any()
    assert estimate.grad[[1, 3]].any()
    assert LOSS(estimate[[0]], target[[0]]) == 0


def test_a_silent_estimate_has_0_db_and_is_pulled_towards_the_target():
    target, estimate = noise(0, 1, 1, 1, 1000), torch.zeros(1, 1, 1, 1000, dtype=torch.float64, requires_grad=True)
    value = LOSS(estimate, target)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-9)
    step = -estimate.grad.flatten().numpy()
    assert np.corrcoef(step, target.flatten().numpy())[0, 1] > 0.999


@pytest.mark.parametrize(("dtype", "best"), [(torch.float32, 69), (torch.float64, 156)])
def test_a_perfect_estimate_is_bounded_by_the_precision(dtype, best):
    target = 0.1 * noise(0, 2, 1, 2, 5000, dtype=dtype)
    assert LOSS(target, target).item() == pytest.approx(-best, abs=1)


@given(gain=st.floats(1e-3, 1e6), seed=st.integers(0, 1000), frames=st.integers(1, 500))
@settings(max_examples=50, deadline=None)
def test_no_gain_pays_even_for_a_perfect_estimate(gain, seed, frames):
    target = 0.1 * noise(seed, 1, 1, 1, frames, dtype=torch.float32)
    estimate = (gain * target).requires_grad_()
    value, best = LOSS(estimate, target), LOSS(target, target).item()
    value.backward()
    assert estimate.grad.isfinite().all()
    assert value.item() >= best - 1e-3
    if gain > 1.01:
        assert value.item() == pytest.approx(best, abs=1e-3)
