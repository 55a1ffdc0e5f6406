"""The package museval as a metric: its numbers where it has some, and none where it would fail."""

import pickle
import shutil

import numpy as np
import pytest

from sepkit import AudioSpec
from sepkit.errors import SepkitError
from sepkit.metrics.museval import MusEval
from tests.metrics.signals import RATE, signals

RATIOS = ["SDR", "ISR", "SIR", "SAR"]
needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="museval imports only where ffmpeg is installed")


def measure(estimates, references):
    audio = AudioSpec(RATE, 2, tuple("abcdefgh"[: len(references)]))
    return MusEval().build(audio)(estimates, references, references.sum(0))


def museval(estimates, references):
    from museval import evaluate

    return evaluate(references.transpose(0, 2, 1), estimates.transpose(0, 2, 1), win=RATE, hop=RATE)


@needs_ffmpeg
def test_scores_are_those_of_the_package():
    estimates, references, _ = signals(0, 1.0)
    scores = measure(estimates, references)
    assert list(scores) == RATIOS
    np.testing.assert_array_equal(list(scores.values()), museval(estimates, references))


@needs_ffmpeg
def test_fewer_estimates_have_the_same_scores():
    estimates, references, _ = signals(1, 1.0, sources=3, channels=1)
    scores = measure(estimates[:1], references)
    np.testing.assert_allclose(list(scores.values()), np.array(museval(estimates, references))[:, :1], atol=1e-9)


@needs_ffmpeg
def test_a_silent_reference_has_no_scores_and_the_others_have():
    estimates, references, _ = signals(2, 1.0, sources=3, channels=1)
    references[0] = 0
    scores = np.array(list(measure(estimates, references).values()))
    assert np.isnan(scores[:, 0]).all()
    np.testing.assert_array_equal(scores[:, 1:], museval(estimates[1:], references[1:]))


@needs_ffmpeg
def test_a_silent_estimate_has_no_scores_and_the_others_have():
    estimates, references, _ = signals(3, 1.0)
    full = museval(estimates, references)
    estimates[0, 1], estimates[0, 0] = -references[0, 0], references[0, 0]  # their sum is silent, as museval has it
    scores = np.array(list(measure(estimates, references).values()))
    assert np.isnan(scores[:, 0]).all()
    np.testing.assert_allclose(scores[:, 1], np.array(full)[:, 1], atol=1e-9)


@needs_ffmpeg
def test_all_silent_is_all_undefined():
    nothing = np.zeros((2, 2, 2 * RATE), np.float32)
    for scores in measure(nothing, nothing).values():
        np.testing.assert_array_equal(scores, np.full((2, 2), np.nan))


@needs_ffmpeg
def test_what_museval_cannot_solve_is_undefined():
    references = np.zeros((2, 2, RATE), np.float32)
    references[..., 0] = 2**20
    with pytest.raises(Exception, match=r"linalg|[Ss]ingular"):
        museval(references / 2, references)
    assert all(np.isnan(scores).all() for scores in measure(references / 2, references).values())


def test_without_ffmpeg_it_says_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SepkitError, match=r"ffmpeg not found.*install it.*bsseval"):
        MusEval().build(AudioSpec(RATE, 2, ("a",)))


def test_settings_go_to_a_worker():
    metric = MusEval(frame_seconds=0.5)
    assert pickle.loads(pickle.dumps(metric)) == metric  # noqa: S301 - its own bytes
    assert metric.frame == 0.5
