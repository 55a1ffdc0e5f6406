"""Reading: real formats, seeks, and blocks that resample without seams."""

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sepkit.audio.probe import probe
from sepkit.audio.read import Piece, read, read_sum
from sepkit.audio.resample import resample
from sepkit.errors import AudioError

RNG = np.random.default_rng(0)
NOISE = RNG.uniform(-0.5, 0.5, (4000, 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("ending", "tolerance"), [("wav", 4e-5), ("flac", 4e-5), ("aiff", 4e-5), ("ogg", None), ("mp3", None)]
)
def test_each_format_gives_rate_channels_and_length(tmp_path, ending, tolerance):
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, NOISE, 44100)
    samples, rate = read(path)
    assert rate == 44100
    assert samples.shape == (2, 4000)
    assert samples.dtype == np.float32
    if tolerance:
        np.testing.assert_allclose(samples.T, NOISE, atol=tolerance)
    info = probe(path)
    assert (info.sample_rate, info.channels, info.frames) == (44100, 2, 4000)


def piece(path, sign=1):
    return Piece(path, probe(path), sign)


def test_a_part_of_a_file(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, 8000, subtype="FLOAT")
    np.testing.assert_array_equal(read_sum([piece(path)], 8000, 2, 100, 50).T, NOISE[100:150])
    np.testing.assert_array_equal(read_sum([piece(path)], 8000, 2, 3990, 10).T, NOISE[3990:])


def test_a_sum_of_files_of_different_rates_channels_and_lengths(tmp_path):
    long, short = tmp_path / "long.wav", tmp_path / "short.wav"
    soundfile.write(long, NOISE, 16000, subtype="FLOAT")
    soundfile.write(short, NOISE[:1000, 0], 8000, subtype="FLOAT")
    alone = read_sum([piece(long)], 16000, 2, 0, 4000), read_sum([piece(short)], 16000, 2, 0, 4000)
    together = read_sum([piece(long), piece(short, -1)], 16000, 2, 0, 4000)
    np.testing.assert_allclose(together, alone[0] - alone[1], atol=1e-6)
    np.testing.assert_array_equal(together[:, 2200:], alone[0][:, 2200:])
    assert np.abs(alone[1][:, :1900]).max() > 0.3


def test_truncation_says_how_far_decoding_came(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, RNG.uniform(-0.5, 0.5, (80000, 2)), 8000)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(AudioError, match=r"a\.flac: truncated or damaged: decoded 0\.0 s of 10\.0 s"):
        read(path)


RATES = (8000, 16000, 22050, 44100, 48000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(RATES), st.sampled_from(RATES), st.integers(0, 5000), st.integers(1, 3000))
def test_a_block_equals_that_part_of_the_whole_resampled_at_once(tmp_path, old, new, start, frames):
    path = tmp_path / f"{old}.wav"
    if not path.exists():
        soundfile.write(path, NOISE, old, subtype="FLOAT")
    whole = resample(np.ascontiguousarray(NOISE.T), old, new)
    expected = np.pad(whole, ((0, 0), (0, 9000)))[:, start : start + frames]
    # The last samples of a whole file depend on what the resampler assumes beyond its end.
    valid = max(0, min(frames, whole.shape[1] - start))
    block = read_sum([piece(path)], new, 2, start, frames)
    assert block.shape == (2, frames)
    np.testing.assert_allclose(block[:, :valid], expected[:, :valid], atol=2e-6)


def test_beyond_the_end_there_is_silence(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, 8000, subtype="FLOAT")
    block = read_sum([piece(path)], 8000, 1, 3900, 300)
    np.testing.assert_allclose(block[0, :100], NOISE[3900:].mean(1), atol=1e-7)
    assert not block[0, 100:].any()
    assert not read_sum([piece(path)], 16000, 1, 20000, 300).any()
