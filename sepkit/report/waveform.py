"""The outline of a signal, gathered block by block: its peak and its level in each of equal parts of the time."""

from __future__ import annotations

import numpy as np

from sepkit.arrays import Doubles, Samples


class Waveform:
    """The outline of `frames` frames in up to `columns` columns, over all channels.

    Attributes:
        peaks: [column], the largest absolute value.
    """

    def __init__(self, frames: int, columns: int) -> None:
        count = max(1, min(columns, frames))
        self._edges = np.arange(count + 1) * frames // count
        self._done = 0
        self.peaks: Doubles = np.zeros(count)
        self._energy: Doubles = np.zeros(count)

    def add(self, samples: Samples) -> None:
        """Go on with [channel, time], at least one frame."""
        start, stop = self._done, self._done + samples.shape[1]
        first = int(np.searchsorted(self._edges, start, "right")) - 1
        last = int(np.searchsorted(self._edges, stop, "left"))
        begins = np.maximum(self._edges[first:last] - start, 0)
        peaks = np.maximum.reduceat(np.abs(samples).max(0), begins)
        self.peaks[first:last] = np.maximum(self.peaks[first:last], peaks)
        self._energy[first:last] += np.add.reduceat(np.square(samples, dtype=np.float64).mean(0), begins)
        self._done = stop

    @property
    def levels(self) -> Doubles:
        """[column], the root of the mean square."""
        levels: Doubles = np.sqrt(self._energy / np.maximum(1, np.diff(self._edges)))
        return levels
