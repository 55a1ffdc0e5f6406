"""The power of a signal over time and frequency, gathered block by block into a picture of fixed size.

Rows are bands, even on the mel scale (O'Shaughnessy, "Speech communication", 1987: 2595 log10(1 + f / 700)); columns
are means over equal parts of the time.
"""

from __future__ import annotations

from math import log10

import numpy as np

from sepkit.arrays import Doubles, Samples

BANDS = 96
# Seconds of a window, and Hz of the lowest and the highest row.
WINDOW = 0.046
LOWEST, HIGHEST = 30.0, 20_000.0


class Spectrogram:
    """The power of `frames` frames at `sample_rate` Hz, in up to `columns` columns."""

    def __init__(self, sample_rate: int, frames: int, columns: int) -> None:
        self._size = max(32, 2 ** round(np.log2(WINDOW * sample_rate)))
        self._hop = int(np.clip(frames // columns, self._size // 8, self._size // 2))
        self._windows = 1 + max(0, frames - 1) // self._hop
        self._done = 0
        self._window = np.hanning(self._size + 1)[:-1].astype(np.float32)
        self._bands = _bands(sample_rate, self._size)
        self._sums = np.zeros((min(columns, self._windows), BANDS))
        self._counts = np.zeros((len(self._sums), 1))
        self._pending: Samples | None = None

    def add(self, samples: Samples) -> None:
        """Go on with [channel, time]."""
        if self._pending is None:
            self._pending = np.zeros((len(samples), self._size // 2), np.float32)
        held = np.concatenate([self._pending, samples], axis=1)
        count = 1 + (held.shape[1] - self._size) // self._hop
        if count > 0:
            self._measure(held, count)
        self._pending = held[:, max(0, count) * self._hop :]

    def power(self) -> Doubles:
        """Return [band, column], the lowest band first: means over bins, in which a sine at full scale has 1.

        Nothing can be added after that.
        """
        if self._done < self._windows and self._pending is not None:
            left = (self._windows - self._done - 1) * self._hop + self._size
            self._measure(np.pad(self._pending, ((0, 0), (0, max(0, left - self._pending.shape[1])))), 0)
        return (self._sums / np.maximum(1, self._counts)).T

    def _measure(self, samples: Samples, count: int) -> None:
        count = min(count or self._windows, self._windows - self._done)
        windows = np.lib.stride_tricks.sliding_window_view(samples, self._size, axis=1)[:, :: self._hop][:, :count]
        spectra = np.fft.rfft(windows * self._window)
        power = (spectra.real**2 + spectra.imag**2).mean(0) * (2 / self._window.sum()) ** 2
        columns = np.arange(self._done, self._done + count) * len(self._sums) // self._windows
        np.add.at(self._sums, columns, power @ self._bands)
        np.add.at(self._counts, columns, 1)
        self._done += count


def ticks(sample_rate: int) -> list[tuple[str, float]]:
    """Return labels of the frequency axis, and how far up each stands: 0 at the bottom, 1 at the top."""
    low, high = _mel(LOWEST), _mel(_highest(sample_rate))
    places = [(hertz, (_mel(hertz) - low) / (high - low)) for hertz in (100, 500, 1000, 2000, 4000, 8000, 16000)]
    return [(f"{hertz // 1000}k" if hertz >= 1000 else f"{hertz}", round(at, 4)) for hertz, at in places if at < 0.97]


def _bands(sample_rate: int, size: int) -> Samples:
    """Return [bin, band], triangles at least a bin wide, so that none falls between two bins; each sums to 1."""
    mels = np.linspace(_mel(LOWEST), _mel(_highest(sample_rate)), BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = np.arange(size // 2 + 1) * sample_rate / size
    width = np.maximum((edges[2:] - edges[:-2]) / 2, sample_rate / size)
    weights = np.maximum(0, 1 - np.abs(bins[:, None] - edges[1:-1]) / width)
    bands: Samples = (weights / weights.sum(0)).astype(np.float32)
    return bands


def _mel(hertz: float) -> float:
    return 2595 * log10(1 + hertz / 700)


def _highest(sample_rate: int) -> float:
    return min(HIGHEST, sample_rate / 2)
