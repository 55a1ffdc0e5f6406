"""The short-time Fourier transform of `stft` in numpy: the same frames, and the same numbers but for rounding.

Frames come before bins. Some frames at a time pass all steps from signal to signal, so that they stay in the cache of
a core, and no spectrum is in memory as a whole. D. Griffin, J. Lim, "Signal estimation from modified short-time Fourier
transform", IEEE TASSP 1984.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sepkit.component import Samples

    Spectra = np.ndarray[Any, np.dtype[np.complex64]]

# Samples of the frames that pass together.
_AT_ONCE = 2**16


class Transform:
    """Centred frames of `n_fft` samples every `hop_length` samples in a Hann window, with zeros around the signal."""

    def __init__(self, n_fft: int, hop_length: int) -> None:
        self.n_fft, self.hop_length = n_fft, hop_length
        self.window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)

    def frame_count(self, time: int) -> int:
        """Return how many frames a signal of so many samples has."""
        return 1 + (time + 2 * (self.n_fft // 2) - self.n_fft) // self.hop_length

    def spectra(self, signal: Samples) -> Iterator[tuple[slice, Spectra]]:
        """Yield consecutive frames of a signal [..., time], and their spectra [..., frame, n_fft / 2 + 1]."""
        around = [(0, 0)] * (signal.ndim - 1) + [(self.n_fft // 2,) * 2]
        padded = np.pad(signal, around)
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft, -1)[..., :: self.hop_length, :]
        step = max(1, _AT_ONCE // self.n_fft)
        for first in range(0, frames.shape[-2], step):
            part = slice(first, min(first + step, frames.shape[-2]))
            yield part, fft.rfft(frames[..., part, :] * self.window, overwrite_x=True)

    def filtered(self, signal: Samples, change: Callable[[slice, Spectra], Spectra]) -> Samples:
        """Return the signal [..., time] whose frames come closest to changed ones.

        `change` gets frames and spectra as from `spectra`; what it returns may have other dimensions before the frames.
        """
        total = None
        for part, spectra in self.spectra(signal):
            total = self.add(total, part, change(part, spectra), signal.shape[-1])
        assert total is not None, "each signal has a frame"
        return self.signal(total, signal.shape[-1])

    def add(self, total: Samples | None, part: slice, spectra: Spectra, time: int) -> Samples:
        """Add the inverse of spectra [..., frame, bin] to what earlier ones have made together (at first None).

        That is the signal as rows of one hop each, so that row r of each frame is added at once.
        """
        frames = fft.irfft(spectra, self.n_fft, overwrite_x=True)
        frames *= self.window
        if total is None:
            total = np.zeros((*frames.shape[:-2], self._rows(time), self.hop_length), np.float32)
        count = part.stop - part.start
        for row, start in enumerate(range(0, self.n_fft, self.hop_length)):
            piece = frames[..., start : start + self.hop_length]
            total[..., part.start + row : part.start + row + count, : piece.shape[-1]] += piece
        return total

    def signal(self, total: Samples, time: int) -> Samples:
        """Return the signal [..., time] of what `add` has made."""
        kept = slice(self.n_fft // 2, self.n_fft // 2 + time)
        signal: Samples = total.reshape(*total.shape[:-2], -1)[..., kept]
        signal /= self._weight(time).reshape(-1)[kept]
        return signal

    def _rows(self, time: int) -> int:
        return self.frame_count(time) + -(-self.n_fft // self.hop_length) - 1

    def _weight(self, time: int) -> NDArray[np.float32]:
        """Return the sum of all squared windows, as rows of one hop each."""
        squares = np.zeros((-(-self.n_fft // self.hop_length), self.hop_length), np.float32)
        squares.reshape(-1)[: self.n_fft] = self.window**2
        weight = np.zeros((self._rows(time), self.hop_length), np.float32)
        for row, square in enumerate(squares):
            weight[row : row + self.frame_count(time)] += square
        return weight.clip(min=1e-8)
