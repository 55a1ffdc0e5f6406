"""Spectral convergence and L1 of log magnitudes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sepkit import AudioSpec
from sepkit.losses.multi_resolution_stft import MultiResolutionSTFT

AUDIO = AudioSpec(8000, 1, ("a",))


def noise(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spectrum(signal, n_fft, hop):
    """Magnitudes [frame, frequency] of a signal [time], frame by frame."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    padded = np.pad(signal, n_fft // 2)
    starts = range(0, len(padded) - n_fft + 1, hop)
    return np.abs([np.fft.rfft(window * padded[s : s + n_fft]) for s in starts]) / np.sqrt((window**2).sum())


def by_the_formula(settings, estimate, target):
    """The loss of one example, [channel, time] as arrays."""
    terms = []
    for n_fft in settings.n_ffts:
        hop = max(1, round(n_fft * settings.hop_share))
        e, t = (np.array([spectrum(channel, n_fft, hop) for channel in x]) for x in (estimate, target))
        least = settings.level_floor * math.sqrt(t.size)
        convergence = np.sqrt(((e - t) ** 2).sum()) / max(np.sqrt((t**2).sum()), least)
        logs = np.abs(np.log(e + settings.magnitude_floor) - np.log(t + settings.magnitude_floor)).mean()
        terms.append(settings.convergence_weight * convergence + settings.log_weight * logs)
    return np.mean(terms)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n_ffts=st.lists(st.integers(16, 200), min_size=1, max_size=3),
    hop_share=st.floats(0.1, 1),
    channels=st.integers(1, 2),
    frames=st.integers(1, 700),
    levels=st.lists(st.sampled_from([0.0, 1e-4, 0.005, 0.1, 1.0]), min_size=3, max_size=3),
    weights=st.tuples(st.floats(0, 2), st.floats(0, 2)),
)
def test_the_value_is_that_of_the_formula_for_each_example(seed, n_ffts, hop_share, channels, frames, levels, weights):
    of = MultiResolutionSTFT(n_ffts=n_ffts, hop_share=hop_share, convergence_weight=weights[0], log_weight=weights[1])
    target = noise(seed, 3, 1, channels, frames) * torch.tensor(levels).view(3, 1, 1, 1)
    estimate = target + 0.1 * noise(seed + 1, 3, 1, channels, frames)
    examples = zip(estimate[:, 0].numpy(), target[:, 0].numpy(), strict=True)
    wanted = np.mean([by_the_formula(of, *example) for example in examples])
    assert of.build(AUDIO)(estimate, target).item() == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("gain", [0.25, 0.5, 2, -2])
def test_a_wrong_level_costs_its_ratio_and_its_logarithm(gain):
    target = noise(0, 2, 1, 2, 5000)
    convergence = MultiResolutionSTFT(log_weight=0).build(AUDIO)(gain * target, target)
    logs = MultiResolutionSTFT(convergence_weight=0, magnitude_floor=1e-7).build(AUDIO)(gain * target, target)
    assert convergence.item() == pytest.approx(abs(abs(gain) - 1), rel=1e-9)
    assert logs.item() == pytest.approx(abs(math.log(abs(gain))), rel=1e-4)


def test_each_example_has_a_ratio_of_its_own():
    target = noise(0, 2, 1, 1, 4000) * torch.tensor([1.0, 0.05]).view(2, 1, 1, 1)
    estimate = torch.stack([target[0], 2 * target[1]])
    loss = MultiResolutionSTFT(log_weight=0).build(AUDIO)
    assert loss(estimate, target).item() == pytest.approx(0.5, rel=1e-9)


def test_against_a_silent_target_the_error_is_divided_by_the_floor():
    estimate = 0.1 * noise(0, 1, 1, 1, 200_000)
    loss = MultiResolutionSTFT(log_weight=0, level_floor=0.02).build(AUDIO)
    assert loss(estimate, torch.zeros_like(estimate)).item() == pytest.approx(0.1 / 0.02, rel=0.01)
    assert loss(estimate / 100, 0 * estimate).item() == pytest.approx(0.001 / 0.02, rel=0.01)


def test_what_is_far_below_the_floor_of_the_logarithm_costs_little():
    target = 1e-6 * noise(0, 1, 1, 1, 5000)
    loss = MultiResolutionSTFT(convergence_weight=0).build(AUDIO)
    assert 0 < loss(0 * target, target) < 0.01
    assert 0 < loss(target, 0 * target) < 0.01


def test_each_resolution_counts_alike():
    target, estimate = noise(0, 2, 1, 1, 4000), noise(1, 2, 1, 1, 4000)
    alone = [MultiResolutionSTFT(n_ffts=[n]).build(AUDIO)(estimate, target) for n in (64, 512)]
    both = MultiResolutionSTFT(n_ffts=[64, 512]).build(AUDIO)(estimate, target)
    torch.testing.assert_close(both, torch.stack(alone).mean())


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_ffts": []}, {"n_ffts": [8]}, {"hop_share": 0}, {"hop_share": 1.5}, {"log_weight": -1},
        {"convergence_weight": -1}, {"level_floor": 0}, {"magnitude_floor": 0},
    ],
)  # fmt: skip
def test_settings_that_make_no_loss_are_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        MultiResolutionSTFT(**wrong)
