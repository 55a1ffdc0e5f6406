"""A second performance of each source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import SourceAugmentation

if TYPE_CHECKING:
    import numpy as np


DELAY_SECONDS = (0.01, 0.04)
"""Of the copy, on average."""
DRIFT_SECONDS = 0.004
"""The largest change of its delay to each side: the pitch changes with it, by some 20 cents."""
PERIOD_SECONDS = (1.0, 3.0)


class Doubling(SourceAugmentation):
    """A copy of each source under it, late by 10 to 40 ms, which wander: the same line, sung twice.

    The copy's level is uniform in dB. It is delayed by linear interpolation.
    """

    limits = ("low_db", "high_db")
    name: Literal["doubling"] = "doubling"
    low_db: float = Field(default=-10.0, ge=-60, le=20, description="lowest level of the copy")
    high_db: float = Field(default=0.0, ge=-60, le=20, description="highest level of the copy")

    def change_source(self, source: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Return the source and its copy, added up."""
        import numpy as np

        times = np.arange(source.shape[-1], dtype=np.float64)
        wave = np.sin(2 * np.pi * (times / (rng.uniform(*PERIOD_SECONDS) * sample_rate) + rng.random()))
        late = sample_rate * (rng.uniform(*DELAY_SECONDS) + DRIFT_SECONDS * wave)
        level = 10 ** (rng.uniform(self.low_db, self.high_db) / 20)
        copy = np.stack([np.interp(times - late, times, channel, left=0.0) for channel in source])
        doubled: Samples = source + (level * copy).astype(np.float32)
        return doubled
