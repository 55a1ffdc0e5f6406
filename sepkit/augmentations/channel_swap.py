"""Random order of the channels of each stem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sepkit.arrays import Samples
from sepkit.component import AudioSpec, Augmentation, AugmentationConfig

if TYPE_CHECKING:
    import numpy as np


class ChannelSwap(AugmentationConfig):
    """Each stem gets its channels in random order, by itself; the mixture becomes their sum.

    Left and right of a stereo stem are swapped with probability 1/2. Mono stays as it is.
    """

    name: Literal["channel_swap"] = "channel_swap"

    def build(self, audio: AudioSpec) -> Augmentation:
        """Return (stems, mixture, rng) -> (stems, mixture)."""

        def channel_swap(stems: Samples, mixture: Samples, rng: np.random.Generator) -> tuple[Samples, Samples]:
            swapped = stems.copy()
            for stem, original in zip(swapped, stems, strict=True):
                stem[:] = original[rng.permutation(len(original))]
            return swapped, swapped.sum(0)

        return channel_swap
