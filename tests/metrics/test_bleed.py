"""Bleed, on sums of sources with known gains."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt

from sepkit import AudioSpec
from sepkit.metrics.bleed import Bleed

RATE = 8000
SOURCES = ("vocals", "drums", "bass")


def noises(seed, sources=3, channels=2, seconds=2.2):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((sources, channels, round(seconds * RATE)))).astype(np.float32)


def bleed(estimates, references, sources=SOURCES):
    measure = Bleed().build(AudioSpec(RATE, references.shape[1], sources))
    return measure(np.asarray(estimates, np.float32), references, references.sum(0))


def test_it_states_its_unit_frame_and_direction():
    assert (Bleed().unit, Bleed().frame, Bleed().better) == ("dB", 1.0, "lower")


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1000), st.integers(1, 2), st.lists(st.floats(-80, 10), min_size=2, max_size=4), st.floats(-20, 20)
)
def test_each_gain_is_found(seed, channels, gains, own):
    references = noises(seed, 1 + len(gains), channels)
    amplitudes = 10 ** (np.array([own, *gains]) / 20)
    names = tuple(f"s{number}" for number in range(len(references)))
    scores = bleed([np.tensordot(amplitudes, references, 1)], references, names)
    assert list(scores) == list(names[1:])
    for name, gain in zip(names[1:], gains, strict=True):
        np.testing.assert_allclose(scores[name], np.full((1, 2), gain), atol=0.05)


def test_what_does_not_leak_has_the_floor_and_a_changed_sign_is_a_leak():
    references = noises(0)
    vocals, drums = references[:2]
    scores = bleed([vocals + 0.1 * drums, drums - 0.5 * vocals], references)
    np.testing.assert_allclose(scores["bass"], -100)
    np.testing.assert_allclose(scores["drums"][0], -20, atol=1e-3)
    np.testing.assert_allclose(scores["vocals"][1], -6.02, atol=1e-2)
    assert np.isnan(scores["vocals"][0]).all()
    assert np.isnan(scores["drums"][1]).all()


def test_all_of_every_other_source_is_in_the_mixture_and_nothing_in_silence():
    references = noises(1)
    mixture = references.sum(0)
    scores = bleed([mixture, mixture, 0 * mixture], references)
    for number, name in enumerate(SOURCES):
        expected = np.array([[0, 0], [0, 0], [-100, -100]], float)
        expected[number] = np.nan
        np.testing.assert_allclose(scores[name], expected, atol=1e-4)


def test_a_leak_is_seen_in_its_frame():
    references = noises(2)
    estimate = references[0].copy()
    estimate[:, RATE:] += 0.1 * references[1][:, RATE:]
    np.testing.assert_allclose(bleed([estimate], references)["drums"], [[-100, -20]], atol=0.01)


def test_a_leak_of_some_frequencies_counts_by_its_energy():
    """Only what is above 2 kHz of drums with little above it: one gain for all frequencies would hide it."""
    references = noises(3)
    low, high = (sosfilt(butter(8, 2000, kind, fs=RATE, output="sos"), references[1]) for kind in ("low", "high"))
    references[1] = low + 0.1 * high
    energy = np.square(0.1 * high).sum() / np.square(references[1]).sum()
    scores = bleed([references[0] + 0.1 * high], references)["drums"]
    np.testing.assert_allclose(scores, 10 * np.log10(energy), atol=1)
    assert scores.max() < -15


def test_one_sound_that_is_panned_apart_is_told_apart():
    common = noises(4)[0, 0]
    vocals, drums = references = np.stack([np.stack([common, common]), np.stack([common, -common])])
    scores = bleed([vocals + 0.1 * drums], references, SOURCES[:2])
    np.testing.assert_allclose(scores["drums"], -20, atol=0.01)


@pytest.mark.parametrize(("own", "told"), [(0, False), (0.05, False), (0.3, True)])
def test_sources_that_cannot_be_told_apart_are_undefined(own, told):
    references = noises(5)
    references[2] = references[1] + own * references[2]
    scores = bleed([references[0] + 0.1 * references[1]], references)
    if told:
        np.testing.assert_allclose(scores["drums"], -20, atol=0.01)
        np.testing.assert_allclose(scores["bass"], -100)
    else:
        assert np.isnan(scores["drums"]).all()
        assert np.isnan(scores["bass"]).all()


def test_undefined_where_the_other_source_is_silent_or_faint():
    references = noises(6)
    references[1, :, :RATE] = 0
    references[2, :, :RATE] *= 10 ** (-29 / 20)
    references[2, :, RATE:] *= 10 ** (-34 / 20)
    scores = bleed([references.sum(0)], references)
    np.testing.assert_allclose(scores["drums"], [[np.nan, 0]], atol=1e-3)
    np.testing.assert_allclose(scores["bass"], [[0, np.nan]], atol=1e-3)


def test_undefined_where_the_whole_song_is_silent():
    references = noises(6)
    references[..., RATE : 2 * RATE] *= 10 ** (-60 / 20)
    np.testing.assert_allclose(bleed([references.sum(0)], references)["drums"], [[0, np.nan]], atol=1e-3)


def test_what_is_no_source_hardly_looks_like_one():
    """Noise as loud as the sources, 10 dB below the estimate: by chance a little of it lies along each of them."""
    references = noises(7)
    scores = bleed([references[0] + 0.3 * noises(8)[0]], references)
    assert max(scores["drums"].max(), scores["bass"].max()) < -30


def test_a_track_shorter_than_a_window_and_a_source_alone():
    references = noises(9, seconds=0.01)
    assert bleed([references[0]], references)["drums"].shape == (1, 1)
    assert bleed([references[0]], references[:1], SOURCES[:1]) == {}
