"""Random sign of each stem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sepkit.arrays import Samples
from sepkit.augmentations.stems import StemAugmentation

if TYPE_CHECKING:
    import numpy as np


class Polarity(StemAugmentation):
    """Each stem is inverted with probability 1/2, by itself; the mixture becomes their sum.

    A stem sounds the same either way, but other parts of it cancel or add up in the mixture.
    """

    name: Literal["polarity"] = "polarity"

    def change(self, stems: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Multiply each stem by 1 or -1."""
        return stems * rng.choice((-1, 1), (len(stems), 1, 1)).astype(stems.dtype)
