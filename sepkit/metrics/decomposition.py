"""BSSEval's decomposition of an estimate into reference, spatial error, interference and artefacts, frame by frame.

Filtered signals are products of spectra that are long enough for the filter to fade out, and their energies are sums
over frequencies, by Parseval's theorem. So nothing is transformed back.

E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio source separation", IEEE TASLP
14(4), 2006.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import next_fast_len, rfft

from sepkit.arrays import Doubles, DoubleSpectra, Samples, Scores
from sepkit.metrics.energies import decibels, frames
from sepkit.metrics.projections import TAPS, correlations, filters

RATIOS = ("SDR", "ISR", "SIR", "SAR")


def decompose(estimates: Samples, references: Samples, length: int) -> dict[str, Scores]:
    """Return the four ratios in dB, each [estimate, frame].

    Args:
        estimates: [estimate, channel, time].
        references: [reference, channel, time]; those that are estimated come first.
        length: Samples of a frame.
    """
    size = 2 * next_fast_len((min(length, estimates.shape[-1]) + TAPS) // 2, real=True)
    own, joint = (rfft(taps, size) for taps in _filters(estimates, references))
    pairs = zip(frames(estimates, length), frames(references, length), strict=True)
    scores = [_ratios(own, joint, *(rfft(frame.astype(np.float64), size) for frame in pair)) for pair in pairs]
    return dict(zip(RATIOS, np.array(scores).transpose(1, 2, 0), strict=True))


def _filters(estimates: Samples, references: Samples) -> tuple[Doubles, Doubles]:
    """Return the filters of each estimate's own reference, and those of all references.

    They are [estimate, channel of the reference, channel, tap] and [channel of any reference, channel of any estimate,
    tap].
    """
    known, wanted = (signal.reshape(-1, signal.shape[-1]) for signal in (references, estimates))
    lags = correlations(known, wanted)
    with_known, with_wanted = lags[:, : len(known)], lags[:, len(known) :]
    channels = estimates.shape[1]
    sources = [slice(i, i + channels) for i in range(0, len(wanted), channels)]
    own = np.stack([filters(with_known[source, source], with_wanted[source, source]) for source in sources])
    return own, filters(with_known, with_wanted)


def _ratios(
    own: DoubleSpectra, joint: DoubleSpectra, estimates: DoubleSpectra, references: DoubleSpectra
) -> list[Scores]:
    """Return the ratios [estimate] of a frame, from the spectra of filters and signals."""
    true = references[: len(estimates)]
    filtered = np.einsum("sabf,saf->sbf", own, true)
    explained = np.einsum("rsf,rf->sf", joint, references.reshape(len(joint), -1)).reshape(estimates.shape)
    errors = estimates - true, filtered - true, explained - filtered, estimates - explained
    wanted = true, true, filtered, explained
    return [decibels(_energy(w), _energy(e)) for w, e in zip(wanted, errors, strict=True)]


def _energy(spectra: DoubleSpectra) -> Scores:
    """[source, channel, frequency] -> [source]: the energy of real signals of even length, in halves of a unit.

    All frequencies but the first and the last stand for their mirror images, too.
    """
    power = (np.square(spectra.real) + np.square(spectra.imag)).sum(1)
    energy: Scores = power.sum(-1) - (power[:, 0] + power[:, -1]) / 2
    return energy
