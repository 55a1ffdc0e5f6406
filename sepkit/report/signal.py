"""Audio for a report: an array, or a file of any length that is never in memory as a whole.

A signal in a file is cheap to send to another process: only `reader` opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.untrusted.decoder import Decoder

Read: TypeAlias = Callable[[int, int], Samples]
"""(start, length in samples) -> [channel, time], with zeros beyond the end."""


@dataclass(frozen=True, slots=True, eq=False)
class ArraySignal:
    """Samples in memory, [channel, time], at a rate in Hz."""

    samples: Samples
    sample_rate: int

    @property
    def channels(self) -> int:
        """The number of channels."""
        return len(self.samples)

    @property
    def frames(self) -> int:
        """The length in samples."""
        return int(self.samples.shape[1])

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield the function that reads it."""
        yield lambda start, frames: _padded(self.samples[:, start : start + frames], frames)


@dataclass(frozen=True, slots=True)
class FileSignal:
    """Samples in an audio file, decoded by a child process: `frames` of them from `start` on, times a `gain`."""

    path: Path
    sample_rate: int
    channels: int
    frames: int
    start: int = 0
    gain: float = 1.0

    @classmethod
    def of(cls, path: Path, decoder: Decoder) -> FileSignal:
        """Return the whole of a file.

        Raises:
            AudioError: it is missing, or cannot be read.
        """
        info = decoder.header(path)
        return cls(path, info.sample_rate, info.channels, info.frames)

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield the function that reads it. Consecutive reads from 0 on decode the file once; any other read seeks.

        Raises:
            AudioError: while reading, the file turns out to be damaged.
        """
        with Decoder() as decoder:
            yield _Cursor(self, decoder).read


class _Cursor:
    """A position in a file that is being decoded."""

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


Signal: TypeAlias = ArraySignal | FileSignal


def _padded(samples: Samples, frames: int) -> Samples:
    return np.pad(samples, ((0, 0), (0, frames - samples.shape[1])))
