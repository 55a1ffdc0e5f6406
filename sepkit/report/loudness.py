"""Loudness of a piece of sound in LUFS, as ITU-R BS.1770-4 measures it.

Two filters weigh the spectrum as the ear does: a shelf of 4 dB above 1.7 kHz, for the head, and a high-pass at 38 Hz.
They are applied to the spectrum of the whole piece; their answers to an impulse die away within a fraction of the
zeros behind it. Then the power of each 400 ms, every 100 ms, counts if it is above -70 LUFS, and above 10 dB less than
the mean of these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepkit.arrays import Doubles, Samples

_BLOCK, _STEP = 0.4, 0.1
_ABSOLUTE, _RELATIVE = -70.0, -10.0
# Seconds of zeros behind the piece.
_SPARE = 1.0


def loudness(samples: Samples, sample_rate: int) -> float:
    """Return the loudness of one or two channels [channel, time], at least 400 ms; -inf if no block counts."""
    weighted = _weighted(samples, sample_rate)
    size, step = round(_BLOCK * sample_rate), round(_STEP * sample_rate)
    total = np.concatenate([[0.0], np.cumsum(np.square(weighted).sum(0))])
    starts = np.arange(0, len(total) - size, step)
    powers = (total[starts + size] - total[starts]) / size
    powers = powers[powers > _power(_ABSOLUTE)]
    if not len(powers):
        return -np.inf
    return _level(powers[powers > powers.mean() * 10 ** (_RELATIVE / 10)].mean())


def _level(power: float) -> float:
    return float(-0.691 + 10 * np.log10(power))


def _power(level: float) -> float:
    return float(10 ** ((level + 0.691) / 10))


def _weighted(samples: Samples, sample_rate: int) -> Doubles:
    time = samples.shape[1]
    frames = time + round(_SPARE * sample_rate)
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(frames))
    response = _shelf(sample_rate, z) * _high_pass(sample_rate, z)
    return np.fft.irfft(np.fft.rfft(samples.astype(np.float64), frames) * response, frames)[:, :time]


def _shelf(sample_rate: int, z: NDArray[Any]) -> NDArray[Any]:
    """The standard's filter at 48 kHz, as its analogue model has it at any rate."""
    k, gain, q = np.tan(np.pi * 1681.974450955533 / sample_rate), 10 ** (3.999843853973347 / 20), 0.7071752369554196
    middle = gain**0.4996667741545416
    above = gain + middle * k / q + k * k, 2 * (k * k - gain), gain - middle * k / q + k * k
    return _response(above, (1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k), z)


def _high_pass(sample_rate: int, z: NDArray[Any]) -> NDArray[Any]:
    k, q = np.tan(np.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    below = 1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k
    return _response((below[0], -2 * below[0], below[0]), below, z)


def _response(above: tuple[float, ...], below: tuple[float, ...], z: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = (above[0] + above[1] * z + above[2] * z * z) / (below[0] + below[1] * z + below[2] * z * z)
    return found
