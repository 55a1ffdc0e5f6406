"""Band-limited resampling at any two rates, and the arithmetic that lets blocks be resampled without seams.

The filter is a sinc in a Hann window. Between usual rates torchaudio applies it. Its kernel holds old / g + 2 * reach
taps for each of new / g outputs; where g = gcd(old, new) is small nearly all are zero, and 44 056 -> 22 050 Hz takes
9 GB to make. Between such rates scipy applies the same filter, and only the taps that are not zero are kept.

Input sample i and output sample j fall on one instant where i * new == j * old. That happens every old / g input
samples: a block that starts there, with the filter's reach on both sides, resamples to exactly the part that it would
be of the whole.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, gcd
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from sepkit.component import Samples

# Zero crossings of the sinc filter on each side, and its cutoff as a share of the Nyquist frequency.
WIDTH = 24
ROLLOFF = 0.96
# Seconds that a stream resamples at once.
BLOCK_SECONDS = 4
# Elements of torchaudio's kernel beyond which scipy takes over. Usual rates stay below 1.3 million.
LARGEST_KERNEL = 2**21


def resample(samples: "Samples", old: int, new: int) -> "Samples":
    """[channel, time] at rate `old` -> [channel, ceil(time * new / old)] at rate `new`."""
    grid = Grid.between(old, new)
    if grid.old == grid.new:
        return samples
    frames = grid.output_length(samples.shape[1])
    apply = _through_torchaudio if grid.new * (grid.old + 2 * grid.reach) <= LARGEST_KERNEL else _through_scipy
    return apply(samples, grid)[:, :frames]


def resampled(blocks: "Iterable[Samples]", old: int, new: int) -> "Iterator[Samples]":
    """Resample a signal that comes in blocks [channel, any]: the same samples, whatever the blocks.

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


def _through_torchaudio(samples: "Samples", grid: "Grid") -> "Samples":
    import torch

    # It counts its outputs in float32, and may lose the last ones: zeros at the end keep them.
    spare = 1 + (samples.shape[1] >> 22)
    padded = torch.from_numpy(np.pad(samples, ((0, 0), (0, spare))))
    result: Samples = _resampler(grid.old, grid.new)(padded).numpy()
    return result


@lru_cache(maxsize=16)
def _resampler(old: int, new: int) -> "Callable[[Tensor], Tensor]":
    """Return the filter for two rates: making it takes longer than applying it to a chunk."""
    from torchaudio.transforms import Resample

    resampler: Callable[[Tensor], Tensor] = Resample(old, new, lowpass_filter_width=WIDTH, rolloff=ROLLOFF)
    return resampler


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
    """Where the sample grids of two rates meet: every `old` input samples, that is every `new` output samples."""

    old: int
    new: int

    @classmethod
    def between(cls, old: int, new: int) -> "Grid":
        """Return the grid of two rates in Hz."""
        divisor = gcd(old, new)
        return cls(old // divisor, new // divisor)

    @property
    def reach(self) -> int:
        """How many input samples the filter needs on each side of an output."""
        return ceil(WIDTH * max(1.0, self.old / self.new) / ROLLOFF) + 1

    def output_length(self, frames: int) -> int:
        """Return how many output samples `frames` input samples make."""
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
