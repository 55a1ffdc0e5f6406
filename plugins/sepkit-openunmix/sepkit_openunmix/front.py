"""All of Open-Unmix but its mask network, in numpy. `network` gives the same numbers, and explains the shapes.

Here frames come before bins: spectra are [C, T, F].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sepkit.arrays import Samples
from sepkit.models.spectrum import Overlapping, Transform
from sepkit_openunmix.wiener import WIENER_FRAMES, filtered


class OpenUnmixFront:
    """Mixture [B, C, time] -> estimates [B, S, C, time], with a mask network [B, C, F, T] -> [B, S, C, F, T]."""

    def __init__(
        self, n_fft: int, hop_length: int, bins: int, channels: int, extension_bins: int, loudness: float, niter: int
    ) -> None:
        """`bins` and `channels` are those of the mask network; `loudness` is the factor of its input magnitudes."""
        self._transform = Transform(n_fft, hop_length)
        self._bins, self._channels = bins, channels
        self._extension_bins = extension_bins
        self._loudness = np.float32(loudness)
        self._niter = niter

    def __call__(self, mixture: Samples, mask_network: Callable[[Samples], Samples]) -> Samples:
        """Separate a mixture of any length."""
        return np.stack([self._separate(example, mask_network) for example in mixture])

    def _separate(self, mixture: Samples, mask_network: Callable[[Samples], Samples]) -> Samples:
        """[C, time] -> [S, C, time]"""
        time = mixture.shape[-1]
        filled = np.pad(mixture, ((0, 0), (0, -time % self._transform.hop_length)))
        spectra = np.concatenate([part for _, part in self._transform.spectra(filled)], -2)
        masks = mask_network(self._heard(np.abs(spectra))[None])[0].swapaxes(-1, -2)  # [S, C, T, F]
        total = Overlapping(self._transform, filled.shape[-1])
        step = WIENER_FRAMES if self._niter else 32
        for first in range(0, spectra.shape[1], step):
            some = spectra[:, first : first + step]
            part = slice(first, first + some.shape[1])
            estimates = self._at_all_bins(masks[:, :, part], some.shape[2]) * some
            if self._niter:
                estimates = filtered(estimates, some, self._niter)
            total.add(part, estimates)
        return total.signal()[..., :time]

    def _heard(self, magnitude: Samples) -> Samples:
        """[C, T, n_fft / 2 + 1] -> [C or 1, F, T] of the mask network"""
        if self._channels == 1:
            magnitude = magnitude.mean(0, keepdims=True)
        inputs = np.zeros((len(magnitude), self._bins, magnitude.shape[1]), np.float32)
        low = min(self._bins, magnitude.shape[2])
        np.multiply(magnitude[:, :, :low].swapaxes(1, 2), self._loudness, out=inputs[:, :low])
        return inputs

    def _at_all_bins(self, masks: Samples, bins: int) -> Samples:
        """[S, C or 1, T, F] -> the same of any number of bins"""
        if bins <= self._bins:
            return masks[..., :bins]
        top = masks[..., -self._extension_bins :].mean(-1, keepdims=True)
        return np.concatenate([masks, np.broadcast_to(top, (*masks.shape[:3], bins - self._bins))], -1)
