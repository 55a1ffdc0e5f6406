"""Random speed of each source."""

from math import ceil

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.speed import Speed

RATE = 22050


def play(stems, low, high, seed=0):
    augment = Speed(low_factor=low, high_factor=high).build(AudioSpec(RATE, 1, ("vocals",)))
    return augment(stems, stems.sum(0), np.random.default_rng(seed))[0]


def sine(hertz, frames):
    return np.sin(2 * np.pi * hertz * np.arange(frames) / RATE).astype(np.float32)


def pitch(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * RATE / len(samples)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.25, 2.0])
def test_a_source_gets_higher_by_the_factor_and_keeps_its_level(factor):
    stems = np.stack([sine(440, 2 * RATE)[None], sine(1000, 2 * RATE)[None]])
    voice, residual = play(stems, factor, factor)[:, 0]
    assert len(voice) == ceil(2 * RATE / max(1, factor))
    assert pitch(voice) == pytest.approx(440 * factor, abs=1.5)
    assert voice[500:-500].std() == pytest.approx(0.5**0.5, rel=0.02)
    np.testing.assert_array_equal(residual, stems[1, 0, : len(voice)])


def test_each_source_gets_a_speed_of_its_own_within_the_limits():
    voices = np.broadcast_to(sine(440, RATE), (3, 1, RATE))
    augment = Speed(low_factor=0.8, high_factor=1.25).build(AudioSpec(RATE, 1, ("a", "b")))
    played = [augment(voices, voices.sum(0), np.random.default_rng(seed))[0][:2, 0] for seed in range(40)]
    factors = np.array([[pitch(voice) / 440 for voice in pair] for pair in played])
    assert factors.min() >= 0.797
    assert factors.max() <= 1.254
    assert np.log(factors).std(0).min() > 0.07
    assert np.abs(np.diff(factors, axis=1)).max() > 0.1


@pytest.mark.parametrize("seed", range(10))
def test_a_source_sounds_to_the_end_of_a_chunk_that_was_read_longer(seed):
    stems = np.ones((2, 1, ceil(1.25 * 4000)), np.float32)
    voice = play(stems, 0.8, 1.25, seed)[0, 0]
    assert len(voice) >= 4000
    assert np.abs(voice[100:3900]).min() > 0.9
