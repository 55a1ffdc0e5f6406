"""Random reverberation of each source."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.arrays import Samples
from sepkit.augmentations.stems import SourceAugmentation, log_uniform

if TYPE_CHECKING:
    import numpy as np


SHORTEST_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 0.06
"""Of the first reflection."""
DECAY = log(1000)
"""An amplitude falls by 60 dB in the time of reverberation: exp(-DECAY)."""


class Reverb(SourceAugmentation):
    """A room for each source: noise that decays exponentially, other in each channel, is convolved and added.

    The model of J. A. Moorer, "About This Reverberation Business", Computer Music Journal 1979. The time of
    reverberation is log-uniform from 0.2 s on. What is reverberation counts as the source.
    """

    limits = ("low_db", "high_db")
    name: Literal["reverb"] = "reverb"
    low_db: float = Field(default=-20.0, ge=-60, le=20, description="least energy of the room, relative to the source")
    high_db: float = Field(default=-4.0, ge=-60, le=20, description="most energy of the room, relative to the source")
    longest_seconds: float = Field(default=2.0, ge=0.2, le=10, description="longest time in which it falls by 60 dB")

    def change_source(self, source: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Return the source with its reverberation."""
        import numpy as np

        level = 10 ** (rng.uniform(self.low_db, self.high_db) / 20)
        seconds = log_uniform(SHORTEST_SECONDS, self.longest_seconds, rng)
        delay = 1 + round(rng.uniform(0, LONGEST_DELAY_SECONDS) * sample_rate)
        decay = np.exp(-DECAY / (seconds * sample_rate) * np.arange(round(seconds * sample_rate), dtype=np.float32))
        room = rng.standard_normal((len(source), len(decay)), np.float32) * decay
        room *= np.float32(level) / np.sqrt((room**2).sum(1, keepdims=True))
        room = room[:, : max(0, source.shape[-1] - delay)]
        wet = np.zeros_like(source)
        if room.shape[1]:
            wet[:, delay:] = _convolved(source[:, :-delay], room)
        return source + wet


def _convolved(signal: Samples, kernel: Samples) -> Samples:
    """[channel, time], [channel, any] -> [channel, time]: the beginning of the convolution."""
    import numpy as np

    time = signal.shape[-1]
    size = 1 << (time + kernel.shape[-1] - 1).bit_length()
    whole = np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(kernel, size), size)
    beginning: Samples = whole[:, :time].astype(np.float32)
    return beginning
