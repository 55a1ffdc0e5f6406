"""SDR against museval and against its definition."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit import AudioSpec
from sepkit.metrics.sdr import SDR
from tests.metrics.signals import RATE, signals

AUDIO = AudioSpec(RATE, 2, ("a", "b"))


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="museval imports only where ffmpeg is installed")
@pytest.mark.parametrize(("sources", "seconds"), [(1, 2.0), (2, 3.3), (3, 0.7)])
def test_equals_museval_in_every_frame(sources, seconds):
    import museval

    estimates, references, mixture = signals(0, seconds, sources)
    theirs = museval.evaluate(references.transpose(0, 2, 1), estimates.transpose(0, 2, 1), win=RATE, hop=RATE)[0]
    ours = SDR().build(AUDIO)(estimates, references, mixture)
    assert ours.shape == theirs.shape == (sources, max(1, int(seconds)))
    np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("silent", [0, 1], ids=["estimate", "reference"])
def test_only_the_silent_source_is_undefined_in_a_silent_frame(silent):
    estimates, references, mixture = signals(1)
    full = SDR().build(AUDIO)(estimates, references, mixture)
    (estimates, references)[silent][0, :, RATE : 2 * RATE] = 0
    scores = SDR().build(AUDIO)(estimates, references, mixture)
    full[0, 1] = np.nan
    np.testing.assert_array_equal(scores, full)


def test_a_wrong_level_has_a_known_score():
    reference = np.ones((1, 1, RATE), np.float32)
    sdr = SDR().build(AUDIO)
    assert sdr(reference * 1.1, reference, reference[0])[0, 0] == pytest.approx(20, abs=1e-4)
    assert sdr(reference, reference, reference[0])[0, 0] == np.inf


def test_frames_are_as_long_as_they_are_asked_to_be():
    metric = SDR(frame_seconds=0.5)
    assert metric.frame == 0.5
    assert metric.build(AUDIO)(*signals(2)).shape == (2, 6)


def test_a_track_shorter_than_a_frame_is_one_frame():
    assert SDR().build(AUDIO)(*signals(2, seconds=0.3)).shape == (2, 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(-40, 40).filter(bool))
def test_a_wrong_level_costs_what_it_must(seed, decibels):
    _, references, mixture = signals(seed, seconds=1.0)
    scale = np.float32(10 ** (decibels / 20))
    expected = -20 * np.log10(abs(1 - scale))
    np.testing.assert_allclose(SDR().build(AUDIO)(references * scale, references, mixture), expected, atol=1e-3)


def test_further_references_change_nothing():
    estimates, references, mixture = signals(3, sources=3)
    sdr = SDR().build(AUDIO)
    np.testing.assert_array_equal(sdr(estimates[:1], references, mixture), sdr(estimates, references, mixture)[:1])
