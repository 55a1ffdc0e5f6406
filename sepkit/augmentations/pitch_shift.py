"""Another pitch at the same tempo: stretch by the ratio in time, then resample back to the length from before."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.resample import resample
from sepkit.augmentations.time_stretch import time_stretch

MARGIN = 64
"""Samples at each edge: more than the resampling filter reaches, so that it meets no silence."""


def pitch_shift(samples: Samples, ratio: Fraction, sample_rate: int) -> Samples:
    """[source, channel, time] -> the same shape, all frequencies times `ratio`, a small fraction within 1/2 to 2."""
    sources, channels, frames = samples.shape
    padded = np.pad(samples, ((0, 0), (0, 0), (MARGIN, MARGIN)), mode="symmetric")
    stretched = time_stretch(padded, float(1 / ratio), sample_rate)
    flat = stretched.reshape(sources * channels, -1)
    shifted = resample(flat, ratio.numerator, ratio.denominator)[:, MARGIN : MARGIN + frames]
    return shifted.reshape(samples.shape)
