"""SI-SDR against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit import AudioSpec
from sepkit.metrics.si_sdr import SISDR
from tests.metrics.signals import RATE, signals

AUDIO = AudioSpec(RATE, 2, ("a", "b"))


def test_noise_at_a_right_angle_has_a_known_score():
    reference = np.ones((1, 1, RATE), np.float32)
    noise = np.tile(np.array([1, -1], np.float32), RATE // 2)[None, None] * 0.1
    score = SISDR().build(AUDIO)(0.5 * (reference + noise), reference, reference[0])
    assert score == pytest.approx([20], abs=1e-4)


def test_only_the_silent_source_is_undefined():
    for silent in (0, 1):
        estimates, references, mixture = signals(0)
        (estimates, references)[silent][1] = 0
        scores = SISDR().build(AUDIO)(estimates, references, mixture)
        np.testing.assert_array_equal(np.isnan(scores), [False, True])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(-150, 40))
def test_is_the_definition_at_any_level(seed, decibels):
    estimates, references, mixture = signals(seed, seconds=1.0)
    e, r = (signal.reshape(2, -1).astype(np.float64) for signal in (estimates, references))
    target = (e * r).sum(1, keepdims=True) / (r * r).sum(1, keepdims=True) * r
    expected = 10 * np.log10((target**2).sum(1) / ((e - target) ** 2).sum(1))
    quiet = np.float32(10 ** (decibels / 20))
    for scores in (
        SISDR().build(AUDIO)(estimates * quiet, references, mixture),
        SISDR().build(AUDIO)(estimates, references * quiet, mixture),
    ):
        np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_further_references_change_nothing():
    estimates, references, mixture = signals(3, sources=3)
    measure = SISDR().build(AUDIO)
    np.testing.assert_array_equal(
        measure(estimates[:1], references, mixture), measure(estimates, references, mixture)[:1]
    )
