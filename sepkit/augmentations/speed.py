"""Random speed of each source."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import StemAugmentation, log_uniform

if TYPE_CHECKING:
    import numpy as np


class Speed(StemAugmentation):
    """A speed for each source, log-uniform as a factor of its own; the mixture becomes their sum.

    Pitch, formants and tempo change together, as on a tape: a voice becomes that of a larger or smaller singer. What
    is no source keeps its speed, so chunks should be remixed. All stems become ceil(time / the highest factor) long.
    """

    limits = ("low_factor", "high_factor")
    name: Literal["speed"] = "speed"
    low_factor: float = Field(default=0.8, ge=0.5, le=2, description="lowest speed; below 1 is slower and deeper")
    high_factor: float = Field(default=1.25, ge=0.5, le=2, description="highest speed; above 1 is faster and higher")

    @property
    def stretch(self) -> float:
        """The highest speed: that much faster, a chunk needs that much more to play."""
        return max(1.0, self.high_factor)

    def change(self, stems: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Return new stems, all of them shorter by the highest factor."""
        from fractions import Fraction

        from sepkit.audio.resample import resample

        time = ceil(stems.shape[-1] / self.stretch)
        changed = stems[..., :time].copy()
        for source, stem in zip(changed[:-1], stems, strict=False):
            factor = log_uniform(self.low_factor, self.high_factor, rng)
            ratio = Fraction(factor).limit_denominator(100)
            played = resample(stem[:, : ceil(time * ratio)], ratio.numerator, ratio.denominator)[:, :time]
            source[:, : played.shape[1]] = played
            source[:, played.shape[1] :] = 0  # a few samples, where the fraction is above the highest factor
        return changed
