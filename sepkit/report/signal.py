"""What a report reads sound from: an array, or a file of any length that is never in memory as a whole.

A signal itself is cheap to send to another process where its samples lie in a file: only `reader` opens anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.untrusted.decoder import Decoder

if TYPE_CHECKING:
    Read = Callable[[int, int], Samples]


class Signal(Protocol):
    """Sound at `sample_rate` Hz with `channels` channels of `frames` samples."""

    @property
    def sample_rate(self) -> int:
        """Hz"""

    @property
    def channels(self) -> int:
        """How many."""

    @property
    def frames(self) -> int:
        """Samples of each channel."""

    def reader(self) -> AbstractContextManager[Read]:
        """Open it, and yield (start, frames) -> [channel, frames], with zeros beyond its end."""


@dataclass(frozen=True, slots=True, eq=False)
class ArraySignal:
    """A signal that is in memory, [channel, time]."""

    samples: Samples
    sample_rate: int

    @property
    def channels(self) -> int:
        """How many."""
        return int(self.samples.shape[0])

    @property
    def frames(self) -> int:
        """Samples of each channel."""
        return int(self.samples.shape[1])

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """See `Signal`."""
        yield lambda start, frames: _padded(self.samples[:, start : start + frames], frames)


@dataclass(frozen=True, slots=True)
class FileSignal:
    """A signal in an audio file, decoded by a process of its own. `FileSignal.of(path, decoder)` asks the file for the
    rest.

    It may be a part of the file, from frame `start` on, times a `gain`.
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int
    start: int = 0
    gain: float = 1.0

    @classmethod
    def of(cls, path: Path, decoder: Decoder) -> FileSignal:
        """Return the signal in `path`.

        Raises:
            AudioError: it is not there, or cannot be read.
        """
        info = decoder.header(path)
        return cls(path, info.sample_rate, info.channels, info.frames)

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """See `Signal`. Reads that follow each other from the start on decode the file once; any other seeks.

        Raises:
            AudioError: while reading, the file turns out to be damaged.
        """
        with Decoder() as decoder:
            yield _Cursor(self, decoder).read


class _Cursor:
    """A place in a file that is being decoded."""

    def __init__(self, signal: FileSignal, decoder: Decoder) -> None:
        self._signal = signal
        self._decoder = decoder
        self._gain = np.float32(signal.gain)
        self._at, self._left = -1, 0
        self._blocks: Iterator[Samples] = iter(())
        self._held = np.empty((signal.channels, 0), np.float32)

    def read(self, start: int, frames: int) -> Samples:
        if start >= self._signal.frames:
            return np.zeros((self._signal.channels, frames), np.float32)
        if start != self._at:
            # Reads from 0 on follow each other; elsewhere one is a part.
            self._left = min(frames, self._signal.frames - start) if start else self._signal.frames
            self._blocks = self._decoder.blocks(self._signal.path, self._signal.start + start, self._left)
            self._held = self._held[:, :0]
        parts, count = [self._held], self._held.shape[1]
        while count < frames and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            count += block.shape[1]
            self._left -= block.shape[1]
        if not self._left:
            next(self._blocks, None)  # the end of the reply: the decoder need not be killed for the next read
        samples = np.concatenate(parts, axis=1)
        reads_on = start in (0, self._at)
        self._at, self._held = start + frames if reads_on else -1, samples[:, frames:].copy()
        return _padded(samples[:, : min(frames, self._signal.frames - start)] * self._gain, frames)


def _padded(samples: Samples, frames: int) -> Samples:
    return np.pad(samples, ((0, 0), (0, frames - samples.shape[1])))
