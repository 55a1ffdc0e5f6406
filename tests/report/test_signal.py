"""Signals are read the same from arrays and from files, in any order, and with zeros beyond their end."""

import pickle

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit.audio.untrusted.decoder import ChildProcess, Decoder
from sepkit.errors import AudioError
from sepkit.report import ArraySignal, FileSignal

RATE = 4000
SAMPLES = np.random.default_rng(0).uniform(-1, 1, (2, 3 * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("signal") / "signal.wav"
    soundfile.write(path, SAMPLES.T, RATE, subtype="FLOAT")
    return path


READS = st.lists(st.tuples(st.integers(0, 4 * RATE), st.integers(1, 2 * RATE)), min_size=1, max_size=6)


@settings(max_examples=10, deadline=None)
@given(reads=READS, follow=st.booleans())
def test_any_order_of_reads_brings_the_same_samples(path, reads, follow):
    signal = FileSignal(path, RATE, 2, 3 * RATE)
    padded = np.pad(SAMPLES, ((0, 0), (0, 8 * RATE)))
    at = 0
    with signal.reader() as file, ArraySignal(SAMPLES, RATE).reader() as array:
        for start, frames in reads:
            begin = at if follow else start
            at = begin + frames
            expected = padded[:, begin : begin + frames]
            if expected.shape[1] < frames:
                break
            np.testing.assert_array_equal(file(begin, frames), expected)
            np.testing.assert_array_equal(array(begin, frames), expected)


def test_a_file_tells_what_it_is_and_travels_without_its_samples(path):
    with Decoder() as decoder:
        signal = FileSignal.of(path, decoder)
    assert (signal.sample_rate, signal.channels, signal.frames) == (RATE, 2, 3 * RATE)
    sent = pickle.dumps(signal)
    assert len(sent) < 1000
    assert pickle.loads(sent) == signal  # noqa: S301


def test_a_part_of_a_file_times_a_gain(path):
    signal = FileSignal(path, RATE, 2, RATE, start=RATE // 2, gain=0.5)
    expected = np.pad(0.5 * SAMPLES[:, RATE // 2 : 3 * RATE // 2], ((0, 0), (0, RATE)))
    with signal.reader() as read:
        for start, frames in ((0, 600), (600, 2000), (100, 50), (3000, 2000), (RATE, 10)):
            np.testing.assert_array_equal(read(start, frames), expected[:, start : start + frames])


def test_a_missing_file_is_named(tmp_path):
    with Decoder() as decoder, pytest.raises(AudioError, match=r"missing\.wav: no such file"):
        FileSignal.of(tmp_path / "missing.wav", decoder)


def test_reads_to_the_end_and_of_parts_share_one_process(path, monkeypatch):
    begun = []

    def begin(*args, **options):
        begun.append(args)
        return ChildProcess(*args, **options)

    monkeypatch.setattr("sepkit.audio.untrusted.decoder.ChildProcess", begin)
    with FileSignal(path, RATE, 2, 3 * RATE).reader() as read:
        for start, frames in ((0, 3 * RATE), (0, 4 * RATE), (700, 50), (20, 2 * RATE), (2 * RATE, 2 * RATE), (0, 10)):
            assert read(start, frames).shape == (2, frames)
    assert len(begun) == 1
