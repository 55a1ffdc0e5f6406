"""The base of augmentations that change stems, of which the mixture becomes the sum."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from sepkit.arrays import Samples
from sepkit.component import AudioSpec, Augmentation, AugmentationConfig

if TYPE_CHECKING:
    import numpy as np


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """Draw a positive number whose logarithm is uniform."""
    return float(low * (high / low) ** rng.random())


class LimitedAugmentation(AugmentationConfig):
    """Base of the augmentations that draw a number; subclasses set `limits` to the names of its two limits."""

    limits: ClassVar[tuple[str, str] | None] = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.limits and getattr(self, self.limits[0]) > getattr(self, self.limits[1]):
            raise ValueError(f"{self.limits[0]} must not exceed {self.limits[1]}")
        return self


class StemAugmentation(LimitedAugmentation):
    """Base of the augmentations that change stems; subclasses give `change`."""

    @abstractmethod
    def change(self, stems: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """[source, channel, time] -> new stems, which must not be the array that came."""

    def build(self, audio: AudioSpec) -> Augmentation:
        """Return (stems, mixture, rng) -> (stems, mixture)."""

        def augment(stems: Samples, mixture: Samples, rng: np.random.Generator) -> tuple[Samples, Samples]:
            changed = self.change(stems, audio.sample_rate, rng)
            return changed, changed.sum(0)

        return augment


class SourceAugmentation(StemAugmentation):
    """Base of the augmentations that change each source independently; subclasses give `change_source`."""

    residual: bool = Field(default=False, description="change the residual as well, independently of the sources")

    @abstractmethod
    def change_source(self, source: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """[channel, time] -> a new source of the same shape."""

    def change(self, stems: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Return new stems; the last one is the residual."""
        changed = stems.copy()
        for number in range(len(stems) if self.residual else len(stems) - 1):
            changed[number] = self.change_source(stems[number], sample_rate, rng)
        return changed
