"""All of Spleeter but its mask networks, in numpy. `network` gives the same numbers, and explains the shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sepkit.arrays import Samples
from sepkit.models.spectrum import Transform

if TYPE_CHECKING:
    from sepkit.models.spectrum import Spectra


class SpleeterFront:
    """Mixture [B, C, time] -> estimates [B, S, C, time], with a mask network [B, C, F, T] -> [B, S, C, F, T]."""

    def __init__(
        self, n_fft: int, hop_length: int, bins: int, channels: int, extension_bins: int, loudness: float
    ) -> None:
        """`bins` and `channels` are those of the mask network, `extension_bins` the highest bins, which the masks above
        follow (0: they are zero), and `loudness` is the factor of its input magnitudes.
        """
        self._transform = Transform(n_fft, hop_length)
        self._bins, self._channels = bins, channels
        self._extension_bins = extension_bins
        self._loudness = np.float32(loudness)

    def __call__(self, mixture: Samples, mask_network: Callable[[Samples], Samples]) -> Samples:
        """Separate a mixture of any length."""
        masks = self._channel_masks(np.stack([self._magnitude(example) for example in mixture]), mask_network)
        return np.stack([self._masked(example, mask) for example, mask in zip(mixture, masks, strict=True)])

    def _channel_masks(self, magnitude: Samples, mask_network: Callable[[Samples], Samples]) -> Samples:
        """[B, any number of channels, F, T] -> [B, S, channel, F, T]"""
        batch, channels = magnitude.shape[:2]
        if channels == self._channels:
            return mask_network(magnitude)
        alone = magnitude.reshape(batch * channels, 1, *magnitude.shape[2:]).repeat(self._channels, 1)
        masks: Samples = mask_network(alone).mean(2)
        return masks.reshape(batch, channels, *masks.shape[1:]).swapaxes(1, 2)

    def _magnitude(self, mixture: Samples) -> Samples:
        """[C, time] -> [C, F, T]"""
        frames = self._transform.frame_count(mixture.shape[-1])
        magnitude = np.zeros((len(mixture), self._bins, frames), np.float32)
        for part, spectra in self._transform.spectra(mixture):
            inputs = spectra[..., : self._bins]
            levels = np.sqrt(inputs.real**2 + inputs.imag**2) * self._loudness
            magnitude[:, : inputs.shape[-1], part] = levels.swapaxes(1, 2)
        return magnitude

    def _masked(self, mixture: Samples, masks: Samples) -> Samples:
        """[C, time], [S, C, F, T] -> [S, C, time]"""
        top = self._above(masks)

        def change(part: slice, spectra: Spectra) -> Spectra:
            masked = np.empty((len(masks), *spectra.shape), np.complex64)
            low = min(self._bins, spectra.shape[-1])
            shares = np.ascontiguousarray(masks[:, :, :low, part].swapaxes(2, 3))
            np.multiply(spectra[..., :low], shares, out=masked[..., :low])
            np.multiply(spectra[..., low:], top[:, :, part, None], out=masked[..., low:])
            return masked

        return self._transform.filtered(mixture, change)

    def _above(self, masks: Samples) -> Samples:
        """[S, C, F, T] -> the masks above [S, C, T]"""
        if not self._extension_bins:
            return np.zeros((*masks.shape[:2], masks.shape[3]), np.float32)
        return _squared_shares(masks[:, :, -self._extension_bins :].mean(2))


def _squared_shares(shares: Samples) -> Samples:
    """See `network`; [S, ...] -> the same."""
    squares, rest = shares**2, (1 - shares.sum(0)).clip(min=0) ** 2
    squared: Samples = squares / (squares.sum(0) + rest)
    return squared
