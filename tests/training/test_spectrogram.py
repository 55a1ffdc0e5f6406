"""Spectrograms: where a tone is seen, how bright, and how large a picture gets."""

import math

import pytest
import torch
from matplotlib import colormaps

from sepkit.training import spectrogram


def tone(frequency, *, rate=16000, seconds=1.0, amplitude=0.5):
    time = torch.arange(round(rate * seconds)) / rate
    return amplitude * torch.sin(2 * math.pi * frequency * time)[None]


@pytest.mark.parametrize("frequency", [500, 3000, 7500])
def test_a_tone_is_seen_at_its_height_with_low_ones_below(frequency):
    power = spectrogram.power(tone(frequency), 16000)
    colours = spectrogram.picture(power, power.max().item()).float().sum(0)  # [height, width]
    height = 1 - (colours.sum(1).argmax().item() + 0.5) / len(colours)
    assert height == pytest.approx(frequency / 8000, abs=0.01)


def test_brightness_is_in_decibels():
    loud, quiet = (spectrogram.power(tone(1000, amplitude=a), 16000).max().item() for a in (0.5, 0.005))
    assert 10 * math.log10(loud / quiet) == pytest.approx(40, abs=0.01)
    powers = torch.tensor([[1.0, 1e-4, 1e-8, 0.0, 10.0]])
    shades = [tuple(colour) for colour in spectrogram.picture(powers, 1.0)[:, 0].T.tolist()]
    assert shades == [colormaps["magma"](s, bytes=True)[:3] for s in (1.0, 0.5, 0.0, 0.0, 1.0)]


@pytest.mark.parametrize(("rate", "seconds"), [(8000, 0.5), (44100, 10.0), (48000, 120.0), (44100, 1e-4)])
def test_a_picture_stays_small(rate, seconds):
    power = spectrogram.power(torch.rand(2, math.ceil(rate * seconds)), rate)
    channels, height, width = spectrogram.picture(power, power.max().item()).shape
    assert channels == 3
    assert 100 < height <= 384
    assert 1 <= width <= 512


def test_a_long_sound_takes_no_more_windows_than_a_picture_can_tell_apart(monkeypatch):
    frames = []
    original = torch.stft

    def counted(*args, **options):
        spectrum = original(*args, **options)
        frames.append(spectrum.shape[-1])
        return spectrum

    monkeypatch.setattr(torch, "stft", counted)
    spectrogram.power(torch.zeros(1, 8000 * 300), 8000)
    assert 512 < frames[0] < 2100


def test_channels_of_opposite_sign_do_not_cancel():
    mono = tone(1000)
    assert torch.allclose(spectrogram.power(torch.cat([mono, -mono]), 16000), spectrogram.power(mono, 16000))


def test_silence_is_black():
    power = spectrogram.power(torch.zeros(1, 8000), 16000)
    assert spectrogram.picture(power, power.max().item()).float().sum(0).std() == 0
