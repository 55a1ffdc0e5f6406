"""SDR against museval, SI-SDR against its definition."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit import AudioSpec
from sepkit.metrics.sdr import SDR
from sepkit.metrics.si_sdr import SISDR

RATE = 4000
AUDIO = AudioSpec(RATE, 2, ("a", "b"))


def signals(seed, seconds=3.3, sources=2, channels=2):
    rng = np.random.default_rng(seed)
    references = rng.standard_normal((sources, channels, round(seconds * RATE))).astype(np.float32)
    estimates = references + rng.uniform(0.1, 2) * rng.standard_normal(references.shape).astype(np.float32)
    return estimates, references, references.sum(0)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="museval imports only where ffmpeg is installed")
def test_equals_museval_in_every_frame():
    import museval

    estimates, references, mixture = signals(0)
    theirs = museval.evaluate(references.transpose(0, 2, 1), estimates.transpose(0, 2, 1), win=RATE, hop=RATE)[0]
    ours = SDR().build(AUDIO)(estimates, references, mixture)
    assert ours.shape == theirs.shape == (2, 3)
    np.testing.assert_allclose(ours, theirs, atol=1e-6, rtol=0)


def test_only_the_silent_source_is_undefined_in_a_silent_frame():
    estimates, references, mixture = signals(1)
    references[0, :, RATE : 2 * RATE] = 0
    scores = SDR().build(AUDIO)(estimates, references, mixture)
    np.testing.assert_array_equal(np.isnan(scores), [[False, True, False], [False, False, False]])


def test_known_answers():
    reference = np.ones((1, 1, RATE), np.float32)
    sdr, si_sdr = SDR().build(AUDIO), SISDR().build(AUDIO)
    assert sdr(reference * 1.1, reference, reference[0])[0, 0] == pytest.approx(20, abs=1e-4)
    assert np.isnan(sdr(np.zeros_like(reference), reference, reference[0])).all()
    noise = np.tile(np.array([1, -1], np.float32), RATE // 2)[None, None] * 0.1
    assert si_sdr(0.5 * (reference + noise), reference, reference[0])[0] == pytest.approx(20, abs=1e-4)
    assert np.isnan(si_sdr(np.zeros_like(reference), reference, reference[0])[0])


def test_a_track_shorter_than_a_frame_is_one_frame():
    estimates, references, mixture = signals(2, seconds=0.3)
    assert SDR().build(AUDIO)(estimates, references, mixture).shape == (2, 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(-40, 40).filter(bool))
def test_a_wrong_level_costs_sdr_what_it_must_and_si_sdr_nothing(seed, decibels):
    estimates, references, mixture = signals(seed, seconds=1.0)
    scale = np.float32(10 ** (decibels / 20))
    si_sdr, sdr = SISDR().build(AUDIO), SDR().build(AUDIO)
    np.testing.assert_allclose(
        si_sdr(estimates, references, mixture), si_sdr(estimates * scale, references, mixture), atol=1e-3
    )
    expected = -20 * np.log10(abs(1 - scale))
    np.testing.assert_allclose(sdr(references * scale, references, mixture), expected, atol=1e-3)


def test_further_references_change_nothing():
    estimates, references, mixture = signals(3, sources=3)
    for metric in (SDR(), SISDR()):
        measure = metric.build(AUDIO)
        np.testing.assert_array_equal(
            measure(estimates[:1], references, mixture), measure(estimates, references, mixture)[:1]
        )
