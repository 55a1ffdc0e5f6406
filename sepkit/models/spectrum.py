"""The short-time Fourier transform of `stft` in numpy: the same frames, and the same numbers but for rounding.

Frames come before bins. Some frames at a time pass all steps from signal to signal, so that they stay in the cache of
a core, and no spectrum is in memory as a whole. D. Griffin, J. Lim, "Signal estimation from modified short-time Fourier
transform", IEEE TASSP 1984.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from sepkit.arrays import Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Spectra = np.ndarray[Any, np.dtype[np.complex64]]

# Samples of the frames that are transformed together.
_AT_ONCE = 2**16


class Transform:
    """Centred frames of `n_fft` samples every `hop_length` samples in a Hann window, with zeros around the signal."""

    def __init__(self, n_fft: int, hop_length: int) -> None:
        self.n_fft, self.hop_length = n_fft, hop_length
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)

    def frame_count(self, time: int) -> int:
        """Return the number of frames of a signal of `time` samples."""
        return 1 + (time + self.n_fft // 2 * 2 - self.n_fft) // self.hop_length

    def spectra(self, signal: Samples) -> Iterator[tuple[slice, Spectra]]:
        """Yield consecutive frames of a signal [..., time], and their spectra [..., frame, n_fft / 2 + 1]."""
        padded = np.pad(signal, [*[(0, 0)] * (signal.ndim - 1), (self.n_fft // 2,) * 2])
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft, -1)[..., :: self.hop_length, :]
        step = max(1, _AT_ONCE * signal.shape[-1] // (self.n_fft * max(1, signal.size)))
        # With its default norm numpy computes in double precision. This one divides, and so the window multiplies.
        window = self._window * np.float32(self.n_fft)
        for first in range(0, frames.shape[-2], step):
            part = slice(first, min(first + step, frames.shape[-2]))
            spectra = np.fft.rfft(frames[..., part, :] * window, norm="forward")
            yield part, spectra.astype(np.complex64, copy=False)

    def filtered(self, signal: Samples, change: Callable[[slice, Spectra], Spectra]) -> Samples:
        """Return the signal [..., time] whose frames come closest to changed ones.

        `change` gets frames and spectra as from `spectra`; its result may have other dimensions before the frames.
        """
        total = Overlapping(self, signal.shape[-1])
        for part, spectra in self.spectra(signal):
            total.add(part, change(part, spectra))
        return total.signal()

    def synthesised(self, spectra: Spectra) -> Samples:
        """[..., frame, bin] -> windowed frames [..., frame, sample]"""
        frames: Samples = np.fft.irfft(spectra, self.n_fft).astype(np.float32, copy=False)
        frames *= self._window
        return frames

    def weight(self, time: int) -> NDArray[np.float32]:
        """Return the sum of all squared windows, as rows of one hop each, for a signal of `time` samples."""
        count = self.frame_count(time)
        squares = np.zeros((-(-self.n_fft // self.hop_length), self.hop_length), np.float32)
        squares.reshape(-1)[: self.n_fft] = self._window**2
        weight = np.zeros((count + len(squares) - 1, self.hop_length), np.float32)
        for row, square in enumerate(squares):
            weight[row : row + count] += square
        return weight.clip(min=1e-8)


class Overlapping:
    """A signal that grows from spectra of its frames. It is rows of one hop each, so row r of each frame is added at
    once.
    """

    def __init__(self, transform: Transform, time: int) -> None:
        """`time` is the length of the signal in samples."""
        self._transform, self._time = transform, time
        self._weight = transform.weight(time)
        self._rows: Samples | None = None

    def add(self, part: slice, spectra: Spectra) -> None:
        """Add spectra [..., frame, bin] of some frames."""
        frames = self._transform.synthesised(spectra)
        if self._rows is None:
            self._rows = np.zeros((*frames.shape[:-2], *self._weight.shape), np.float32)
        hop = self._transform.hop_length
        for row, start in enumerate(range(0, frames.shape[-1], hop)):
            piece = frames[..., start : start + hop]
            self._rows[..., part.start + row : part.stop + row, : piece.shape[-1]] += piece

    def signal(self) -> Samples:
        """Return the signal [..., time] of all frames."""
        assert self._rows is not None, "each signal has a frame"
        self._rows /= self._weight
        around = self._transform.n_fft // 2
        return self._rows.reshape(*self._rows.shape[:-2], -1)[..., around : around + self._time]
