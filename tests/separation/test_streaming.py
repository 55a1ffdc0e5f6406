"""Streams: whatever the blocks, the samples are those of the song in memory, and memory does not grow."""

from contextlib import closing

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sepkit.errors import ConfigError
from sepkit.separation import Separator
from sepkit.separation.overlap_add import Chunking, Fifo, cross_fade, cut, overlap_add
from sepkit.separation.stream import in_order

LENGTHS = [int(n) for n in np.random.default_rng(5).integers(1, 60_000, 20)]


def random(*shape):
    return np.random.default_rng(7).random(shape, np.float32)


def in_blocks(signal, rng, most):
    """Cut [channel, time] anywhere."""
    start = 0
    while start < signal.shape[-1]:
        stop = start + rng.integers(1, most)
        yield signal[..., start:stop]
        start = stop


def together(parts):
    return {stem: np.concatenate([part[stem] for part in parts], -1) for stem in parts[0]}


@pytest.mark.parametrize("band", ["full", "model"])
@pytest.mark.parametrize("rate", [8000, 11025])
def test_streamed_equals_in_memory_to_the_bit_for_20_random_lengths(small_model, band, rate):
    separator = Separator.load(small_model, band=band)
    for number, time in enumerate(LENGTHS):
        mixture = np.random.default_rng(number).uniform(-0.3, 0.3, (2, time)).astype(np.float32)
        whole = separator(mixture, rate)
        streamed = together(list(separator.stream(in_blocks(mixture, np.random.default_rng(time), 9000), rate)))
        for stem, samples in whole.items():
            assert samples.shape == (2, time)
            np.testing.assert_array_equal(samples, streamed[stem])


def test_a_file_gives_the_samples_of_the_song_in_memory(small_model, tmp_path):
    separator = Separator.load(small_model)
    for time in (1, 7, 4001, 50_000, 96_000, 96_001, 168_000):  # chunks are 96 000 samples, and start every 72 000
        mixture = np.random.default_rng(time).uniform(-0.3, 0.3, (time, 2)).astype(np.float32)
        soundfile.write(tmp_path / f"{time}.wav", mixture, 8000, subtype="FLOAT")
        written = separator.separate_file(tmp_path / f"{time}.wav", tmp_path / "out", bit_depth="float")
        whole = separator(np.ascontiguousarray(mixture.T), 8000)
        for stem, file in written.files.items():
            np.testing.assert_array_equal(soundfile.read(file, dtype="float32", always_2d=True)[0].T, whole[stem])


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 700), st.integers(2, 300), st.integers(0, 50), st.integers(0, 10**6))
def test_chunks_do_not_depend_on_the_blocks(time, chunk, share, seed):
    signal, chunking = random(2, time) * 2 - 1, Chunking.of(chunk, share / 100, 1)
    blocks = in_blocks(signal, np.random.default_rng(seed), 200)
    streamed = np.concatenate(list(cross_fade(((c, c.samples[None] * 2) for c in cut(blocks, chunking)), chunking)), -1)
    np.testing.assert_array_equal(streamed, overlap_add(lambda x: x[None] * 2, signal, chunking))
    assert np.abs(streamed[0] - signal * 2).max() <= 2e-6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=20), st.lists(st.integers(0, 20), max_size=30))
def test_what_is_put_in_comes_out_in_order(lengths, takes):
    fifo, signal = Fifo(), np.arange(sum(lengths), dtype=np.float32)[None]
    for block in np.split(signal, np.cumsum(lengths)[:-1], -1):
        fifo.put(block)
    taken = [fifo.take(count) for count in takes]
    rest = fifo.take(len(fifo))
    np.testing.assert_array_equal(np.concatenate([*taken, rest], -1), signal)
    assert [piece.shape[-1] for piece in taken[:1]] == [min(takes[0], signal.shape[-1])] if takes else True


def test_results_come_in_order_and_never_far_ahead():
    begun = []

    def items():
        for number in range(50):
            begun.append(number)
            yield number

    for (item, result), number in zip(in_order(lambda n: n * n, items(), 3), range(50), strict=True):
        assert (item, result) == (number, number * number)
        assert len(begun) <= number + 4


def test_an_error_in_a_thread_ends_everything():
    def fails_at_two(number):
        if number == 2:
            raise ValueError("two")
        return number

    with pytest.raises(ValueError, match="two"):
        list(in_order(fails_at_two, iter(range(100)), 2))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 5), st.integers(0, 3000))
def test_nothing_is_lost_or_added_whatever_the_song(small_model, channels, time):
    stems = Separator.load(small_model).stream([random(channels, time)], 8000)
    assert all(stem.shape == (channels, time) for stem in together(list(stems)).values())


def test_stems_come_while_the_song_is_still_read(small_model):
    read = []

    def blocks():
        for number in range(100):
            read.append(number)
            yield random(2, 8000) - 0.5

    with closing(Separator.load(small_model).stream(blocks(), 8000)) as stems:
        next(stems)
        assert len(read) < 60  # chunks are 12 s, and at most three of them have begun


def test_the_number_of_threads_is_as_before_after_streams_that_end_in_any_order(small_model):
    before, separator = torch.get_num_threads(), Separator.load(small_model, backend="torch")
    mixture = random(2, 200_000)
    first, second = (separator.stream([mixture], 8000) for _ in range(2))
    next(first), next(second)
    list(first)
    list(second)
    abandoned = separator.stream([mixture], 8000)
    next(abandoned)
    abandoned.close()
    assert torch.get_num_threads() == before


def test_an_empty_song_gives_empty_stems(small_model):
    for band in ("full", "model"):
        stems = Separator.load(small_model, band=band)(np.zeros((2, 0), np.float32), 11025)
        assert {stem.shape for stem in stems.values()} == {(2, 0)}


def test_a_rate_that_no_song_has_is_a_clear_error(small_model):
    with pytest.raises(ConfigError, match="500 Hz"):
        Separator.load(small_model)(np.zeros((2, 100), np.float32), 500)
