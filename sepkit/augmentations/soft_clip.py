"""Random saturation of each stem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import StemAugmentation

if TYPE_CHECKING:
    import numpy as np


class SoftClip(StemAugmentation):
    """A saturation for each stem, its drive uniform in dB; the mixture becomes their sum.

    A sample x becomes tanh(g x) / g, with g the drive as a factor: quiet samples stay as they are, and no sample ever
    exceeds 1 / g. At a drive of 0 dB that ceiling is full scale, at 12 dB it is -12 dBFS.
    """

    limits = ("low_db", "high_db")
    name: Literal["soft_clip"] = "soft_clip"
    low_db: float = Field(default=0.0, ge=-20, le=60, description="least drive; the ceiling is at its negative in dBFS")
    high_db: float = Field(default=12.0, ge=-20, le=60, description="most drive")

    def change(self, stems: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Saturate each stem."""
        import numpy as np

        decibels = rng.uniform(self.low_db, self.high_db, (len(stems), 1, 1))
        drive = (10 ** (decibels / 20)).astype(stems.dtype)
        clipped: Samples = np.tanh(stems * drive) / drive
        return clipped
