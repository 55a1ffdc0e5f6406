"""Random order of the channels of each stem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sepkit.arrays import Samples
from sepkit.augmentations.stems import StemAugmentation

if TYPE_CHECKING:
    import numpy as np


class ChannelSwap(StemAugmentation):
    """Each stem gets its channels in random order, by itself; the mixture becomes their sum.

    Left and right of a stereo stem are swapped with probability 1/2. Mono stays as it is.
    """

    name: Literal["channel_swap"] = "channel_swap"

    def change(self, stems: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Permute the channels of each stem."""
        swapped = stems.copy()
        for stem, original in zip(swapped, stems, strict=True):
            stem[:] = original[rng.permutation(len(original))]
        return swapped
