"""Random level of each stem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import StemAugmentation

if TYPE_CHECKING:
    import numpy as np


class Gain(StemAugmentation):
    """A gain for each stem, uniform in dB; the mixture becomes their sum."""

    limits = ("low_db", "high_db")
    name: Literal["gain"] = "gain"
    low_db: float = Field(default=-6.0, ge=-60, le=60, description="lowest gain")
    high_db: float = Field(default=6.0, ge=-60, le=60, description="highest gain")

    def change(self, stems: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Multiply each stem by its gain."""
        decibels = rng.uniform(self.low_db, self.high_db, (len(stems), 1, 1))
        return stems * (10 ** (decibels / 20)).astype(stems.dtype)
