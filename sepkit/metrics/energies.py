"""Energies of the windows of signals, and ratios of energies in dB."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sepkit.arrays import Flags, Samples, Scores


def frames(signal: Samples, length: int) -> Iterator[Samples]:
    """Yield the frames [source, channel, length] of a signal [source, channel, time].

    What does not fill a frame is left out, but a signal shorter than one frame is one frame.
    """
    count = max(1, signal.shape[-1] // length)
    for start in range(0, count * length, length):
        yield signal[..., start : start + length]


def energies(signal: Samples, length: int) -> Scores:
    """Return the energies [source, frame] of a signal [source, channel, time], summed in double precision."""
    return np.stack([energy(frame) for frame in frames(signal, length)], -1)


def difference_energies(first: Samples, second: Samples, length: int) -> Scores:
    """Return the energies [source, frame] of the difference of two signals [source, channel, time]."""
    pairs = zip(frames(first, length), frames(second, length), strict=True)
    return np.stack([energy(a - b) for a, b in pairs], -1)


def energy(signal: Samples) -> Scores:
    """Return the energies [source] of a signal [source, channel, time], summed in double precision."""
    flat = signal.reshape(len(signal), -1).astype(np.float64)
    found: Scores = np.einsum("st,st->s", flat, flat)
    return found


def sounding(signal: Samples, length: int) -> Flags:
    """Return [source, frame]: True where a frame of a signal [source, channel, time] has a sample that is not zero."""
    return np.stack([frame.any((1, 2)) for frame in frames(signal, length)], -1)


def decibels(wanted: Scores, unwanted: Scores) -> Scores:
    """Return the ratio of two energies in dB: infinite where one of them is 0, NaN where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Scores = 10 * np.log10(np.divide(wanted, unwanted))
    return ratio
