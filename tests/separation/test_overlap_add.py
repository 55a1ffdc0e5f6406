"""Overlap-add: what goes in comes out."""

from math import ceil

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit.separation.overlap_add import Chunking, overlap_add


def random(*shape):
    return np.random.default_rng(3).random(shape, np.float32)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 700), st.integers(2, 300), st.integers(0, 50), st.integers(1, 2))
def test_the_identity_is_exact_for_any_chunk_and_overlap(time, chunk, share, channels):
    mixture = random(channels, time) * 2 - 1
    chunking = Chunking.of(chunk, share / 100, 1)
    result = overlap_add(lambda x: np.stack([x, -x]), mixture, chunking)
    assert result.shape == (2, channels, time)
    assert np.abs(result - np.stack([mixture, -mixture])).max() <= 1e-6


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 700), st.integers(2, 300), st.integers(0, 50))
def test_every_chunk_but_the_last_has_the_full_length_and_none_is_more_than_needed(time, chunk, share):
    chunking, seen = Chunking.of(chunk, share / 100, 1), []
    overlap_add(lambda x: (seen.append(x.shape[-1]), x[None])[1], random(1, time), chunking)
    assert set(seen[:-1]) <= {chunking.chunk}
    left = time - (len(seen) - 1) * chunking.hop
    assert seen[-1] == max(left, chunking.shortest) <= chunking.chunk
    assert len(seen) == max(1, ceil((time - chunking.overlap) / chunking.hop))
    assert len(seen) == 1 or (len(seen) - 1) * chunking.hop + chunking.overlap < time


def test_a_seam_is_a_cross_fade():
    chunking = Chunking(100, 20)
    levels = iter([1.0, 0.0])
    result = overlap_add(lambda x: np.full_like(x, next(levels))[None], np.ones((1, 180), np.float32), chunking)[0, 0]
    assert (result[:80] == 1).all()
    assert (result[100:] == 0).all()
    steps = np.diff(result[80:100])
    np.testing.assert_allclose(steps, -1 / 20, rtol=1e-4)
