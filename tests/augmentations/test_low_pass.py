"""Random bandwidth."""

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.low_pass import LowPass


def low_pass(stems, rate, low, high, seed=0):
    build = LowPass(low_hz=low, high_hz=high).build(AudioSpec(rate))
    return build(stems, stems.sum(0), np.random.default_rng(seed))


def sine(hertz, rate, seconds=1.0):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)[None, None]


def decibels(after, before):
    return 10 * np.log10((after**2).mean() / (before**2).mean())


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
@pytest.mark.parametrize("cutoff", [1000, 4000, 7000])
def test_what_lies_above_the_cutoff_goes_and_what_lies_below_stays(rate, cutoff):
    middle = slice(rate // 50, -rate // 50)  # at its edges, a sine is no single frequency
    below, at, above = (sine(cutoff + offset, rate) for offset in (-400, 0, 400))
    kept, half, gone = (low_pass(stems, rate, cutoff, cutoff)[0][..., middle] for stems in (below, at, above))
    np.testing.assert_allclose(kept, below[..., middle], atol=0.001)
    assert decibels(half, at) == pytest.approx(-6, abs=0.3)
    assert decibels(gone, above) < -60


def test_nothing_moves_in_time():
    click = np.zeros((1, 1, 2001), np.float32)
    click[..., 1000] = 1
    for cutoff in (500, 4000):
        filtered = low_pass(click, 22050, cutoff, cutoff)[0][0, 0]
        assert filtered.argmax() == 1000
        np.testing.assert_allclose(filtered, filtered[::-1], atol=1e-7)


def test_the_edges_do_not_fade():
    constant = np.ones((1, 2, 700), np.float32)
    np.testing.assert_allclose(low_pass(constant, 22050, 300, 300)[0], constant, atol=1e-5)


def test_all_stems_get_one_filter_so_the_mixture_is_the_filtered_mixture():
    stems = np.random.default_rng(0).standard_normal((3, 2, 5000)).astype(np.float32)
    _, mixture = low_pass(stems, 44100, 4000, 16000)
    alone, _ = low_pass(stems.sum(0, keepdims=True), 44100, 4000, 16000)
    np.testing.assert_allclose(mixture, alone[0], atol=1e-5)


def test_the_cutoff_is_log_uniform_within_the_limits():
    noise = np.random.default_rng(0).standard_normal((1, 1, 22050)).astype(np.float32)
    octaves = []
    for seed in range(150):
        spectrum = np.abs(np.fft.rfft(low_pass(noise, 44100, 2000, 8000, seed)[0][0, 0])) ** 2
        hertz = np.searchsorted(spectrum.cumsum(), 0.999 * spectrum.sum()) * 2
        octaves.append(np.log2(hertz / 2000))
    assert min(octaves) > -0.05
    assert max(octaves) < 2.1
    assert np.mean(octaves) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("rate", [1000, 8000])
def test_limits_above_half_the_sample_rate_take_nothing_away(rate):
    noise = np.random.default_rng(0).standard_normal((2, 1, 3001)).astype(np.float32)
    np.testing.assert_allclose(low_pass(noise, rate, 4000, 16000)[0], noise, atol=1e-5)
