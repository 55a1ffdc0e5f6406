"""Random tempo of all stems together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import StemAugmentation, log_uniform

if TYPE_CHECKING:
    import numpy as np


class Tempo(StemAugmentation):
    """One tempo for all stems, log-uniform as a factor of their own, at the same pitch; the mixture becomes their sum.

    All stems keep step with each other. The result is ceil(samples / factor) long.
    """

    limits = ("low_factor", "high_factor")
    name: Literal["tempo"] = "tempo"
    low_factor: float = Field(default=0.9, ge=0.5, le=2, description="lowest tempo; below 1 is slower")
    high_factor: float = Field(default=1.1, ge=0.5, le=2, description="highest tempo; above 1 is faster")

    @property
    def stretch(self) -> float:
        """The highest tempo: a chunk needs as many times its length of audio."""
        return max(1.0, self.high_factor)

    def change(self, stems: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Stretch all stems in time."""
        from sepkit.augmentations.time_stretch import time_stretch

        factor = log_uniform(self.low_factor, self.high_factor, rng)
        return time_stretch(stems, factor, sample_rate)
