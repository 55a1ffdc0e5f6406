"""Check that the stems of a song are a partition of its mixture: each in it once, at the level of its file.

All follows from inner products <s_i, s_j> over all channels and samples. The gains g with the least energy of the
mixture minus the sum of g_i s_i solve sum_j <s_i, s_j> g_j = <s_i, m>: they are 1 where the stems are a partition. By
the same equations a stem that is a sum of others is explained by them, with gains of 1 too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING

import numpy as np

from sepkit.arrays import Samples
from sepkit.datasets.stem_names import MIXTURE, left_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

# The largest share of a signal's energy that others may leave unexplained. Encoders leave as much.
EXPLAINED = 10 ** (-25 / 10)
# Below this share of the energy of the mixture, a stem is too faint for a result.
FAINT = 10 ** (-50 / 10)
# The largest difference of a gain from 1; more if the residual is louder than the stem, as it may be like it.
GAIN_TOLERANCE = 0.1
CHANCE = 0.1
# The largest share of the energy of an overlapping file that may differ from the sum that its name says.
DIFFERENT = 0.1
# Samples that are multiplied at once.
BLOCK = 2**18


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a stem or of the mixture, with its remedy."""

    name: str
    text: str


def inner_products(signals: Sequence[Samples]) -> Matrix:
    """Return [signal, signal]: the inner products of signals [channel, time] of one shape, in double precision."""
    total = np.zeros((len(signals), len(signals)))
    for start in range(0, signals[0].shape[-1] if signals else 0, BLOCK):
        rows = np.stack([signal[:, start : start + BLOCK].astype(np.float64).reshape(-1) for signal in signals])
        total += rows @ rows.T
    return total


def faults(names: Sequence[str], products: Matrix, overlapping: Sequence[str] = ()) -> Iterator[Fault]:
    """Yield the faults of stems that are no partition of their mixture, and of files whose names are wrong.

    Args:
        names: Of the signals: stems, files that overlap them, and "mixture" where it has a file of its own.
        products: The inner products of the signals, [signal, signal].
        overlapping: Those of the names that are no part of the mixture's sum.
    """
    song = _Song(list(names), products)
    loudest = max(map(song.energy, names), default=0.0)
    sounding = [name for name in names if song.energy(name) > FAINT * loudest]
    stems = [name for name in sounding if name not in (MIXTURE, *overlapping)]
    while MIXTURE in sounding and (copy := _copy(song, stems)):
        stems.remove(copy)
        yield Fault(copy, "it is the mixture under another name; remove it")
    for stem, held in _sums(song, stems):
        stems.remove(stem)
        if len(held) == 1:
            yield Fault(stem, f"it is the same as {held[0]}; keep one")
        elif MIXTURE not in names and len(held) == len(stems):
            yield Fault(stem, "it is the sum of all other stems; rename it to mixture")
        else:
            yield Fault(stem, f"it is the sum of {', '.join(held)}, so they count twice; remove it")
    if MIXTURE in sounding and stems:
        yield from _levels(song, stems)
    for name in overlapping:
        if name in sounding:
            yield from _not_as_named(song, name, [stem for stem in names if stem not in (MIXTURE, *overlapping)])


@dataclass(frozen=True, slots=True)
class _Song:
    """Inner products by name."""

    names: Sequence[str]
    products: Matrix

    def energy(self, name: str) -> float:
        """Return the energy of a signal."""
        return float(self.products[self.names.index(name), self.names.index(name)])

    def gains(self, name: str, others: Sequence[str]) -> Matrix:
        """Return the gain of each of the others, with which their sum is closest to a signal."""
        rows = [self.names.index(other) for other in others]
        among = self.products[np.ix_(rows, rows)]
        norm = np.sqrt(np.diag(among)) + np.finfo(np.float64).tiny
        scaled = among / norm / norm[:, None] + 1e-9 * np.eye(len(rows))
        solved: Matrix = np.linalg.solve(scaled, self.products[rows, self.names.index(name)] / norm) / norm
        return solved

    def difference(self, name: str, parts: Mapping[str, float]) -> float:
        """Return the energy of a signal minus the parts with their gains, relative to its own."""
        weights = np.array([parts.get(other, 0.0) - (other == name) for other in self.names])
        return float(weights @ self.products @ weights) / (self.energy(name) or 1.0)

    def left_of(self, name: str, others: Sequence[str]) -> float:
        """Return the share of a signal's energy that the others do not explain."""
        gains = self.gains(name, others)
        return self.difference(name, dict(zip(others, gains.tolist(), strict=True)))


def _copy(song: _Song, stems: Sequence[str]) -> str:
    """Return the stem that is the mixture, although others sound; an empty name if none is."""
    closest = min(stems, key=lambda stem: song.left_of(MIXTURE, [stem]), default="")
    left = song.left_of(MIXTURE, [closest]) if closest else 1.0
    rows = [song.names.index(stem) for stem in stems if stem != closest]
    others = song.products[np.ix_(rows, rows)].sum() / max(song.energy(MIXTURE), np.finfo(np.float64).tiny)
    return closest if left < EXPLAINED and others > 4 * left + FAINT else ""


def _sums(song: _Song, stems: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each stem that is a sum of others, the loudest first, with those others."""
    left = sorted(stems, key=song.energy, reverse=True)
    for stem in list(left):
        others = [other for other in left if other != stem]
        if not others or song.left_of(stem, others) > EXPLAINED:
            continue
        gains = dict(zip(others, song.gains(stem, others).tolist(), strict=True))
        held = sorted((other for other in others if abs(gains[other]) > GAIN_TOLERANCE), key=list(stems).index)
        if held and all(gains[other] > 0 for other in held):  # one with a minus is a part of another
            left.remove(stem)
            yield stem, held


def _levels(song: _Song, stems: Sequence[str]) -> Iterator[Fault]:
    """Yield the stems that the mixture holds at another level, or not at all."""
    gains = dict(zip(stems, song.gains(MIXTURE, stems).tolist(), strict=True))
    residual = max(0.0, song.difference(MIXTURE, gains)) * song.energy(MIXTURE)
    wrong = {
        stem: gain
        for stem, gain in gains.items()
        if abs(gain - 1) > GAIN_TOLERANCE + CHANCE * np.sqrt(residual / song.energy(stem))
    }
    low, high = min(gains.values()), max(gains.values())
    if len(wrong) == len(stems) > 1 and high - low < GAIN_TOLERANCE < low:
        level = 20 * log10(sum(gains.values()) / len(gains))
        yield Fault(MIXTURE, f"it holds all stems at {level:+.1f} dB; export it at their level, or remove it: "
                    "their sum is the mixture then")  # fmt: skip
        return
    for stem, gain in wrong.items():
        yield Fault(stem, _about(gain))


def _about(gain: float) -> str:
    if gain < -GAIN_TOLERANCE:
        return "the mixture holds it upside down; invert its polarity"
    if gain < GAIN_TOLERANCE:
        return "the mixture does not hold it; is it of another song, or shifted in time?"
    return f"the mixture holds it at {20 * log10(gain):+.1f} dB; export it as loud as it is there"


def _not_as_named(song: _Song, name: str, stems: Sequence[str]) -> Iterator[Fault]:
    """Yield a fault if an overlapping file is not the mixture without the stems that its name says."""
    without = left_out(name, stems)
    if MIXTURE in song.names and all(stem in stems for stem in without):
        expected = {MIXTURE: 1.0, **dict.fromkeys(without, -1.0)}
    else:
        expected = dict.fromkeys((stem for stem in stems if stem not in without), 1.0)
    difference = song.difference(name, expected)
    if difference > DIFFERENT:
        expectation = f"the song without {', '.join(without)}" if without else "the mixture"
        yield Fault(name, f"it is not {expectation}: they differ by {10 * log10(difference):.1f} dB. "
                    "It is not used; are stems missing, or is it of another song?")  # fmt: skip
