"""Whole-track SDR: known answers and its epsilon."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit import AudioSpec
from sepkit.metrics.sdr import SDR
from sepkit.metrics.usdr import USDR
from tests.metrics.signals import RATE, signals

AUDIO = AudioSpec(RATE, 2, ("a", "b"))


def test_an_unequal_track_is_weighted_by_its_energy():
    reference = np.ones((1, 2, 2 * RATE), np.float32)
    estimate = reference.copy()
    estimate[..., :RATE] *= 1.1
    score = USDR().build(AUDIO)(estimate, reference, reference[0])
    assert score == pytest.approx([10 * np.log10(2 / 0.01)], abs=1e-4)


def test_the_epsilon_bounds_what_is_perfect():
    reference = np.full((1, 1, 1000), 0.1, np.float32)
    assert USDR().build(AUDIO)(reference, reference, reference[0]) == pytest.approx([80], abs=1e-4)


def test_silence():
    estimates, references, mixture = signals(0)
    estimates[1] = 0
    scores = USDR().build(AUDIO)(estimates, references, mixture)
    assert scores[1] == pytest.approx(0, abs=1e-6)
    references[0] = 0
    np.testing.assert_array_equal(np.isnan(USDR().build(AUDIO)(estimates, references, mixture)), [True, False])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(1, 3))
def test_is_the_sdr_of_one_long_frame(seed, sources, estimated):
    estimates, references, mixture = signals(seed, 1.5, sources)
    estimates = estimates[:estimated]
    sdr = SDR(frame_seconds=1.5).build(AUDIO)(estimates, references, mixture)
    np.testing.assert_allclose(USDR().build(AUDIO)(estimates, references, mixture), sdr[:, 0], atol=1e-6)
