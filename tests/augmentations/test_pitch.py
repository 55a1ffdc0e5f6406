"""Random pitch."""

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.pitch import Pitch


def shift(stems, rate, low, high, seed=0):
    return Pitch(low_semitones=low, high_semitones=high).build(AudioSpec(rate))(
        stems, stems.sum(0), np.random.default_rng(seed)
    )[0]


def sine(hertz, rate, seconds=2.0):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def frequency(samples, rate):
    """Return the frequency of the highest peak, by a parabola through the logarithms around it."""
    spectrum = np.log(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) + 1e-12)
    peak = int(spectrum.argmax())
    a, b, c = spectrum[peak - 1 : peak + 2]
    return (peak + 0.5 * (a - c) / (a - 2 * b + c)) * rate / len(samples)


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
@pytest.mark.parametrize("semitones", [-12, -2, -0.7, 0, 1.3, 2, 12])
def test_a_sine_goes_up_or_down_by_the_semitones_and_keeps_its_level(rate, semitones):
    before = sine(440, rate)
    after = shift(before[None, None], rate, semitones, semitones)[0, 0]
    cents = 1200 * np.log2(frequency(after, rate) / 440)
    assert cents == pytest.approx(100 * semitones, abs=9)
    middle = slice(rate // 10, -rate // 10)
    assert after[middle].std() == pytest.approx(before[middle].std(), rel=0.03)


def test_all_stems_get_one_shift_uniform_within_the_limits():
    rate = 8000
    stems = np.stack([sine(440, rate, 0.5), sine(1000, rate, 0.5)])[:, None]
    shifts = []
    for seed in range(60):
        low, high = shift(stems, rate, -3, 1, seed)[:, 0]
        semitones = 12 * np.log2(frequency(low, rate) / 440)
        assert 12 * np.log2(frequency(high, rate) / 1000) == pytest.approx(semitones, abs=0.05)
        shifts.append(semitones)
    assert min(shifts) > -3.15
    assert max(shifts) < 1.15
    assert np.mean(shifts) == pytest.approx(-1, abs=0.4)
    assert np.std(shifts) > 0.9


@pytest.mark.parametrize("semitones", [-2, 0.5, 2])
@pytest.mark.parametrize("rate", [22050, 44100])
def test_what_sounds_stays_where_it_sounds(rate, semitones):
    places = (np.array([0.3, 0.8, 1.5]) * rate).astype(int)
    noise = np.zeros((1, 1, 2 * rate), np.float32)
    for place in places:
        noise[..., place : place + rate // 100] = np.random.default_rng(0).standard_normal(rate // 100)
    energy = shift(noise, rate, semitones, semitones)[0, 0] ** 2
    for place in places:
        start, stop = place - rate // 10, place + rate // 10
        centre = (energy[start:stop] * np.arange(start, stop)).sum() / energy[start:stop].sum()
        assert (centre - place) / rate == pytest.approx(0.005, abs=0.002)


@pytest.mark.parametrize("semitones", [-2, 2, 5])
def test_the_edges_do_not_fade(semitones):
    noise = np.random.default_rng(0).standard_normal((40, 1, 11025)).astype(np.float32)
    shifted = shift(noise, 22050, semitones, semitones)
    assert shifted[..., :220].std() > 0.85 * shifted.std()
    assert shifted[..., -220:].std() > 0.97 * shifted.std()


def test_no_shift_changes_nothing():
    noise = np.random.default_rng(0).standard_normal((2, 1, 6001)).astype(np.float32)
    again = shift(noise, 22050, 0, 0)
    # Locked phases are not quite the phases that were: -13 dB for noise, the hardest case.
    assert ((again - noise) ** 2).mean() < 0.1 * (noise**2).mean()


def test_equal_channels_stay_equal():
    channel = np.random.default_rng(0).standard_normal(9001).astype(np.float32)
    stereo = np.broadcast_to(channel, (1, 2, 9001))
    shifted = shift(stereo, 22050, -1, 1)
    np.testing.assert_allclose(shifted[:, 0], shifted[:, 1], atol=1e-5)
