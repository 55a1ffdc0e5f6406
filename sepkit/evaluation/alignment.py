"""Detect estimates that are late or early by a constant, as encoders and buffers shift them.

The lag k where the cross-correlation sum_t e[t + k] s[t] over all channels has the largest magnitude, by FFT, in the
loudest seconds of the reference. It counts only if undoing it reduces the error, so neither a periodic sound nor chance
nor inverted polarity passes for a delay.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from sepkit.arrays import Samples
from sepkit.evaluation.comparison import listed
from sepkit.evaluation.pairing import Estimates
from sepkit.evaluation.reference import Reference

log = logging.getLogger(__name__)

EXCERPT = 6.0
"""Seconds that are compared."""
FARTHEST = 1.0
"""The largest lag that is found, in seconds."""
LEAST_COST = 0.5
"""dB of the error. A lag that costs less is not reported."""
_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True)
class Shift:
    """An estimate that is late or early.

    Attributes:
        track: The song.
        estimate: The label of its estimator.
        stem: The stem.
        samples: The delay at the rate of the song; negative: early.
        sample_rate: Hz.
        cost: dB that the error would be less without it.
    """

    track: str
    estimate: str
    stem: str
    samples: int
    sample_rate: int
    cost: float

    @property
    def milliseconds(self) -> float:
        """The delay; negative: early."""
        return 1000 * self.samples / self.sample_rate


def find_shifts(song: Reference, estimates: Estimates) -> Iterator[Shift]:
    """Yield a shift for each estimate that is late or early."""
    pairing = estimates.pairing
    for stem, estimate, reference in zip(pairing.stems, estimates.samples, pairing.references, strict=False):
        samples, cost = lag(estimate, reference, song.sample_rate)
        if samples:
            yield Shift(song.name, estimates.label, stem, samples, song.sample_rate, cost)


def warn_of_shifts(shifts: Sequence[Shift]) -> None:
    """Log one warning for all songs of one estimator that have the same lag."""
    groups: dict[tuple[str, int, float], list[Shift]] = {}
    for shift in shifts:
        groups.setdefault((shift.estimate, shift.samples, shift.milliseconds), []).append(shift)
    for (estimate, samples, milliseconds), group in groups.items():
        stems, songs = (listed(dict.fromkeys(names)) for names in ([s.stem for s in group], [s.track for s in group]))
        when, advice = ("late", "remove them from the start") if samples > 0 else ("early", "add as many of silence")
        log.warning(
            "%s: %s of %s are %d samples (%.1f ms) %s, which costs up to %.1f dB; %s, or use a lossless format",
            estimate, stems, songs, abs(samples), abs(milliseconds), when, max(shift.cost for shift in group), advice,
        )  # fmt: skip


def lag(estimate: Samples, reference: Samples, sample_rate: int) -> tuple[int, float]:
    """Return the delay of an estimate in samples, and the dB that its error would be less without it.

    Both are [channel, time]. (0, 0.0) if it is in time, or if the signals do not tell.
    """
    length = round(EXCERPT * sample_rate)
    start = _loudest(reference, length)
    found, true = (signal[:, start : start + length].astype(np.float64) for signal in (estimate, reference))
    length = found.shape[1]
    size = next_fast_len(2 * length, real=True)
    correlation = irfft((rfft(found, size) * rfft(true, size).conj()).sum(0), size)
    most = min(round(FARTHEST * sample_rate), length // 2)
    lags = np.arange(-most, most + 1)
    late = int(lags[np.argmax(np.abs(correlation[lags]))])
    inside = slice(abs(late), length - abs(late))
    shifted = np.roll(found, -late, 1)
    before, after = (np.square(some[:, inside] - true[:, inside]).sum() for some in (found, shifted))
    floor = _ROUNDING * np.square(true[:, inside]).sum()
    cost = float(10 * np.log10((before + floor) / (after + floor))) if floor else 0.0
    return (late, cost) if cost >= LEAST_COST else (0, 0.0)


def _loudest(signal: Samples, length: int) -> int:
    """Return the start of the loudest of the consecutive excerpts; the last one ends with the song."""
    last = max(0, signal.shape[1] - length)
    starts = [*range(0, last, length), last]
    energies = [np.square(signal[:, start : start + length], dtype=np.float64).sum() for start in starts]
    return int(starts[np.argmax(energies)])
