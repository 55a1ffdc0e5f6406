"""A signal of any length through an engine, block by block: memory does not grow, and samples do not depend on blocks.

blocks [channel, any] -> resampled -> chunks -> engine -> cross-fade -> resampled back -> [source, channel, any]
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain, groupby, islice

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.resample import resampled
from sepkit.separation.engine.engine import Engine
from sepkit.separation.fifo import Fifo
from sepkit.separation.in_order import in_order
from sepkit.separation.overlap_add import Chunk, cross_fade, cut

log = logging.getLogger(__name__)

Recipe = int | slice
"""A stem: the source of this number, or the mixture minus the sources of a slice."""


def separated(
    engine: Engine, blocks: Iterable[Samples], sample_rate: int, stems: Sequence[Recipe]
) -> Generator[Samples, None, None]:
    """Yield stems [stem, channel, any] of blocks [channel, any], as soon as they are known."""
    mixture = Fifo()
    for estimates in _at_its_rate(engine, _kept(blocks, mixture), sample_rate):
        piece = mixture.take(estimates.shape[-1])
        sources = estimates[..., : piece.shape[-1]]
        with np.errstate(all="ignore"):  # as in engines
            yield np.stack([sources[s] if isinstance(s, int) else piece - sources[s].sum(0) for s in stems])


def _at_its_rate(engine: Engine, blocks: Iterator[Samples], sample_rate: int) -> Iterator[Samples]:
    """Yield estimates [source, channel, any] at the rate of the blocks."""
    first = next(blocks, None)
    if first is None:
        return
    channels, low = len(first), resampled(chain([first], blocks), sample_rate, engine.sample_rate)
    flat = (e.reshape(len(e) * channels, e.shape[-1]) for e in _estimates(engine, low, channels))
    for block in resampled(flat, engine.sample_rate, sample_rate):
        yield block.reshape(len(block) // channels, channels, block.shape[-1])


def _estimates(engine: Engine, blocks: Iterable[Samples], channels: int) -> Iterator[Samples]:
    """Yield the estimates [source, channel, any] of blocks [channel, any] at the engine's rate."""
    with engine.computing():
        batches = _batches(cut(blocks, engine.chunking), engine.batch(channels))
        done = in_order(lambda chunks: engine(np.stack([c.samples for c in chunks])), batches, engine.threads)
        yield from cross_fade(_single(done), engine.chunking)


def _batches(chunks: Iterator[Chunk], size: int) -> Iterator[tuple[Chunk, ...]]:
    """Yield up to `size` chunks of one length at a time: the last one may be shorter."""
    while some := tuple(islice(chunks, size)):
        for _, equal in groupby(some, lambda chunk: chunk.samples.shape[-1]):
            yield tuple(equal)


def _single(batches: Iterable[tuple[tuple[Chunk, ...], Samples]]) -> Iterator[tuple[Chunk, Samples]]:
    for chunks, estimates in batches:
        yield from zip(chunks, _finite(estimates), strict=True)


def _finite(estimates: Samples) -> Samples:
    """A network may overflow where a song is far beyond full scale; what it cannot tell goes to the residual."""
    with np.errstate(all="ignore"):
        total = estimates.sum()
    if np.isfinite(total) or np.isfinite(estimates).all():  # the first is quicker, and surer than needed
        return estimates
    log.warning("the network gave samples that are not finite (NaN or infinity); they are taken as silence")
    return np.nan_to_num(estimates, nan=0.0, posinf=0.0, neginf=0.0)


def _kept(blocks: Iterable[Samples], fifo: Fifo) -> Iterator[Samples]:
    """Pass blocks on, and keep them until the estimates that belong to them have come."""
    for block in blocks:
        fifo.put(block)
        yield block
