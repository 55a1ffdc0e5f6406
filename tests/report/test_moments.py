"""Excerpts: the worst frames first, without overlaps and within the song."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sepkit.report import ArraySignal, Curve, SeparatedSong, Stem
from sepkit.report.moments import loud_moments, worst_moments

SILENCE = ArraySignal(np.zeros((1, 10), np.float32), 10)


def scored(*curves):
    return SeparatedSong("song", SILENCE, (Stem("vocals", SILENCE, SILENCE, curves),))


def test_the_worst_of_each_curve_comes_first():
    sdr = Curve("SDR", "dB", 1.0, (5.0, None, 4.0, -1.5, 9.0, 8.0, 7.0, 6.0, 5.5, 5.0, 4.5, 0.0))
    bleed = Curve("bleed", "dB", 1.0, (-9.0, *[-30.0] * 11), "lower")
    moments = worst_moments(scored(sdr, bleed), 12.0, 2.0, 3)
    minus = "\N{MINUS SIGN}"
    assert [moment.why for moment in moments] == [
        f"SDR of vocals: {minus}1.5 dB", f"bleed of vocals: {minus}9.0 dB", "SDR of vocals: 0.0 dB",
    ]  # fmt: skip
    assert [moment.start for moment in moments] == [2.5, 0.0, 10.0]


VALUES = st.lists(st.none() | st.floats(-100, 100) | st.just(float("inf")), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(VALUES, st.floats(0.5, 10), st.integers(0, 6))
def test_excerpts_lie_within_the_song_and_apart(values, seconds, count):
    total = max(seconds, len(values) * 0.5)
    moments = worst_moments(scored(Curve("SDR", "dB", 0.5, tuple(values))), total, seconds, count)
    starts = sorted(moment.start for moment in moments)
    assert len(moments) <= count
    assert all(0 <= start <= total - seconds + 1e-9 for start in starts)
    assert all(b - a >= seconds for a, b in pairwise(starts))


def test_without_scores_the_loudest_of_each_part():
    levels = np.full(100, 0.1)
    levels[[12, 80]] = 1
    moments = loud_moments("vocals", levels, 100.0, 8.0, 2)
    assert [(moment.start, moment.why) for moment in moments] == [(8.5, "loud in vocals"), (76.5, "loud in vocals")]
    assert loud_moments("vocals", levels, 100.0, 8.0, 0) == []
