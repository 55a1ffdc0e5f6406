"""The base of engines: any channel count, and a retreat if memory is exhausted."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np

from sepkit.arrays import Samples
from sepkit.errors import AudioError
from sepkit.separation.engine.memory import exhausted
from sepkit.separation.overlap_add import Chunking, overlap_add

log = logging.getLogger(__name__)

# More threads of chunks would take more memory than they save time.
MOST_THREADS = 4
# Halvings of a chunk after which memory counts as exhausted: shorter ones would hold too little of the song.
MOST_HALVINGS = 4


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of one pass through a network: inputs together (chunks, or channels of them), and halvings of chunks."""

    batch: int = 1
    halvings: int = 0


class Engine(ABC):
    """Chunks [batch, channel, time] -> estimates [batch, source, channel, time], float32, of any channel count.

    If memory is exhausted, fewer and then shorter chunks pass at once, from then on.

    Attributes:
        sample_rate: Of the chunks, in Hz.
        channels: The number that the network takes.
        chunking: Their length and overlap.
    """

    def __init__(self, sample_rate: int, channels: int, chunking: Chunking) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self.chunking = chunking
        self._extent = Extent()
        self._lock = threading.Lock()

    @property
    @abstractmethod
    def threads(self) -> int:
        """The number of calls to make at the same time."""

    @abstractmethod
    def _run(self, inputs: Samples) -> Samples:
        """[batch, channel, time] of as many channels as the network takes -> [batch, source, channel, time]"""

    def batch(self, channels: int) -> int:
        """Return the number of chunks of `channels` for one call."""
        return self._extent.batch

    def computing(self) -> AbstractContextManager[None]:
        """Return the context in which all calls are made."""
        return nullcontext()

    def __call__(self, chunks: Samples) -> Samples:
        """Return estimates [batch, source, channel, time] of chunks [batch, channel, time], both float32.

        Raises:
            AudioError: memory does not suffice, even for the shortest chunks.
        """
        while True:
            place = self._place()
            try:
                with np.errstate(all="ignore"):  # samples far beyond full scale may overflow, as they do in PyTorch
                    return self._whole_or_halved(chunks, self._extent)
            except Exception as error:
                if not exhausted(error):
                    raise
            with self._lock:
                if place == self._place():  # else another thread has retreated already
                    self._retreat()

    def _place(self) -> object:
        """Return the state that a retreat changes."""
        return self._extent

    def _retreat(self) -> None:
        extent = self._extent
        if extent.batch > 1:
            self._extent = replace(extent, batch=extent.batch // 2)
            log.warning("memory exhausted: going on with %d at once", self._extent.batch)
        elif extent.halvings < MOST_HALVINGS:
            self._extent = replace(extent, halvings=extent.halvings + 1)
            seconds = self.chunking.chunk / self.sample_rate / 2**self._extent.halvings
            log.warning("memory exhausted: going on with chunks of %.2g s", seconds)
        else:
            raise AudioError(
                "memory exhausted, even with the shortest chunks; close other programs, or take a smaller model"
            )

    def _whole_or_halved(self, chunks: Samples, extent: Extent) -> Samples:
        if not extent.halvings:
            return self._any_channels(chunks, extent.batch)
        parts = 2**extent.halvings
        shorter = Chunking(-(-self.chunking.chunk // parts), self.chunking.overlap // parts)
        run = [overlap_add(lambda piece: self._any_channels(piece[None], extent.batch)[0], c, shorter) for c in chunks]
        return np.stack(run)

    def _any_channels(self, chunks: Samples, batch: int) -> Samples:
        """One channel at a time keeps the stereo image of a network that takes fewer or more channels."""
        if chunks.shape[1] == self.channels:
            return self._in_batches(chunks, batch)
        inputs = np.repeat(chunks.reshape(-1, 1, chunks.shape[2]), self.channels, 1)
        estimates = self._in_batches(inputs, batch).mean(2)  # [batch * channel, source, time]
        by_channel: Samples = estimates.reshape(*chunks.shape[:2], *estimates.shape[1:]).swapaxes(1, 2)
        return by_channel

    def _in_batches(self, inputs: Samples, batch: int) -> Samples:
        parts = [self._run(inputs[start : start + batch]) for start in range(0, len(inputs), batch)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
