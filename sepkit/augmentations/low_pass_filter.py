"""A low-pass filter of zero phase: a sinc under a Blackman window, symmetric about its centre, applied through the FFT.

It is 10 ms long, so it falls from 0 to -70 dB within 550 Hz around the cutoff, at any sample rate (Oppenheim and
Schafer, "Discrete-Time Signal Processing": FIR filters by windowing).
"""

from __future__ import annotations

import numpy as np

from sepkit.arrays import Samples

REACH_SECONDS = 0.005
"""How far the filter reaches to each side."""


def low_pass_filter(samples: Samples, cutoff: float, sample_rate: int) -> Samples:
    """[source, channel, time] -> the same shape without what lies above `cutoff` Hz. The edges are mirrored outwards.

    Sample i of a convolution depends on the padded samples i - 2 reach to i. So the part that is kept, which starts at
    2 reach, is free of what the circular convolution of the FFT wraps around.
    """
    frames = samples.shape[-1]
    reach = round(REACH_SECONDS * sample_rate)
    padded = np.pad(samples, ((0, 0), (0, 0), (reach, reach)), mode="symmetric")
    size = 1 << (frames + 2 * reach - 1).bit_length()
    spectrum = np.fft.rfft(padded, size) * np.fft.rfft(_kernel(cutoff / sample_rate, reach), size)
    filtered: Samples = np.fft.irfft(spectrum, size)[..., 2 * reach : 2 * reach + frames].astype(np.float32)
    return filtered


def _kernel(cutoff: float, reach: int) -> Samples:
    """Return the filter [2 reach + 1] for a `cutoff` in cycles per sample, with a gain of 1 at 0 Hz."""
    taps = np.sinc(2 * cutoff * np.arange(-reach, reach + 1)) * np.blackman(2 * reach + 1)
    kernel: Samples = (taps / taps.sum()).astype(np.float32)
    return kernel
