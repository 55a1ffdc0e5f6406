"""Random tempo of all stems together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.limits import LimitedAugmentation
from sepkit.component import AudioSpec, Augmentation

if TYPE_CHECKING:
    import numpy as np


class Tempo(LimitedAugmentation):
    """One tempo for all stems, log-uniform as a factor of their own, at the same pitch; the mixture becomes their sum.

    All stems keep step with each other. The result is ceil(frames / factor) long.
    """

    limits = ("low_factor", "high_factor")
    name: Literal["tempo"] = "tempo"
    low_factor: float = Field(default=0.9, ge=0.5, le=2, description="lowest tempo; below 1 is slower")
    high_factor: float = Field(default=1.1, ge=0.5, le=2, description="highest tempo; above 1 is faster")

    @property
    def stretch(self) -> float:
        """The highest tempo: that much faster, a chunk needs that much more to play."""
        return max(1.0, self.high_factor)

    def build(self, audio: AudioSpec) -> Augmentation:
        """Return (stems, mixture, rng) -> (stems, mixture)."""
        from sepkit.augmentations.time_stretch import time_stretch

        def tempo(stems: Samples, mixture: Samples, rng: np.random.Generator) -> tuple[Samples, Samples]:
            factor = self.low_factor * (self.high_factor / self.low_factor) ** rng.random()
            stretched = time_stretch(stems, factor, audio.sample_rate)
            return stretched, stretched.sum(0)

        return tempo
