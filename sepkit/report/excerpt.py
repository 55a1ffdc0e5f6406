"""Excerpts as sound for the page: mp3, which every browser plays, with two gains.

`level` brings it to its true level, `equal` to the loudness of all others: -18 LUFS as in ReplayGain 2.0,
measured by ITU-R BS.1770-4.
"""

from __future__ import annotations

from base64 import b64encode
from math import isfinite
from typing import Any

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.channels import to_channels
from sepkit.audio.resample import resample
from sepkit.audio.writing.mp3 import MOST_CHANNELS, SAMPLE_RATES, encode_mp3
from sepkit.report.loudness import loudness
from sepkit.report.sources import Sources

LOUDNESS = -18.0
"""LUFS"""
MOST_GAIN = 24.0
"""The most dB that a quiet excerpt is raised."""
# LAME's V5: about 140 kb/s in stereo at 44 100 Hz, with treble up to 16 kHz.
_COMPRESSION = 0.55
# Seconds that are encoded to estimate the size of an excerpt.
_PROBE = 2
# Seconds, a little more than one block of BS.1770.
_SHORTEST = 0.41


def encode_excerpts(sources: Sources, start: int, frames: int) -> dict[str, Any]:
    """Encode samples [start, start + frames) of all sources.

    Raises:
        AudioError: a file turns out to be damaged.
    """
    rate = sources.sample_rate
    sounds = {name: _sound(sources.read([name], start, frames)[name], rate) for name in sources.names}
    return {"start": start / rate, "seconds": frames / rate, "sounds": sounds}


def bytes_per_second(sources: Sources, around: float) -> float:
    """Return the bytes of one second of all sources, measured around a time in seconds.

    Raises:
        AudioError: a file turns out to be damaged.
    """
    frames = min(sources.frames, _PROBE * sources.sample_rate)
    start = round(around * sources.sample_rate) - frames // 2
    probe = encode_excerpts(sources, max(0, min(start, sources.frames - frames)), frames)
    return sum(len(sound["mp3"]) for sound in probe["sounds"].values()) * sources.sample_rate / frames


def _sound(samples: Samples, sample_rate: int) -> dict[str, Any]:
    if len(samples) > MOST_CHANNELS:
        samples = to_channels(samples, 1)
    rate = max((rate for rate in SAMPLE_RATES if rate <= sample_rate), default=SAMPLE_RATES[0])
    samples = resample(samples, sample_rate, rate)
    level = max(1.0, float(np.abs(samples).max(initial=0.0)))
    mp3 = encode_mp3(samples / np.float32(level), rate, _COMPRESSION)
    equal = level * _equal_gain(samples, rate)
    return {"mp3": b64encode(mp3).decode(), "level": round(level, 5), "equal": round(equal, 5)}


def _equal_gain(samples: Samples, rate: int) -> float:
    """Return the factor that brings samples to the common loudness without clipping. 1 for silence."""
    short = max(0, round(_SHORTEST * rate) - samples.shape[1])
    measured = loudness(np.pad(samples, ((0, 0), (0, short))), rate)
    if not isfinite(measured):
        return 1.0
    wanted = 10 ** (min(LOUDNESS - measured, MOST_GAIN) / 20)
    return float(min(wanted, 1 / max(1e-9, np.abs(samples).max())))
