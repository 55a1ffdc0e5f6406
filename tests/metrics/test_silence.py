"""What is left in silence, on signals whose levels are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit import AudioSpec
from sepkit.metrics.silence_audible import SilenceAudible
from sepkit.metrics.silence_level import SilenceLevel

RATE = 4000
FRAME = 800
AUDIO = AudioSpec(RATE, 2, ("voice", "band"))
LEVEL, AUDIBLE = SilenceLevel().build(AUDIO), SilenceAudible().build(AUDIO)
# Frames of the voice: it sounds in the first and the last of them.
VOICE = np.array([1, 1, 0, 0, 0, 0, 0, 1], np.float32)


def noise(seed, frames=8, level=0.1):
    """Return noise with this RMS in each frame of each channel, [channel, time]."""
    samples = np.random.default_rng(seed).standard_normal((2, frames, FRAME))
    samples *= level / np.sqrt(np.square(samples).mean(-1, keepdims=True))
    return samples.reshape(2, -1).astype(np.float32)


def song(seed=0):
    """Return references and mixture."""
    references = np.stack([noise(seed) * VOICE.repeat(FRAME), noise(seed + 1)])
    return references, references.sum(0)


def decibels(value):
    return np.float32(10 ** (value / 20))


def test_both_are_registered_with_their_unit_frame_and_direction():
    assert (SilenceLevel().unit, SilenceLevel().frame, SilenceLevel().better) == ("dB", 0.2, "lower")
    assert (SilenceAudible().unit, SilenceAudible().frame, SilenceAudible().better) == ("%", 0.0, "lower")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(-90, 10), st.floats(-60, 60))
def test_what_is_left_has_its_level_whatever_the_level_of_the_song(seed, left, gain):
    references, mixture = song(seed)
    references, mixture = references * decibels(gain), mixture * decibels(gain)
    estimate = references[0] + decibels(left) * references[1]
    scores = LEVEL(estimate[None], references, mixture)
    assert scores.shape == (1, 8)
    np.testing.assert_allclose(scores[0, VOICE == 0], left, atol=0.01)
    assert np.isnan(scores[0, VOICE == 1]).all()


def test_the_mixture_leaves_all_and_digital_silence_has_the_floor():
    references, mixture = song()
    estimates = np.stack([mixture, np.zeros_like(mixture)])
    references = np.stack([references[0], references[0], references[1]])
    scores = LEVEL(estimates, references, mixture)[:, VOICE == 0]
    np.testing.assert_allclose(scores, [[0] * 5, [-100] * 5], atol=1e-6)
    assert AUDIBLE(estimates, references, mixture).tolist() == [100, 0]


def test_audible_is_the_share_of_the_silent_frames_above_40_db_below_the_song():
    references, mixture = song()
    level = np.sqrt(np.mean(np.square(mixture)))
    left = level * decibels(np.array([0, 0, -39, -41, -60, 10, 0, 0])).repeat(FRAME)
    left[6 * FRAME : 7 * FRAME] = 0
    estimate = references[0] + left * noise(2, level=1)
    assert AUDIBLE(estimate[None], references, mixture) == pytest.approx([40])


def test_a_perfect_estimate_is_never_audible_and_dither_and_a_faint_end_are_silence():
    references, mixture = song()
    level = np.sqrt(np.mean(np.square(mixture)))
    references[0] += noise(3, level=level * decibels(-51))
    references[0, :, 6 * FRAME : 7 * FRAME] = noise(4, 1, level * decibels(-49))
    scores = LEVEL(references[:1], references, mixture)
    np.testing.assert_array_equal(np.isnan(scores[0]), [True, True, False, False, False, False, True, True])
    assert AUDIBLE(references[:1], references, mixture).tolist() == [0]


def test_silence_of_the_mixture_itself_is_undefined():
    references, mixture = song()
    for signal in (*references, mixture):
        signal[:, 3 * FRAME : 4 * FRAME] *= decibels(-60)
    scores = LEVEL(mixture[None], references, mixture)
    np.testing.assert_array_equal(np.isnan(scores[0]), [True, True, False, True, False, False, False, True])
    assert AUDIBLE(mixture[None], references, mixture).tolist() == [100]


def test_a_reference_that_never_rests_and_a_silent_song_are_undefined():
    references, mixture = song()
    estimates = mixture[None]
    assert np.isnan(LEVEL(estimates, references[::-1], mixture)).all()
    assert np.isnan(AUDIBLE(estimates, references[::-1], mixture)).all()
    nothing = np.zeros_like(references)
    assert np.isnan(LEVEL(estimates, nothing, nothing[0])).all()
    assert np.isnan(AUDIBLE(estimates, nothing, nothing[0])).all()


def test_a_reference_that_is_silent_throughout_is_all_silence():
    references, mixture = song()
    references[0] = 0
    assert not np.isnan(LEVEL(mixture[None], references, mixture)).any()


def test_frames_that_the_track_does_not_fill_are_left_out_but_not_a_track_shorter_than_one():
    references, mixture = song()
    assert LEVEL(mixture[None, :, :-1], references[..., :-1], mixture[:, :-1]).shape == (1, 7)
    short = slice(3 * FRAME, 3 * FRAME + 100)
    np.testing.assert_allclose(LEVEL(mixture[None, :, short], references[..., short], mixture[:, short]), [[0]])
    references[0] = mixture * decibels(-47)
    assert np.isnan(LEVEL(mixture[None, :, short], references[..., short], mixture[:, short])).all()
