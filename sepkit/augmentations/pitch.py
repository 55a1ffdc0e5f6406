"""Random pitch of all stems together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.limits import LimitedAugmentation
from sepkit.component import AudioSpec, Augmentation

if TYPE_CHECKING:
    import numpy as np


class Pitch(LimitedAugmentation):
    """One transposition for all stems, uniform in semitones, at the same tempo; the mixture becomes their sum.

    All stems stay in tune with each other. The ratio of frequencies is rounded to a fraction whose denominator is at
    most 100: that is off by 9 cents at worst, and cheap to resample by.
    """

    limits = ("low_semitones", "high_semitones")
    name: Literal["pitch"] = "pitch"
    low_semitones: float = Field(default=-2.0, ge=-12, le=12, description="deepest shift; negative is down")
    high_semitones: float = Field(default=2.0, ge=-12, le=12, description="highest shift; positive is up")

    def build(self, audio: AudioSpec) -> Augmentation:
        """Return (stems, mixture, rng) -> (stems, mixture)."""
        from fractions import Fraction

        from sepkit.augmentations.pitch_shift import pitch_shift

        def pitch(stems: Samples, mixture: Samples, rng: np.random.Generator) -> tuple[Samples, Samples]:
            semitones = rng.uniform(self.low_semitones, self.high_semitones)
            ratio = Fraction(2 ** (semitones / 12)).limit_denominator(100)
            shifted = pitch_shift(stems, ratio, audio.sample_rate)
            return shifted, shifted.sum(0)

        return pitch
