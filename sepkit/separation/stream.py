"""A signal of any length through an engine, block by block: memory does not grow, and samples do not depend on blocks.

blocks [channel, any] -> resampled -> chunks -> engine -> cross-fade -> resampled back -> [source, channel, any]
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, groupby, islice
from typing import TypeVar

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.resample import resampled
from sepkit.separation.engine.engine import Engine
from sepkit.separation.overlap_add import Chunk, Fifo, cross_fade, cut

log = logging.getLogger(__name__)

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")

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
    """Return estimates with zeros for samples that are not finite: networks may overflow far beyond full scale."""
    with np.errstate(all="ignore"):
        total = estimates.sum()
    if np.isfinite(total) or np.isfinite(estimates).all():  # the first is quicker, and surer than needed
        return estimates
    log.warning("the network gave samples that are not finite (NaN or infinity); they are taken as silence")
    return np.nan_to_num(estimates, nan=0.0, posinf=0.0, neginf=0.0)


def _kept(blocks: Iterable[Samples], fifo: Fifo) -> Iterator[Samples]:
    """Yield blocks, and keep them in `fifo` until their estimates come."""
    for block in blocks:
        fifo.put(block)
        yield block


def in_order(function: Callable[[_Item], _Done], items: Iterable[_Item], threads: int) -> Iterator[tuple[_Item, _Done]]:
    """Yield (item, function(item)) of each item, in their order, computed in threads.

    At most one item more than there are threads has begun or waits; meanwhile the caller pulls the next items and uses
    the results. An error of the function or of the items ends everything.
    """
    pool = ThreadPoolExecutor(threads)
    running: deque[tuple[_Item, Future[_Done]]] = deque()
    try:
        for item in items:
            running.append((item, pool.submit(function, item)))
            while running and (len(running) > threads or running[0][1].done()):
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
