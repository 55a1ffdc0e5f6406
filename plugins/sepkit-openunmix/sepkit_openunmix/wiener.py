"""The multichannel Wiener filter of Open-Unmix in numpy.

Each source j is locally Gaussian: at frame t and bin f its channels have the covariance v_j(t, f) R_j(f), a loudness
times a place in space. From estimates y_j both are measured, v_j as the mean of |y_j|^2 over channels, R_j as the sum
of y_j y_j^H over frames by that of v_j. Then, for the mixture x, C = sum_j v_j R_j + s I gives y_j = v_j R_j C^-1 x.
A. Nugraha, A. Liutkus, E. Vincent, "Multichannel music separation with deep neural networks", EUSIPCO 2016.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sepkit.models.spectrum import Spectra

# Frames that the filter looks at together: the place of a source in space is one within them.
WIENER_FRAMES = 300
# Bins that are filtered together, as no bin depends on another: they stay in the cache of a core.
_BINS = 64
# The energy below which a source has no place, and the one of the noise s, relative to a spectrum of at most 10.
_LEAST, _NOISE, _HIGHEST = np.float32(1e-10), np.float32(1e-5), np.float32(10)


def filtered(estimates: Spectra, mixture: Spectra, iterations: int) -> Spectra:
    """Return filtered estimates [S, C, T, F], given those and their mixture [C, T, F].

    A single source is filtered beside the residual.
    """
    scale = max(np.float32(1), np.sqrt(np.square(np.abs(mixture)).max()) / _HIGHEST)
    result = np.empty_like(estimates)
    for first in range(0, mixture.shape[-1], _BINS):
        part = slice(first, first + _BINS)
        x, y = mixture[..., part] / scale, estimates[..., part] / scale
        if len(y) == 1:
            y = np.concatenate([y, x[None] - y])
        for _ in range(iterations):
            y = _once(y, x)
        result[..., part] = y[: len(estimates)] * scale
    return result


def _once(y: Spectra, x: Spectra) -> Spectra:
    loudness = (np.square(y.real) + np.square(y.imag)).mean(1)  # [S, T, F]
    space = np.einsum("sctf,sdtf->scdf", y, y.conj()) / (_LEAST + loudness.sum(1))[:, None, None]
    mixed = np.einsum("stf,scdf->tfcd", loudness, space) + _NOISE * np.eye(len(x), dtype=np.float32)
    whitened = np.linalg.solve(mixed, x.transpose(1, 2, 0)[..., None])[..., 0]  # [T, F, C]
    separated: Spectra = loudness[:, None] * np.einsum("scdf,tfd->sctf", space, whitened)
    return separated
