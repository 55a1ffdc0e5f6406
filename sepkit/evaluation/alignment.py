"""Estimates that are their references, only later or earlier by a constant, as encoders and buffers leave them.

The lag k where the cross-correlation sum_t e[t + k] s[t] over all channels has the largest magnitude, by FFT, in the
loudest seconds of the reference. It counts where undoing it takes away error: neither a periodic sound nor chance
passes for a delay, and something upside down is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from sepkit.arrays import Samples

EXCERPT = 6.0
"""Seconds that are compared."""
FARTHEST = 1.0
"""Seconds"""
LEAST_COST = 0.5
"""In dB of the error. What costs less is not worth a word."""
_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True)
class Shift:
    """An estimate that comes later than its reference, or earlier.

    Attributes:
        track: The song.
        estimate: The label of who made it.
        stem: What was estimated.
        samples: By how many it is late, at the rate of the song; negative: early.
        sample_rate: Hz.
        cost: By how much the error would be less without it, in dB.
    """

    track: str
    estimate: str
    stem: str
    samples: int
    sample_rate: int
    cost: float

    @property
    def milliseconds(self) -> float:
        """By how many it is late."""
        return 1000 * self.samples / self.sample_rate


def lag(estimate: Samples, reference: Samples, sample_rate: int) -> tuple[int, float]:
    """Return by how many samples an estimate is late, and by how many dB its error would be less without that.

    Both are [channel, time]. (0, 0.0) where it is in time, or where nothing can be told.
    """
    start, stop = _loudest(reference, round(EXCERPT * sample_rate))
    heard, true = (signal[:, start:stop].astype(np.float64) for signal in (estimate, reference))
    length = heard.shape[1]
    size = next_fast_len(2 * length, real=True)
    correlation = irfft((rfft(heard, size) * rfft(true, size).conj()).sum(0), size)
    most = min(round(FARTHEST * sample_rate), length // 2)
    lags = np.arange(-most, most + 1)
    late = int(lags[np.argmax(np.abs(correlation[lags]))])
    inside = slice(abs(late), length - abs(late))
    shifted = np.roll(heard, -late, 1)
    before, after = (np.square(some[:, inside] - true[:, inside]).sum() for some in (heard, shifted))
    floor = _ROUNDING * np.square(true[:, inside]).sum()
    cost = float(10 * np.log10((before + floor) / (after + floor))) if floor else 0.0
    return (late, cost) if cost >= LEAST_COST else (0, 0.0)


def _loudest(signal: Samples, length: int) -> tuple[int, int]:
    """Return the start and the end of the loudest of the excerpts that follow each other, the song's last included."""
    last = max(0, signal.shape[1] - length)
    starts = [*range(0, last, length), last]
    start = max(starts, key=lambda at: float(np.square(signal[:, at : at + length], dtype=np.float64).sum()))
    return start, start + length
