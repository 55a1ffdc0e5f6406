"""Random damage of the mixture by lossy compression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import LimitedAugmentation
from sepkit.component import AudioSpec, Augmentation
from sepkit.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np


class MP3(LimitedAugmentation):
    """The mixture is encoded as mp3, at a variable bitrate of random quality, and decoded again; the stems stay clean.

    Put it last: after any other augmentation the mixture is the sum of the stems again.
    """

    limits = ("low_compression", "high_compression")
    name: Literal["mp3"] = "mp3"
    low_compression: float = Field(default=0.0, ge=0, lt=1, description="0 is LAME's best quality, V0")
    high_compression: float = Field(default=0.9, ge=0, lt=1, description="close to 1 is LAME's worst quality, V9")

    def build(self, audio: AudioSpec) -> Augmentation:
        """Return (stems, mixture, rng) -> (stems, mixture).

        Raises:
            ConfigError: mp3 lacks the sample rate or the number of channels.
        """
        from sepkit.audio.writing.mp3 import MOST_CHANNELS, SAMPLE_RATES, mp3_round_trip

        if audio.sample_rate not in SAMPLE_RATES or audio.channels > MOST_CHANNELS:
            raise ConfigError(
                f'the augmentation "mp3" cannot encode {audio.channels} channels at {audio.sample_rate} Hz. It can do '
                f"up to {MOST_CHANNELS} channels at {', '.join(map(str, SAMPLE_RATES))} Hz. Choose such a sample rate "
                "and such channels, or leave the augmentation out"
            )

        def mp3(stems: Samples, mixture: Samples, rng: np.random.Generator) -> tuple[Samples, Samples]:
            compression = rng.uniform(self.low_compression, self.high_compression)
            return stems, mp3_round_trip(mixture, audio.sample_rate, compression)

        return mp3
