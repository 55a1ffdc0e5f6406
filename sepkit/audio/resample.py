"""Band-limited resampling through torchaudio, and the arithmetic that lets blocks be resampled without seams.

Input sample i and output sample j fall on one instant where i * new == j * old. With g = gcd(old, new) that happens
every old / g input samples: a block that starts there, with the filter's reach on both sides, resamples to exactly the
part that it would be of the whole.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, gcd
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from sepkit.component import Samples

# Zero crossings of the sinc filter on each side, and its cutoff as a share of the Nyquist frequency.
WIDTH = 24
ROLLOFF = 0.96
# Seconds that a stream resamples at once.
BLOCK_SECONDS = 4


def resample(samples: "Samples", old: int, new: int) -> "Samples":
    """[channel, time] at rate `old` -> [channel, ceil(time * new / old)] at rate `new`."""
    if old == new:
        return samples
    import torch

    result: Samples = _resampler(old, new)(torch.from_numpy(np.ascontiguousarray(samples))).numpy()
    return result


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
    total = -(-arrived * grid.new // grid.old)
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


@lru_cache(maxsize=16)
def _resampler(old: int, new: int) -> "Callable[[Tensor], Tensor]":
    """Return the filter for two rates: making it takes longer than applying it to a chunk."""
    from torchaudio.transforms import Resample

    resampler: Callable[[Tensor], Tensor] = Resample(old, new, lowpass_filter_width=WIDTH, rolloff=ROLLOFF)
    return resampler


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

    def input_range(self, start: int, stop: int) -> tuple[int, int]:
        """Return the input samples, first on the grid, that the outputs [start, stop) depend on."""
        if self.old == self.new:
            return start, stop
        reach = ceil(WIDTH * max(1.0, self.old / self.new) / ROLLOFF) + 1
        first = (start * self.old // self.new - reach) // self.old * self.old
        return first, -(-stop * self.old // self.new) + reach

    def output_index(self, first: int) -> int:
        """Return the output sample at input sample `first`, which must be on the grid."""
        return first * self.new // self.old
