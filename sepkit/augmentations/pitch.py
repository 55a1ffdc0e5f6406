"""Random pitch of all stems together."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import StemAugmentation

if TYPE_CHECKING:
    import numpy as np

MARGIN = 64
"""Samples at each edge: more than the reach of the resampling filter, so that it meets no silence."""


class Pitch(StemAugmentation):
    """One transposition for all stems, uniform in semitones, at the same tempo; the mixture becomes their sum.

    All stems stay in tune with each other. The ratio of frequencies is rounded to a fraction whose denominator is at
    most 100: that is off by 9 cents at worst, and cheap to resample by.
    """

    limits = ("low_semitones", "high_semitones")
    name: Literal["pitch"] = "pitch"
    low_semitones: float = Field(default=-2.0, ge=-12, le=12, description="deepest shift; negative is down")
    high_semitones: float = Field(default=2.0, ge=-12, le=12, description="highest shift; positive is up")

    def change(self, stems: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Stretch the stems by the ratio in time, and resample them back to their length."""
        import numpy as np

        from sepkit.audio.resample import resample
        from sepkit.augmentations.time_stretch import time_stretch

        semitones = rng.uniform(self.low_semitones, self.high_semitones)
        ratio = Fraction(2 ** (semitones / 12)).limit_denominator(100)
        sources, channels, frames = stems.shape
        padded = np.pad(stems, ((0, 0), (0, 0), (MARGIN, MARGIN)), mode="symmetric")
        stretched = time_stretch(padded, float(1 / ratio), sample_rate)
        flat = stretched.reshape(sources * channels, -1)
        shifted = resample(flat, ratio.numerator, ratio.denominator)[:, MARGIN : MARGIN + frames]
        return shifted.reshape(stems.shape)
