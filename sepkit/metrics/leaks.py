"""The share of each reference that is in an estimate, by least squares in bands of a short-time Fourier transform.

In a frame and a band, the spectra of an estimate E and of all references R_j are read as vectors over channels,
windows and bins. The gains g minimise |E - sum_j g_j R_j|^2: (R* R) g = R* E. What leaks of source j is
sum_bands |g_j R_j|^2 / sum_bands |R_j|^2.

It is the projection of BSSEval (E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio source
separation", IEEE TASLP 14(4), 2006) with a gain for each band in the place of a filter, and with each source on its
own in the place of their sum.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sepkit.arrays import DoubleSpectra, Samples, Scores
from sepkit.metrics.energies import energies, frames
from sepkit.metrics.silence import SILENT_DB, floored, ratio, song_energy

WINDOW_SECONDS = 0.046
BANDS_PER_OCTAVE = 2
FEWEST_BINS = 4
"""In a band. A gain that few bins decide follows chance."""
FAINT_DB = -30.0
"""Relative to the mixture. In what a source this faint seems to leak, there is more chance than source."""
LEAST_OWN = 0.01
"""A band tells nothing of a source of whose energy there the others explain all but this share."""


def leaks(estimates: Samples, references: Samples, mixture: Samples, sample_rate: int, frame_seconds: float) -> Scores:
    """Return the share of each reference that is in each estimate, [estimate, source, frame] in dB.

    Estimates and references are [source, channel, time], the mixture is [channel, time]. NaN where a reference is
    silent, faint, or cannot be told from the others.
    """
    length = round(frame_seconds * sample_rate)
    size = 2 * max(1, round(WINDOW_SECONDS * sample_rate / 2))
    pairs = zip(frames(estimates, length), frames(references, length), strict=True)
    shares = np.stack([_shares(_spectra(e, size), _spectra(r, size)) for e, r in pairs], -1)
    faint = np.maximum(
        energies(mixture[None], length) * ratio(FAINT_DB), song_energy(mixture, length) * ratio(SILENT_DB)
    )
    return np.where(energies(references, length) > faint, floored(shares, np.ones_like(shares)), np.nan)


def _spectra(signals: Samples, size: int) -> DoubleSpectra:
    """[source, channel, time] -> [bin, channel and window, source]; Hann windows, each half a window after another."""
    padded = np.pad(signals, ((0, 0), (0, 0), (0, max(0, size - signals.shape[-1]))))
    windows = sliding_window_view(padded, size, axis=-1)[:, :, :: size // 2]
    spectra = np.fft.rfft(windows * np.hanning(size + 1)[:-1])
    return spectra.reshape(len(signals), -1, spectra.shape[-1]).T


def _shares(estimates: DoubleSpectra, references: DoubleSpectra) -> Scores:
    """Return the share of each reference that is in each estimate of one frame, [estimate, source]."""
    edges = _edges(len(references))
    adjoint = references.conj().swapaxes(1, 2)
    gram = np.add.reduceat(adjoint @ references, edges)
    correlation = np.add.reduceat(adjoint @ estimates, edges)
    energy = np.einsum("bss->bs", gram).real
    norm = np.sqrt(energy) + np.finfo(np.float64).tiny
    inverse = np.linalg.inv(gram / norm[:, :, None] / norm[:, None] + 1e-9 * np.eye(gram.shape[-1]))
    leaked = np.square(np.abs(inverse @ (correlation / norm[:, :, None])))
    told = np.einsum("bss->bs", inverse).real < 1 / LEAST_OWN
    with np.errstate(invalid="ignore"):
        shares: Scores = (leaked * told[:, :, None]).sum(0).T / (energy * told).sum(0)
    return shares


def _edges(bins: int) -> NDArray[np.int64]:
    """Return the first bin of each band."""
    edges = [0]
    step = 2 ** (1 / BANDS_PER_OCTAVE)
    while (following := max(edges[-1] + FEWEST_BINS, round(edges[-1] * step))) + FEWEST_BINS <= bins:
        edges.append(following)
    return np.array(edges)
