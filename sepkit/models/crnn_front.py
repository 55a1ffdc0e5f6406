"""The CRNN without its mask network, in numpy. `crnn_network` gives the same numbers, and explains the shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sepkit.arrays import Samples
from sepkit.models.spectrum import Transform

if TYPE_CHECKING:
    from sepkit.models.spectrum import Spectra


class CRNNFront:
    """Mixture [B, C, time] -> estimates [B, S, C, time], with a mask network [B, 1, F, T] -> [B, S, F, T]."""

    def __init__(self, n_fft: int, hop_length: int, bins: int, extension_bins: int) -> None:
        """`bins` are those of the mask network, and `extension_bins` the highest ones, which decide the mask above."""
        self._transform = Transform(n_fft, hop_length)
        self._bins = bins
        self._extension_bins = extension_bins

    def __call__(self, mixture: Samples, mask_network: Callable[[Samples], Samples]) -> Samples:
        """Separate a mixture of any length."""
        masks = mask_network(np.stack([self._magnitude(example.mean(0)) for example in mixture])[:, None])
        return np.stack([self._masked(example, mask) for example, mask in zip(mixture, masks, strict=True)])

    def _magnitude(self, mid: Samples) -> Samples:
        """[time] -> [F, T], scaled so that a full-scale sine is 1 at its bin."""
        magnitude = np.zeros((self._bins, self._transform.frame_count(len(mid))), np.float32)
        scale = np.float32(4 / self._transform.n_fft)
        for part, spectra in self._transform.spectra(mid):
            band = spectra[:, : self._bins]
            magnitude[: band.shape[1], part] = (np.sqrt(band.real**2 + band.imag**2) * scale).T
        return magnitude

    def _masked(self, mixture: Samples, mask: Samples) -> Samples:
        """[C, time], [S, F, T] -> [S, C, time]; above the mask, its top continues as a share of energy."""
        top = _as_share_of_energy(mask[:, -self._extension_bins :].mean(1))[:, None, :, None]

        def change(part: slice, spectra: Spectra) -> Spectra:
            masked = np.empty((len(mask), *spectra.shape), np.complex64)
            low = min(self._bins, spectra.shape[-1])
            shares = np.ascontiguousarray(mask[:, None, :low, part].swapaxes(2, 3))
            np.multiply(spectra[..., :low], shares, out=masked[..., :low])
            np.multiply(spectra[..., low:], top[:, :, part], out=masked[..., low:])
            return masked

        return self._transform.filtered(mixture, change)


def _as_share_of_energy(mask: Samples) -> Samples:
    """See `crnn_network`."""
    energy = mask**2
    share: Samples = energy / (energy + (1 - mask) ** 2)
    return share
