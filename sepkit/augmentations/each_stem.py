"""What augmentations share that change each source by itself, as if it were another one."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import Field

from sepkit.augmentations.limits import LimitedAugmentation
from sepkit.component import AudioSpec

if TYPE_CHECKING:
    import numpy as np

    from sepkit.component import Augmentation, Samples


class EachStemAugmentation(LimitedAugmentation):
    """Base of the augmentations that change each source independently; the mixture becomes their sum."""

    residual: bool = Field(default=False, description="change what is no source as well, independently of the sources")

    @abstractmethod
    def change(self, stem: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Return a stem [channel, time] changed, in the same shape; never in place."""

    def build(self, audio: AudioSpec) -> Augmentation:
        """Return (stems, mixture, rng) -> (stems, mixture)."""

        def augment(stems: Samples, mixture: Samples, rng: np.random.Generator) -> tuple[Samples, Samples]:
            changed = stems.copy()
            for number in range(len(stems) if self.residual else len(stems) - 1):
                changed[number] = self.change(stems[number], audio.sample_rate, rng)
            return changed, changed.sum(0)

        return augment
