"""Random bandwidth of all stems together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.limits import LimitedAugmentation
from sepkit.component import AudioSpec, Augmentation

if TYPE_CHECKING:
    import numpy as np


class LowPass(LimitedAugmentation):
    """One low-pass filter for all stems, its cutoff log-uniform; the mixture becomes their sum.

    The filter has zero phase, so nothing moves in time, and is linear, so the mixture loses what the stems lose. Limits
    above half the sample rate count as half the sample rate, which takes nothing away.
    """

    limits = ("low_hz", "high_hz")
    name: Literal["low_pass"] = "low_pass"
    low_hz: float = Field(default=4000.0, gt=0, description="lowest cutoff, where 6 dB are lost")
    high_hz: float = Field(default=16000.0, gt=0, description="highest cutoff")

    def build(self, audio: AudioSpec) -> Augmentation:
        """Return (stems, mixture, rng) -> (stems, mixture)."""
        from sepkit.augmentations.low_pass_filter import low_pass_filter

        low, high = (min(limit, audio.sample_rate / 2) for limit in (self.low_hz, self.high_hz))

        def low_pass(stems: Samples, mixture: Samples, rng: np.random.Generator) -> tuple[Samples, Samples]:
            cutoff = low * (high / low) ** rng.random()
            filtered = low_pass_filter(stems, cutoff, audio.sample_rate)
            return filtered, filtered.sum(0)

        return low_pass
