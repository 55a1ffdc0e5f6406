"""What all built-in losses promise."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit import AudioSpec
from sepkit.plugins import BUILTIN
from sepkit.registry import LOSSES

ALL = [entry.component for entry in LOSSES.entries() if entry.plugin == BUILTIN]
every_loss = pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.registered_name())
LEVELS = st.sampled_from([0.0, 1e-39, 1e-12, 1e-5, 0.1, 1.0, 100.0])
FRAMES = st.one_of(st.integers(1, 40), st.integers(41, 5000))
SEEDS = st.integers(0, 1000)


def build(cls):
    return cls().build(AudioSpec(8000, 2, ("a", "b")))


def noise(seed, *shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def value_and_gradient(loss, estimate, target):
    estimate = estimate.clone().requires_grad_()
    value = loss(estimate, target)
    value.backward()
    assert value.shape == ()
    return value.detach(), estimate.grad


def test_all_six_are_here_in_the_order_of_their_names():
    names = [cls.registered_name() for cls in ALL]
    assert names == sorted(names) == ["l1", "l1_magnitude", "l1_snr", "mse", "multi_resolution_stft", "si_sdr"]


@every_loss
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, frames=FRAMES, channels=st.integers(1, 2), level=LEVELS, off=LEVELS)
def test_no_estimate_is_better_than_the_target(cls, seed, frames, channels, level, off):
    loss = build(cls)
    target = level * noise(seed, 2, 2, channels, frames)
    estimate = target + off * noise(seed + 1, *target.shape)
    assert loss(target, target) <= loss(estimate, target) + 1e-4


@every_loss
def test_zero_for_the_target_unless_it_is_a_ratio_in_decibels(cls):
    target = noise(0, 2, 2, 1, 3000)
    value = build(cls)(target, target)
    assert value < -25 if cls.registered_name() in ("si_sdr", "l1_snr") else value == 0


@every_loss
def test_the_nearer_the_target_the_lower_and_a_small_step_against_the_gradient_lowers_it(cls):
    loss = build(cls)
    target, estimate = noise(0, 2, 2, 2, 3001), noise(1, 2, 2, 2, 3001)
    values = [loss((1 - near) * estimate + near * target, target) for near in (0, 0.3, 0.6, 0.9, 1)]
    assert values == sorted(values, reverse=True)
    value, gradient = value_and_gradient(loss, estimate, target)
    assert loss(estimate - 0.1 * gradient / gradient.norm(), target) < value


@every_loss
def test_the_gradient_is_that_of_the_value(cls):
    target = noise(0, 2, 1, 2, 37, dtype=torch.float64)
    estimate = noise(1, 2, 1, 2, 37, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(build(cls), (estimate, target))


@every_loss
@settings(max_examples=20, deadline=None)
@given(
    seed=SEEDS,
    frames=st.integers(1, 3000),
    levels=st.lists(LEVELS, min_size=6, max_size=6),
    cuts=st.sets(st.integers(1, 5), min_size=1),
)
def test_the_loss_of_a_batch_is_the_mean_over_its_examples(cls, seed, frames, levels, cuts):
    loss = build(cls)
    target = torch.tensor(levels, dtype=torch.float64).view(6, 1, 1, 1) * noise(seed, 6, 2, 2, frames).double()
    estimate = 0.5 * target + 0.1 * noise(seed + 1, *target.shape, dtype=torch.float64)
    value, gradient = value_and_gradient(loss, estimate, target)
    assert value.dtype == torch.float64
    bounds = [0, *sorted(cuts), 6]
    parts = [slice(start, stop) for start, stop in pairwise(bounds)]
    shares = [(part.stop - part.start) / 6 for part in parts]
    found = [value_and_gradient(loss, estimate[part], target[part]) for part in parts]
    total = sum(share * part for share, (part, _) in zip(shares, found, strict=True))
    gradients = torch.cat([share * part for share, (_, part) in zip(shares, found, strict=True)])
    torch.testing.assert_close(total, value, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradients, gradient, rtol=1e-9, atol=1e-9 * float(gradient.abs().max()))


@every_loss
def test_each_source_is_an_example(cls):
    loss = build(cls)
    target = noise(0, 3, 2, 2, 2001, dtype=torch.float64) * torch.tensor([1.0, 0.01]).view(1, 2, 1, 1)
    estimate = target + 0.1 * noise(1, 3, 2, 2, 2001, dtype=torch.float64)
    flat = loss(estimate.view(6, 1, 2, 2001), target.view(6, 1, 2, 2001))
    torch.testing.assert_close(loss(estimate, target), flat, rtol=1e-9, atol=1e-9)
    alone = [loss(estimate[:, [source]], target[:, [source]]) for source in (0, 1)]
    torch.testing.assert_close(torch.stack(alone).mean(), flat, rtol=1e-9, atol=1e-9)


@every_loss
@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, frames=FRAMES, channels=st.integers(1, 2), estimate_level=LEVELS, target_level=LEVELS)
def test_finite_for_silent_quiet_loud_and_short_signals(cls, seed, frames, channels, estimate_level, target_level):
    estimate = estimate_level * noise(seed, 2, 1, channels, frames)
    target = target_level * noise(seed + 1, 2, 1, channels, frames)
    for given_estimate in (estimate, target):
        value, gradient = value_and_gradient(build(cls), given_estimate, target)
        assert value.isfinite()
        assert gradient.isfinite().all()


@every_loss
def test_silent_parts_of_a_sounding_signal_are_harmless(cls):
    target, estimate = noise(0, 1, 1, 2, 6001), noise(1, 1, 1, 2, 6001)
    target[..., :3000], estimate[..., 2000:5000], estimate[:, :, 1] = 0, 0, 0
    value, gradient = value_and_gradient(build(cls), estimate, target)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_loss
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_a_half_precision_estimate_is_compared_in_single_precision(cls, half):
    loss = build(cls)
    target = 0.1 * noise(0, 2, 2, 1, 3000)
    estimate = (target + 0.05 * noise(1, 2, 2, 1, 3000)).to(half)
    value, gradient = value_and_gradient(loss, estimate, target)
    assert value == loss(estimate.float(), target)
    assert gradient.dtype == half
    assert gradient.isfinite().all()
    assert loss(torch.zeros_like(estimate), target.to(half)).isfinite()


@every_loss
def test_inputs_stay_as_they_are(cls):
    target, estimate = noise(0, 2, 1, 2, 500), noise(1, 2, 1, 2, 500)
    before = target.clone(), estimate.clone()
    build(cls)(estimate, target)
    torch.testing.assert_close((target, estimate), before, rtol=0, atol=0)
