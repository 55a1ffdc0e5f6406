"""The fast BSSEval: against museval, against known answers, and where the equations are singular."""

import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from sepkit import AudioSpec
from sepkit.metrics.bsseval import BSSEval
from sepkit.metrics.sdr import SDR
from tests.metrics.signals import RATE, signals

RATIOS = ["SDR", "ISR", "SIR", "SAR"]
needs_museval = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="museval imports only where ffmpeg is installed")


def bsseval(estimates, references, rate=RATE, **settings):
    audio = AudioSpec(rate, references.shape[1], tuple("abcdefgh"[: len(references)]))
    return BSSEval(**settings).build(audio)(estimates, references, references.sum(0))


def museval(estimates, references, frame):
    from museval import evaluate

    found = evaluate(references.transpose(0, 2, 1), estimates.transpose(0, 2, 1), win=frame, hop=frame)
    return dict(zip(RATIOS, found, strict=True))


def assert_close(ours, theirs, atol):
    assert list(ours) == list(theirs) == RATIOS
    for name in RATIOS:
        np.testing.assert_allclose(ours[name], theirs[name], atol=atol, rtol=0, err_msg=name)


@needs_museval
@pytest.mark.parametrize(("sources", "channels", "seconds"), [(2, 2, 3.3), (3, 1, 2.0), (2, 1, 0.7)])
def test_equals_museval_in_every_frame(sources, channels, seconds):
    estimates, references, _ = signals(sources, seconds, sources, channels)
    ours = bsseval(estimates, references)
    assert ours["SIR"].shape == (sources, max(1, int(seconds)))
    assert_close(ours, museval(estimates, references, RATE), 1e-4)


@needs_museval
def test_equals_museval_on_a_song(real_audio):
    folder = real_audio / "songs" / "test" / "Francium"
    cut = {"start": 30 * 44100, "frames": 3 * 44100, "dtype": "float32"}
    references = np.stack([soundfile.read(folder / f"{stem}.flac", **cut)[0].T for stem in ("vocals", "drums")])
    estimates = references + 0.1 * references[::-1] + 0.3 * np.roll(references, 30, -1)
    assert_close(bsseval(estimates, references, 44100), museval(estimates, references, 44100), 0.01)


def test_its_sdr_is_that_of_sdr():
    estimates, references, mixture = signals(5, sources=3, channels=1)
    sdr = SDR().build(AudioSpec(RATE, 1, ("a", "b", "c")))(estimates, references, mixture)
    np.testing.assert_allclose(bsseval(estimates, references)["SDR"], sdr, atol=1e-9)


def test_each_error_shows_in_its_own_ratio():
    _, references, _ = signals(6, seconds=10, channels=1)
    references /= references.std(-1, keepdims=True)
    noise = np.random.default_rng(7).standard_normal(references.shape)
    coloured = lfilter([1, 0, 0.1], [1], references)
    errors = {"ISR": coloured, "SIR": references + 0.1 * references[::-1], "SAR": references + 0.1 * noise}
    for wanted, estimates in errors.items():
        scores = bsseval(estimates.astype(np.float32), references, frame_seconds=10)
        assert scores["SDR"] == pytest.approx(20, abs=0.1)
        for name in ("ISR", "SIR", "SAR"):
            assert (scores[name] == pytest.approx(20, abs=0.3)) == (name == wanted)
            assert (scores[name] >= 19.7).all()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 2), st.integers(2, 3), st.floats(0.05, 1.5))
def test_the_errors_of_a_whole_track_are_orthogonal_and_add_up(seed, channels, sources, seconds):
    estimates, references, _ = signals(seed, seconds, sources, channels)
    sdr, isr, sir, sar = (10 ** (s[:, 0] / 10) for s in bsseval(estimates, references, frame_seconds=2).values())
    own, all_ = ((signal.astype(np.float64) ** 2).sum((1, 2)) for signal in (references, estimates))
    artefacts = all_ / (1 + sar)
    interference = (all_ - artefacts) / (1 + sir)
    np.testing.assert_allclose(own / isr + interference + artefacts, own / sdr, rtol=1e-5)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.integers(-60, 60), st.integers(-60, 60))
def test_levels_of_others_and_of_the_estimate_change_no_interference_and_no_artefacts(seed, one, other):
    estimates, references, _ = signals(seed, 1.0, channels=1)
    before = bsseval(estimates, references)
    references[1] *= np.float32(10 ** (other / 20))
    after = bsseval(estimates[:1] * np.float32(10 ** (one / 20)), references)
    for name in ("SIR", "SAR"):
        np.testing.assert_allclose(after[name], before[name][:1], atol=1e-3)


def test_fewer_estimates_have_the_same_scores():
    estimates, references, _ = signals(8, 1.0, sources=3, channels=1)
    full = bsseval(estimates, references)
    assert_close(bsseval(estimates[:1], references), {name: s[:1] for name, s in full.items()}, 1e-9)


@pytest.mark.parametrize("silent", [0, 1], ids=["estimate", "reference"])
def test_only_the_silent_source_is_undefined_in_a_silent_frame(silent):
    estimates, references, _ = signals(9)
    (estimates, references)[silent][0, :, RATE : 2 * RATE] = 0
    for scores in bsseval(estimates, references).values():
        np.testing.assert_array_equal(np.isnan(scores), [[False, True, False], [False, False, False]])


def test_a_silent_reference_takes_nothing_from_the_others():
    estimates, references, _ = signals(10, 1.0, sources=3, channels=1)
    references[1] = 0
    scores = bsseval(estimates, references)
    without = bsseval(estimates[[0, 2]], references[[0, 2]])
    assert_close({name: s[[0, 2]] for name, s in scores.items()}, without, 1e-6)
    assert all(np.isnan(s[1]).all() for s in scores.values())


@pytest.mark.parametrize("references", [1, 2], ids=["alone", "beside silence"])
def test_where_no_other_source_sounds_there_is_no_interference_to_score(references):
    estimates, known, _ = signals(11, 1.0)
    known[1] = 0
    scores = bsseval(estimates[:1], known[:references])
    assert np.isnan(scores.pop("SIR")).all()
    assert all(np.isfinite(s).all() for s in scores.values())


def test_mono_as_stereo_has_the_scores_of_mono():
    estimates, references, _ = signals(12, channels=1)
    stereo = bsseval(estimates.repeat(2, 1), references.repeat(2, 1))
    assert_close(stereo, bsseval(estimates, references), 1e-4)


def test_a_silent_channel_changes_nothing():
    estimates, references, _ = signals(13, channels=1)
    half = [np.concatenate([signal, 0 * signal], 1) for signal in (estimates, references)]
    assert_close(bsseval(*half), bsseval(estimates, references), 1e-4)


def test_a_reference_that_is_there_twice_changes_nothing():
    estimates, references, _ = signals(14, 1.0, channels=1)
    twice = bsseval(estimates, references[[0, 1, 1]])
    once = bsseval(estimates, references)
    for name in RATIOS:
        np.testing.assert_allclose(twice[name][0], once[name][0], atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.001, 3.1), st.floats(0.001, 3.1))
def test_pure_tones_and_empty_bands_have_scores(seed, low, high):
    rng = np.random.default_rng(seed)
    time = np.arange(RATE, dtype=np.float32)
    references = np.sin(np.array([low, high], np.float32)[:, None, None] * time)
    estimates = references + (0.1 * rng.standard_normal(references.shape)).astype(np.float32)
    assert all(np.isfinite(scores).all() for scores in bsseval(estimates, references).values())
