"""Spectrograms and waveforms: known sounds stand where they must, however the sound is cut into blocks."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit.report.spectrogram import BANDS, Spectrogram, ticks
from sepkit.report.waveform import Waveform

RATES = st.sampled_from([1000, 8000, 22050, 44100, 96000])
CUTS = st.lists(st.floats(0.01, 0.99), max_size=5)


def noise(frames, channels=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (channels, frames)).astype(np.float32)


def blocks(samples, cuts):
    edges = sorted({0, samples.shape[1], *(round(cut * samples.shape[1]) for cut in cuts)})
    return [samples[:, a:b] for a, b in pairwise(edges)]


def drawn(samples, rate, columns, cuts=()):
    spectrogram = Spectrogram(rate, samples.shape[1], columns)
    for block in blocks(samples, cuts):
        spectrogram.add(block)
    return spectrogram.power()


@settings(max_examples=40, deadline=None)
@given(RATES, st.integers(1, 20_000), st.integers(1, 300), CUTS)
def test_a_spectrogram_does_not_depend_on_the_blocks(rate, frames, columns, cuts):
    samples = noise(frames)
    whole = drawn(samples, rate, columns)
    assert whole.shape[0] == BANDS
    assert 1 <= whole.shape[1] <= columns
    assert (whole > 0).all()  # every band and every column has something to show
    np.testing.assert_allclose(drawn(samples, rate, columns, cuts), whole, rtol=1e-3)


@pytest.mark.parametrize("hertz", [100, 1000, 4000])
def test_a_sine_stands_at_its_frequency(hertz):
    sine = np.sin(2 * np.pi * hertz * np.arange(44100) / 44100).astype(np.float32)[None]
    power = drawn(sine, 44100, 20)[:, 5:15].mean(1)
    label = f"{hertz // 1000}k" if hertz >= 1000 else str(hertz)
    assert power.argmax() == pytest.approx(dict(ticks(44100))[label] * BANDS, abs=1.5)
    assert power.max() > 1000 * np.median(power)


def test_time_runs_from_left_to_right():
    samples = np.zeros((1, 80_000), np.float32)
    samples[:, 60_000:61_000] = noise(1000, 1)
    assert drawn(samples, 8000, 100).sum(0).argmax() == pytest.approx(75, abs=1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 400), CUTS)
def test_a_waveform_is_that_of_its_parts(frames, columns, cuts):
    samples = noise(frames)
    waveform = Waveform(frames, columns)
    for block in blocks(samples, cuts):
        waveform.add(block)
    parts = np.array_split(np.arange(frames), len(waveform.peaks)) if frames % len(waveform.peaks) == 0 else None
    assert waveform.peaks.max() == np.abs(samples).max()
    assert len(waveform.peaks) == min(frames, columns)
    assert (waveform.levels <= waveform.peaks + 1e-6).all()
    if parts:
        np.testing.assert_allclose(waveform.peaks, [np.abs(samples[:, part]).max() for part in parts])
        np.testing.assert_allclose(waveform.levels, [np.sqrt((samples[:, p] ** 2).mean()) for p in parts], rtol=1e-5)
