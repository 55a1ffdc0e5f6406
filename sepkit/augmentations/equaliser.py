"""Random colour of each source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import SourceAugmentation

if TYPE_CHECKING:
    import numpy as np


LOWEST_HZ = 60.0
REACH_SECONDS = 0.05
"""The length of each edge that is mirrored outwards: longer than the filter rings."""


class Equaliser(SourceAugmentation):
    """An equaliser for each source: a gain for each octave from 60 Hz on, uniform in dB, and straight lines between.

    Lines are straight in dB over the logarithm of the frequency. The filter has zero phase, so nothing moves in time.
    """

    limits = ("low_db", "high_db")
    name: Literal["equaliser"] = "equaliser"
    low_db: float = Field(default=-6.0, ge=-40, le=40, description="lowest gain of an octave")
    high_db: float = Field(default=6.0, ge=-40, le=40, description="highest gain of an octave")

    def change_source(self, source: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Return the source with another balance of its octaves."""
        import numpy as np

        time, reach = source.shape[-1], round(REACH_SECONDS * sample_rate)
        padded = np.pad(source, ((0, 0), (reach, reach)), mode="symmetric")
        size = 1 << (padded.shape[-1] - 1).bit_length()
        octaves = np.log2(np.fft.rfftfreq(size, 1 / sample_rate).clip(LOWEST_HZ) / LOWEST_HZ)
        knots = np.arange(np.ceil(octaves[-1]) + 1)
        decibels = np.interp(octaves, knots, rng.uniform(self.low_db, self.high_db, len(knots)))
        spectrum = np.fft.rfft(padded, size) * (10 ** (decibels / 20)).astype(np.float32)
        changed: Samples = np.fft.irfft(spectrum, size)[:, reach : reach + time].astype(np.float32)
        return changed
