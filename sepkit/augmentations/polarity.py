"""Random sign of each stem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sepkit.arrays import Samples
from sepkit.component import AudioSpec, Augmentation, AugmentationConfig

if TYPE_CHECKING:
    import numpy as np


class Polarity(AugmentationConfig):
    """Each stem is turned upside down with probability 1/2, by itself; the mixture becomes their sum.

    A stem sounds the same either way, but what cancels and what adds up in the mixture is another.
    """

    name: Literal["polarity"] = "polarity"

    def build(self, audio: AudioSpec) -> Augmentation:
        """Return (stems, mixture, rng) -> (stems, mixture)."""

        def polarity(stems: Samples, mixture: Samples, rng: np.random.Generator) -> tuple[Samples, Samples]:
            signs = rng.choice((-1, 1), (len(stems), 1, 1))
            flipped = stems * signs.astype(stems.dtype)
            return flipped, flipped.sum(0)

        return polarity
