"""Floor and ceiling, on sounds whose bounds are known."""

import pickle
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit import AudioSpec, ModelConfig
from sepkit.evaluation.bounds import BLOCK, Resolution, bounds_of, ideal_ratio_mask, mixture_itself, through
from sepkit.models.crnn import CRNN

RATE = 8000
FINE = Resolution(256, 64, RATE)


class Waves(ModelConfig):
    """A model without an STFT."""

    name: Literal["waves"] = "waves"

    def build(self, audio):
        raise NotImplementedError


def sine(hertz, seconds=1.0, rate=RATE):
    return (0.2 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noises(seed, *shape):
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def test_the_bounds_of_a_model_say_what_they_are():
    labels = [bound.label for bound in bounds_of(CRNN(), AudioSpec(22050, 1, ("vocals",)))]
    assert labels == ["mixture", "ideal ratio mask (46 ms)", "22050 Hz mono"]
    labels = [bound.label for bound in bounds_of(CRNN(n_fft=2048, hop_length=512), AudioSpec(16000, 2))]
    assert labels == ["mixture", "ideal ratio mask (128 ms)", "16000 Hz stereo"]


@pytest.mark.parametrize("model", [Waves(), None])
def test_a_model_without_a_resolution_is_bounded_at_that_of_the_crnn(model):
    labels = [bound.label for bound in bounds_of(model, AudioSpec(44100, 6))]
    assert labels == ["mixture", "ideal ratio mask (46 ms)", "44100 Hz 6 channels"]
    assert Resolution.of(model, AudioSpec(44100)).at(44100) == Resolution(2048, 512, 44100)


@pytest.mark.parametrize("rate", [8000, 22050, 44056, 44100, 48000, 96000])
def test_the_resolution_is_that_of_the_model_in_full_band(rate):
    config = CRNN(n_fft=256, hop_length=60, projection=8, hidden=8, layers=1)
    network = config.full_band(AudioSpec(22050), AudioSpec(rate))
    assert Resolution.of(config, AudioSpec(22050)).at(rate) == Resolution(network.n_fft, network.hop_length, rate)


@pytest.mark.parametrize("channels", [1, 2])
def test_every_bound_has_the_shape_of_the_references(channels):
    references = noises(0, 3, channels, 1001)
    for bound in bounds_of(CRNN(), AudioSpec(22050, 1)):
        estimates = pickle.loads(pickle.dumps(bound)).estimate(references, references.sum(0), RATE)  # noqa: S301
        assert estimates.shape == references.shape
        assert estimates.dtype == np.float32
        assert np.isfinite(estimates).all()


def test_the_floor_is_the_mixture_for_each_source():
    references = noises(1, 3, 2, 100)
    for estimate in mixture_itself(references, references.sum(0), RATE):
        np.testing.assert_array_equal(estimate, references.sum(0))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(1, 2), st.integers(1, 3000))
def test_masked_estimates_add_up_to_the_mixture(seed, sources, channels, time):
    references = noises(seed, sources, channels, time)
    estimates = ideal_ratio_mask(references, references.sum(0), RATE, FINE)
    np.testing.assert_allclose(estimates.sum(0), references.sum(0), atol=1e-5)


def test_the_mask_is_exact_where_sounds_lie_apart_and_shares_what_they_share():
    apart = np.stack([sine(500), sine(3000)])[:, None]
    inside = slice(FINE.n_fft, -FINE.n_fft)
    estimates = ideal_ratio_mask(apart, apart.sum(0), RATE, FINE)
    np.testing.assert_allclose(estimates[..., inside], apart[..., inside], atol=1e-3)
    alike = np.stack([sine(500), 3 * sine(500)])[:, None]
    np.testing.assert_allclose(ideal_ratio_mask(alike, alike.sum(0), RATE, FINE), alike, atol=1e-5)
    against = np.stack([sine(500), -0.5 * sine(500)])[:, None]
    estimates = ideal_ratio_mask(against, against.sum(0), RATE, FINE)
    np.testing.assert_allclose(estimates, np.array([2 / 3, 1 / 3])[:, None, None] * against.sum(0), atol=1e-5)


def test_each_channel_has_a_mask_of_its_own():
    common, silence = sine(500), np.zeros(RATE, np.float32)
    references = np.stack([np.stack([common, silence]), np.stack([silence, common])])
    estimates = ideal_ratio_mask(references, references.sum(0), RATE, FINE)
    np.testing.assert_allclose(estimates, references, atol=1e-5)


def test_a_finer_resolution_tells_more_apart():
    close = np.stack([sine(500), sine(520)])[:, None]
    coarse, fine = (
        np.square(ideal_ratio_mask(close, close.sum(0), RATE, Resolution(size, size // 4, RATE)) - close).mean()
        for size in (128, 1024)
    )
    assert fine < coarse / 10


def test_the_resolution_counts_at_its_own_rate():
    """At half its rate, an STFT of half as many samples."""
    references = noises(2, 2, 1, RATE)
    np.testing.assert_array_equal(
        ideal_ratio_mask(references, references.sum(0), RATE, Resolution(512, 128, 2 * RATE)),
        ideal_ratio_mask(references, references.sum(0), RATE, FINE),
    )


def test_a_long_song_is_masked_without_seams():
    size = Resolution(300, 70, RATE)
    start = (BLOCK // size.hop_length - 30) * size.hop_length
    references = noises(4, 2, 1, BLOCK + 2000)
    whole = ideal_ratio_mask(references, references.sum(0), RATE, size)[..., start:]
    references = references[..., start:]
    part = ideal_ratio_mask(references, references.sum(0), RATE, size)
    np.testing.assert_allclose(part[..., size.n_fft :], whole[..., size.n_fft :], atol=1e-6)


def test_the_path_of_a_model_keeps_what_it_can_hear():
    low, high = sine(500), sine(3000)
    references = np.stack([np.stack([low + high, low + high]), np.stack([low, -low]), np.stack([low, 0 * low])])
    estimates = through(references, references.sum(0), RATE, AudioSpec(4000, 1))
    expected = np.stack([np.stack([low, low]), np.stack([0 * low, 0 * low]), np.stack([low, low]) / 2])
    np.testing.assert_allclose(estimates[..., 200:-200], expected[..., 200:-200], atol=1e-3)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_path_that_hears_all_changes_nothing(channels):
    references = noises(3, 2, channels, 501)
    for heard in (channels, 2):
        np.testing.assert_allclose(through(references, references.sum(0), RATE, AudioSpec(RATE, heard)), references)
