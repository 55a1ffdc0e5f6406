"""Band-limited resampling at any two rates, and the arithmetic that lets blocks be resampled without seams.

The filter is a sinc in a Hann window, that of torchaudio. Outputs repeat their positions between the inputs every
new / g of them, g = gcd(old, new), so some dozens of neighbours are the product of the inputs around them and a small
matrix, the same in each repetition. Where g is small there are so many matrices that they would fill the memory (at
48 001 -> 192 000 Hz, 70 MB). Between such rates scipy applies the same filter.

Input sample i and output sample j fall on one instant where i * new == j * old. That happens every old / g input
samples: a block that starts there, with the filter's reach on both sides, resamples to exactly the part that it would
be of the whole.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import ceil, gcd
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sepkit.arrays import Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Zero crossings of the sinc filter on each side, and its cutoff as a share of the Nyquist frequency.
WIDTH = 24
ROLLOFF = 0.96
# Seconds that a stream resamples at once.
BLOCK_SECONDS = 4
# Elements of all matrices beyond which scipy takes over. Usual rates stay below 200 000.
LARGEST_MATRICES = 2**23
# Multiplications of one product: OpenBLAS computes as many in one thread, and others are at work in the other ones.
_PRODUCT = 2**18
# Elements of the inputs that are laid out beside each other at once, to stay in the cache of a core.
_AT_ONCE = 2**18


def resample(samples: "Samples", old: int, new: int) -> "Samples":
    """[channel, time] at rate `old` -> [channel, ceil(time * new / old)] at rate `new`."""
    grid = Grid.between(old, new)
    if grid.old == grid.new:
        return samples
    frames = grid.output_length(samples.shape[1])
    apply = _through_matrices if 4 * grid.new * grid.reach <= LARGEST_MATRICES else _through_scipy
    return apply(samples, grid)[:, :frames]


def resampled(blocks: "Iterable[Samples]", old: int, new: int) -> "Iterator[Samples]":
    """Resample a signal in blocks [channel, any]; the samples do not depend on the blocks.

    Together they are ceil(time * new / old) samples, those of the whole signal resampled at once.
    """
    if old == new:
        yield from blocks
        return
    grid = Grid.between(old, new)
    step = grid.new * ceil(new * BLOCK_SECONDS / grid.new)
    held, held_from, done, arrived = None, 0, 0, 0
    for block in blocks:
        if held is None:
            held_from = grid.input_range(0, step)[0]
            held = np.zeros((len(block), -held_from), np.float32)
        held = np.concatenate([held, block], axis=1)
        arrived += block.shape[1]
        while (last := grid.input_range(done, done + step)[1]) <= arrived:
            yield _part(held[:, : last - held_from], held_from, grid, done, step)
            done += step
            first = grid.input_range(done, done + step)[0]
            held, held_from = held[:, first - held_from :], first
    total = grid.output_length(arrived)
    while held is not None and done < total:
        count = min(step, total - done)
        first, last = grid.input_range(done, done + step)
        ending = np.pad(held[:, first - held_from : last - held_from], ((0, 0), (0, max(0, last - arrived))))
        yield _part(ending, first, grid, done, step)[:, :count]
        done += count


def _part(samples: "Samples", first: int, grid: "Grid", start: int, count: int) -> "Samples":
    """Return the outputs [start, start + count) of input samples that begin at `first`."""
    offset = start - grid.output_index(first)
    return resample(samples, grid.old, grid.new)[:, offset : offset + count]


def _through_matrices(samples: "Samples", grid: "Grid") -> "Samples":
    matrices = _matrices(grid.old, grid.new)
    times = max(1, matrices[-1].stop // grid.new)
    old, new = times * grid.old, times * grid.new
    channels, time = samples.shape
    repetitions = -(-grid.output_length(time) // new)
    padded = np.zeros((channels, repetitions * old + 2 * grid.reach + old), np.float32)
    padded[:, grid.reach : grid.reach + time] = samples
    filtered = np.empty((channels, repetitions, new), np.float32)
    for part in matrices:
        first = grid.reach + part.first
        inputs = np.lib.stride_tricks.sliding_window_view(padded[:, first:], len(part.matrix), 1)[:, ::old]
        for channel in range(channels):
            part.multiply(inputs[channel, :repetitions], filtered[channel, :, part.start : part.stop])
    return filtered.reshape(channels, -1)


class _Part(NamedTuple):
    """The filter [input, output] of outputs [start, stop) of a repetition; `first` is their first input."""

    start: int
    stop: int
    first: int
    matrix: "NDArray[np.float32]"

    def multiply(self, inputs: "Samples", outputs: "Samples") -> None:
        """Inputs [repetition, input] -> outputs [repetition, output]"""
        rows = max(1, _PRODUCT // self.matrix.size)
        whole = len(inputs) // rows * rows
        step = rows * max(1, _AT_ONCE // (rows * len(self.matrix)))
        for first in range(0, whole, step):
            some = np.ascontiguousarray(inputs[first : min(whole, first + step)])
            products = some.reshape(-1, rows, some.shape[1]) @ self.matrix
            outputs[first : first + len(some)] = products.reshape(len(some), -1)
        if whole < len(inputs):
            outputs[whole:] = np.ascontiguousarray(inputs[whole:]) @ self.matrix


@lru_cache(maxsize=16)
def _matrices(old: int, new: int) -> list[_Part]:
    """Return the filter in parts of about equal size, each of twice the inputs that one output takes.

    Together they make one repetition, or several where it is shorter than a part.
    """
    cutoff = min(old, new) * ROLLOFF
    around = ceil(WIDTH * old / cutoff)
    size = max(1, round(2 * around * new / old))
    total = new * max(1, size // new)
    parts = max(1, round(total / size))
    starts = [total * part // parts for part in range(parts + 1)]
    return [_part_of(start, stop, around, old, new) for start, stop in pairwise(starts)]


def _part_of(start: int, stop: int, around: int, old: int, new: int) -> _Part:
    first, last = start * old // new - around, (stop - 1) * old // new + around + 1
    cutoff = min(old, new) * ROLLOFF
    crossings = (np.arange(first, last + 1)[:, None] / old - np.arange(start, stop) / new) * cutoff
    window = np.cos(np.pi / 2 / WIDTH * crossings.clip(-WIDTH, WIDTH)) ** 2
    return _Part(start, stop, first, (np.sinc(crossings) * window * (cutoff / old)).astype(np.float32))


def _through_scipy(samples: "Samples", grid: "Grid") -> "Samples":
    from scipy.signal import upfirdn

    # Output m is the sum of each input i times tap m * old - i * new. The middle tap is at `delay` * old.
    taps, delay = _taps(grid.old, grid.new)
    filtered: Samples = upfirdn(taps, samples, grid.new, grid.old, axis=1)
    return filtered[:, delay:]


@lru_cache(maxsize=2)
def _taps(old: int, new: int) -> "tuple[NDArray[np.float32], int]":
    """Return the taps of the filter at the rate old * new, and by how many outputs they delay."""
    side = int(WIDTH * max(old, new) / ROLLOFF)
    crossings = np.arange(side + 1) * (ROLLOFF / max(old, new))
    half = np.sinc(crossings) * np.cos(np.pi / 2 / WIDTH * crossings) ** 2
    half *= ROLLOFF * min(1.0, new / old)
    delay = ceil(side / old)
    taps = np.zeros(delay * old + side + 1, np.float32)
    taps[delay * old :] = half
    taps[delay * old - side : delay * old] = half[:0:-1]
    return taps, delay


@dataclass(frozen=True, slots=True)
class Grid:
    """The common grid of two rates: a point every `old` input samples, that is every `new` output samples."""

    old: int
    new: int

    @classmethod
    def between(cls, old: int, new: int) -> "Grid":
        """Return the grid of two rates in Hz."""
        divisor = gcd(old, new)
        return cls(old // divisor, new // divisor)

    @property
    def reach(self) -> int:
        """The input samples that the filter needs on each side of an output."""
        return ceil(WIDTH * max(1.0, self.old / self.new) / ROLLOFF) + 1

    def output_length(self, frames: int) -> int:
        """Return the number of output samples of `frames` input samples."""
        return -(-frames * self.new // self.old)

    def input_range(self, start: int, stop: int) -> tuple[int, int]:
        """Return the input samples, first on the grid, that the outputs [start, stop) depend on."""
        if self.old == self.new:
            return start, stop
        first = (start * self.old // self.new - self.reach) // self.old * self.old
        return first, -(-stop * self.old // self.new) + self.reach

    def output_index(self, first: int) -> int:
        """Return the output sample at input sample `first`, which must be on the grid."""
        return first * self.new // self.old
