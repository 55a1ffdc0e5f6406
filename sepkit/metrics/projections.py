"""The least-squares projections of BSSEval version 4: what filtered references explain of an estimate.

An estimate is projected on the references delayed by 0 to 511 samples, with one set of filters for the whole track. The
normal equations need correlations only. Each pair of channels has a Toeplitz block of 1023 lags, and the lags come from
FFTs of short blocks, added up over the track. One Cholesky factorisation then serves all estimates.

F.-R. Stoeter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018, section 3.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft, rfft
from scipy.linalg import cho_factor, cho_solve

from sepkit.arrays import Doubles, DoubleSpectra, Samples

TAPS = 512
"""Of each filter, as in BSSEval."""
BLOCK = 2**13
"""Samples of an FFT of the correlations."""
GROUP = 16
"""Blocks that are transformed at once: some megabytes."""


def correlations(references: Samples, estimates: Samples) -> Doubles:
    """Return the sums over t of first[i, t] second[j, t + lag] as [i, j, lag], lags from 1 - TAPS to TAPS - 1.

    `first` are the references, `second` the references and after them the estimates; all are [channel, time], of one
    length. Each block of `first` has zeros around it, where the same block of `second` shows its neighbours, so no lag
    wraps around.
    """
    count, time = references.shape
    margin = TAPS - 1
    step = BLOCK - 2 * margin
    starts = range(0, time, step)
    padded = np.zeros((count + len(estimates), len(starts) * step + 2 * margin), np.float32)
    padded[:count, margin : margin + time] = references
    padded[count:, margin : margin + time] = estimates
    windows = sliding_window_view(padded, BLOCK, -1)[:, ::step]
    total = np.zeros((BLOCK // 2 + 1, count, len(padded)), np.complex128)
    for start in range(0, len(starts), GROUP):
        second = windows[:, start : start + GROUP].astype(np.float64)
        first = second[:count].copy()
        first[..., :margin] = first[..., -margin:] = 0
        total += _by_frequency(first).conj().transpose(0, 2, 1) @ _by_frequency(second)
    lags: Doubles = irfft(total, BLOCK, axis=0)
    return np.concatenate([lags[-margin:], lags[:TAPS]]).transpose(1, 2, 0)


def _by_frequency(blocks: Doubles) -> DoubleSpectra:
    """[channel, block, time] -> [frequency, block, channel]"""
    return np.ascontiguousarray(rfft(blocks).transpose(2, 1, 0))


def filters(references: Doubles, estimates: Doubles) -> Doubles:
    """Return the filters [reference, estimate, tap] whose outputs add up to what is closest to each estimate.

    References are scaled to one energy, and the diagonal gets what rounding can take from it. So equal channels, silent
    ones and empty bands have a solution, and what is well conditioned keeps its own.

    Args:
        references: The `correlations` of the references with themselves, [reference, reference, lag].
        estimates: Those of the references with the estimates, [reference, estimate, lag].
    """
    count = len(references)
    level = np.sqrt(references[range(count), range(count), TAPS - 1])
    level[level == 0] = 1
    lags = references / np.multiply.outer(level, level)[..., None]
    toeplitz = sliding_window_view(lags[..., ::-1], TAPS, -1)[..., ::-1, :]
    matrix = toeplitz.transpose(0, 2, 1, 3).copy().reshape(count * TAPS, count * TAPS)
    matrix[np.diag_indices_from(matrix)] += len(matrix) * np.finfo(np.float64).eps
    right = (estimates[..., TAPS - 1 :] / level[:, None, None]).transpose(0, 2, 1).reshape(count * TAPS, -1)
    # The matrix is symmetric, and its transpose has the memory order that LAPACK factorises without a copy.
    factor = cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)
    solution: Doubles = cho_solve(factor, right, check_finite=False).reshape(count, TAPS, -1)
    return solution.transpose(0, 2, 1) / level[:, None, None]
