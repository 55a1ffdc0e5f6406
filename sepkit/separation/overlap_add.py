"""Chunked processing of a signal of any length: overlapping chunks, cross-faded with weights that sum to one.

Chunk k covers the samples [k * hop, k * hop + chunk), hop = chunk - overlap. Within each overlap the earlier chunk
fades out and the later one in, linearly, so each sample's weights add up to one: with a process that returns its
input, the output is the input. The last chunk is as short as what is left, which always reaches beyond the overlap
before it; less than a quarter of a chunk is filled up to that with zeros, for networks that need some length.
Where the chunks lie depends on the signal alone and not on the blocks in which it comes, so a stream and a whole song
give the same samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sepkit.arrays import Samples


@dataclass(frozen=True, slots=True)
class Chunking:
    """Chunk length and overlap in samples, 0 <= overlap <= chunk / 2: never more than two chunks meet."""

    chunk: int
    overlap: int

    @classmethod
    def of(cls, seconds: float, overlap: float, sample_rate: int) -> Chunking:
        """Return the chunking for a length in seconds and an overlap as a share of it."""
        chunk = max(2, round(seconds * sample_rate))
        return cls(chunk, min(chunk // 2, int(chunk * overlap)))

    @property
    def hop(self) -> int:
        """Samples from the start of a chunk to the start of the next."""
        return self.chunk - self.overlap

    @property
    def shortest(self) -> int:
        """Samples that a chunk has at least."""
        return -(-self.chunk // 4)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk [..., time] of which `length` samples are signal; the last one may be shorter, and end with zeros."""

    samples: Samples
    length: int
    last: bool


class Fifo:
    """A queue of blocks [..., time]: put in at any length, taken out at any other; `len` is the time that waits."""

    def __init__(self) -> None:
        self._blocks: deque[Samples] = deque()
        self._empty: Samples | None = None
        self._time = 0

    def __len__(self) -> int:
        return self._time

    @property
    def touched(self) -> bool:
        """True once a block was put in, even one without samples."""
        return self._empty is not None

    def put(self, block: Samples) -> None:
        """Add `block` [..., time] at the end."""
        self._empty = block[..., :0]
        self._blocks.append(block)
        self._time += block.shape[-1]

    def take(self, time: int) -> Samples:
        """Remove and return the first `time` samples, fewer if fewer wait; they may be a view of the block.

        Some block must have been put in.
        """
        assert self._empty is not None
        time = min(time, self._time)
        self._time -= time
        taken = [self._empty]
        while time:
            block = self._blocks.popleft()
            taken.append(block[..., :time])
            if block.shape[-1] > time:
                self._blocks.appendleft(block[..., time:])
            time -= taken[-1].shape[-1]
        return taken[-1] if len(taken) <= 2 else np.concatenate(taken, -1)  # a part of one block needs no copy


def cut(blocks: Iterable[Samples], chunking: Chunking) -> Iterator[Chunk]:
    """Yield the chunks of a signal that comes in blocks [..., any], each as soon as the next one is sure.

    No block at all is no signal, and gives no chunk.
    """
    waiting = Fifo()
    before: Samples | None = None  # the end of the previous chunk, which the next one begins with
    for block in blocks:
        waiting.put(block)
        while len(waiting) > (needed := chunking.chunk if before is None else chunking.hop):
            chunk = _after(before, waiting.take(needed))
            before = chunk[..., chunking.hop :]
            yield Chunk(chunk, chunking.chunk, last=False)
    if waiting.touched:
        chunk = _after(before, waiting.take(len(waiting)))
        length = chunk.shape[-1]
        missing = max(0, chunking.shortest - length)
        yield Chunk(_after(chunk, np.zeros((*chunk.shape[:-1], missing), np.float32)), length, last=True)


def cross_fade(estimates: Iterable[tuple[Chunk, Samples]], chunking: Chunking) -> Iterator[Samples]:
    """Yield the signal [..., any] that estimates of consecutive chunks, as long as these, make together."""
    before: Samples | None = None
    for chunk, estimate in estimates:
        seam = chunking.overlap if before is not None else 0
        if before is not None and seam:
            fade = (np.arange(seam, dtype=np.float32) + np.float32(0.5)) / np.float32(seam)
            yield estimate[..., :seam] * fade + before * (1 - fade)
        before = estimate[..., chunking.hop :]
        yield estimate[..., seam : chunk.length if chunk.last else chunking.hop]


def overlap_add(process: Callable[[Samples], Samples], mixture: Samples, chunking: Chunking) -> Samples:
    """Apply `process`, [channel, any] -> [source, channel, any], to all of `mixture` [channel, time].

    Returns [source, channel, time].
    """
    estimates = ((chunk, process(chunk.samples)) for chunk in cut([mixture], chunking))
    return np.concatenate(list(cross_fade(estimates, chunking)), -1)


def _after(before: Samples | None, new: Samples) -> Samples:
    if before is None or not before.size:
        return new
    return np.concatenate([before, new], -1) if new.size else before
