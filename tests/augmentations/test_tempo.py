"""Random tempo."""

from math import ceil

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.tempo import Tempo


def stretch(stems, rate, low, high, seed=0):
    return Tempo(low_factor=low, high_factor=high).build(AudioSpec(rate))(
        stems, stems.sum(0), np.random.default_rng(seed)
    )[0]


@pytest.mark.parametrize("rate", [22050, 44100])
@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_a_sine_keeps_its_pitch_and_level(rate, factor):
    before = np.sin(2 * np.pi * 440 * np.arange(3 * rate) / rate).astype(np.float32)
    after = stretch(before[None, None], rate, factor, factor)[0, 0]
    assert len(after) == ceil(len(before) / factor)
    spectrum = np.abs(np.fft.rfft(after * np.hanning(len(after))))
    assert spectrum.argmax() * rate / len(after) == pytest.approx(440, abs=0.8)
    middle = slice(rate // 10, -rate // 10)
    assert after[middle].std() == pytest.approx(before[middle].std(), rel=0.03)


@pytest.mark.parametrize("rate", [22050, 44100])
@pytest.mark.parametrize(("factor", "seconds"), [(0.5, 0.01), (0.9, 0.002), (1.0, 0.0001), (1.1, 0.002), (2.0, 0.01)])
def test_clicks_come_as_much_sooner_as_the_factor_says(rate, factor, seconds):
    times = np.array([0.5, 1.2, 2.6, 3.5])
    stem = np.zeros((1, 1, 4 * rate), np.float32)
    stem[..., (times * rate).astype(int)] = 1
    energy = stretch(stem, rate, factor, factor)[0, 0] ** 2
    for time in times / factor:
        start, stop = round((time - 0.1) * rate), round((time + 0.1) * rate)
        centre = (energy[start:stop] * np.arange(start, stop)).sum() / energy[start:stop].sum()
        assert centre / rate == pytest.approx(time, abs=seconds)


@pytest.mark.parametrize("factor", [0.9, 0.95, 1.05, 1.1])
def test_drums_are_not_heard_before_the_beat_and_noise_keeps_its_level(factor):
    rate, beats = 22050, np.array([0.4, 0.7, 1.05, 1.5, 1.9, 2.4, 2.9, 3.3])
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(4 * rate).astype(np.float32)
    assert stretch(noise[None, None], rate, factor, factor).std() == pytest.approx(0.82, abs=0.03)
    since = np.arange(4 * rate) / rate - beats[np.searchsorted(beats, np.arange(4 * rate) / rate, "right") - 1]
    drums = 0.005 * rng.standard_normal(4 * rate) + noise * np.exp(-since / 0.03) * (since >= 0)
    energy = stretch(drums.astype(np.float32)[None, None], rate, factor, factor)[0, 0] ** 2
    for beat in (beats / factor * rate).astype(int):
        before, after = energy[beat - rate // 20 : beat].sum(), energy[beat : beat + rate // 10].sum()
        assert before < 0.07 * after


def test_all_stems_get_one_tempo_within_the_limits():
    stems = np.zeros((3, 2, 8000), np.float32)
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    stems[:] = noise
    lengths = []
    for seed in range(100):
        stretched = stretch(stems, 8000, 0.8, 1.25, seed)
        np.testing.assert_allclose(stretched, np.broadcast_to(stretched[:1, :1], stretched.shape), atol=1e-5)
        lengths.append(stretched.shape[-1])
    octaves = np.log2(8000 / np.array(lengths))
    assert octaves.min() >= np.log2(0.8) - 1e-3
    assert octaves.max() <= np.log2(1.25) + 1e-3
    assert octaves.mean() == pytest.approx(0, abs=0.06)
    assert octaves.std() > 0.14


@pytest.mark.parametrize(("low", "high", "expected"), [(0.9, 1.1, 1.1), (0.5, 0.9, 1.0), (1.2, 2.0, 2.0)])
def test_a_chunk_must_be_longer_by_the_highest_speed_but_never_shorter(low, high, expected):
    assert Tempo(low_factor=low, high_factor=high).stretch == expected
