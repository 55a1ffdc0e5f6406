"""Random compression of the mixture."""

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.augmentations.mp3 import MP3
from sepkit.errors import ConfigError

RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]


def coloured_noise(channels, frames, level=0.1):
    """Noise that falls with frequency, as music does."""
    rng = np.random.default_rng(0)
    smooth = np.hanning(25) / np.hanning(25).sum()
    noise = [np.convolve(rng.standard_normal(frames + 24), smooth, "valid") for _ in range(channels)]
    return level * np.array(noise, np.float32) / np.std(noise)


def compress(mixture, rate, compression, seed=0):
    stems = np.stack([mixture, np.zeros_like(mixture)])
    config = MP3(low_compression=compression, high_compression=compression)
    augmentation = config.build(AudioSpec(rate, len(mixture)))
    return augmentation(stems, mixture, np.random.default_rng(seed))[1]


def lag(after, before):
    """Return by how many samples `after` is late: the peak of the cross-correlation."""
    size = 2 * before.shape[-1]
    product = np.fft.rfft(after, size) * np.conj(np.fft.rfft(before, size))
    peak = int(np.fft.irfft(product, size).sum(0).argmax())
    return peak if peak < size // 2 else peak - size


def snr(after, before):
    return 10 * np.log10((before**2).sum() / ((after - before) ** 2).sum())


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("compression", [0.0, 0.5, 0.999])
def test_nothing_moves_in_time(rate, channels, compression):
    mixture = coloured_noise(channels, rate + 13)
    after = compress(mixture, rate, compression)
    assert after.shape == mixture.shape
    assert lag(after, mixture) == 0
    assert snr(after, mixture) > 8
    # Where the beginning or the end were lost, this would be silent or far off.
    for edge in (slice(None, rate // 20), slice(-rate // 20, None)):
        assert snr(after[:, edge], mixture[:, edge]) > 6


@pytest.mark.parametrize("rate", [22050, 44100])
def test_more_compression_does_more_damage(rate):
    mixture = coloured_noise(2, 2 * rate)
    worse = [snr(compress(mixture, rate, compression), mixture) for compression in (0.0, 0.3, 0.6, 0.9)]
    assert worse == sorted(worse, reverse=True)
    assert worse[0] > 20
    assert worse[0] - worse[-1] > 5


@pytest.mark.parametrize("frames", [1, 2, 575, 1105, 1152, 1153, 3333])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_any_length_comes_back(rate, frames):
    assert compress(coloured_noise(2, frames), rate, 0.5).shape == (2, frames)


def test_what_exceeds_full_scale_is_treated_as_full_scale_and_comes_back_at_its_level():
    full = coloured_noise(2, 44100)
    full /= np.abs(full).max()
    assert snr(compress(full, 44100, 0.0), full) > 20
    np.testing.assert_array_equal(compress(4 * full, 44100, 0.0), 4 * compress(full, 44100, 0.0))


def test_the_stems_stay_clean_and_the_quality_is_random():
    stems = np.stack([coloured_noise(1, 22050), coloured_noise(1, 22050)[:, ::-1]])
    augment = MP3().build(AudioSpec(22050))
    quality = []
    for seed in range(20):
        clean, mixture = augment(stems, stems.sum(0), np.random.default_rng(seed))
        np.testing.assert_array_equal(clean, stems)
        quality.append(snr(mixture, stems.sum(0)))
    assert np.ptp(quality) > 5


@pytest.mark.parametrize(("rate", "channels"), [(22051, 1), (96000, 2), (44100, 3)])
def test_what_mp3_cannot_hold_is_refused_with_what_it_can(rate, channels):
    with pytest.raises(ConfigError, match=rf"{channels} channels at {rate} Hz.*up to 2 channels at 8000, .*48000 Hz"):
        MP3().build(AudioSpec(rate, channels))
