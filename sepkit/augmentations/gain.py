"""Random level of each stem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from sepkit.component import AudioSpec, AugmentationConfig

if TYPE_CHECKING:
    import numpy as np

    from sepkit.component import Augmentation, Samples


class Gain(AugmentationConfig):
    """A gain for each stem, uniform in dB; the mixture becomes their sum."""

    name: Literal["gain"] = "gain"
    low_db: float = Field(default=-6.0, ge=-60, le=60)
    high_db: float = Field(default=6.0, ge=-60, le=60)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low_db > self.high_db:
            raise ValueError("low_db must not exceed high_db")
        return self

    def build(self, audio: AudioSpec) -> Augmentation:
        """Return (stems, mixture, rng) -> (stems, mixture)."""

        def gain(stems: Samples, mixture: Samples, rng: np.random.Generator) -> tuple[Samples, Samples]:
            decibels = rng.uniform(self.low_db, self.high_db, (len(stems), 1, 1))
            louder = stems * (10 ** (decibels / 20)).astype(stems.dtype)
            return louder, louder.sum(0)

        return gain
