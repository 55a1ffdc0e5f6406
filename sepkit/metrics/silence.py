"""Silent parts of references, and the energy of estimates in them.

Levels are relative to the song's: the RMS of the mixture from beginning to end. So a gain on the whole song changes
nothing.

The energy that is estimated where the target is silent was made a score of its own ("predicted energy at silence") by
K. Schulze-Forster, C. Doire, G. Richard, R. Badeau, "Weakly informed audio source separation", WASPAA 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sepkit.arrays import Flags, Samples, Scores
from sepkit.metrics.energies import decibels, energies, energy

SILENT_DB = -50.0
"""A frame this far below the song is silent. Dither of 16 bits, -96 dB of full scale, lies well below."""
AUDIBLE_DB = -40.0
"""A frame less far below the song is audible alone. With music at 75 dB SPL it is above 35 dB, the most noise that the
WHO's "Guidelines for community noise" (1999) allow a living room. 10 dB above what counts as silent: a reference that
is silent is not audible."""
FLOOR_DB = -100.0
"""The lowest score, and that of digital silence, so that medians and differences stay numbers."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The frames in which the mixture sounds, and the references that are silent in them.

    Attributes:
        length: Samples of a frame.
        song: The energy of a frame at the level of the song.
        mixture: The energy of each frame, [frame].
        silent: Where a reference is silent and the mixture is not, [source, frame].
    """

    length: int
    song: float
    mixture: Scores
    silent: Flags

    @classmethod
    def of(cls, references: Samples, mixture: Samples, length: int) -> Silence:
        """Find it for references [source, channel, time] and a mixture [channel, time]."""
        song = song_energy(mixture, length)
        whole = energies(mixture[None], length)[0]
        threshold = song * ratio(SILENT_DB)
        return cls(length, song, whole, (energies(references, length) <= threshold) & (whole > threshold))

    def level(self, estimates: Samples) -> Scores:
        """Return the level of estimates [source, channel, time] relative to the mixture, [source, frame] in dB."""
        return np.where(self.silent, floored(energies(estimates, self.length), self.mixture), np.nan)

    def audible(self, estimates: Samples) -> Flags:
        """Return [source, frame]: True where estimates [source, channel, time] are audible in silence."""
        return self.silent & (energies(estimates, self.length) > self.song * ratio(AUDIBLE_DB))


def song_energy(mixture: Samples, length: int) -> float:
    """Return the mean energy of the frames of a mixture [channel, time]."""
    return float(energy(mixture[None])[0] / max(1.0, mixture.shape[-1] / length))


def ratio(level: float) -> float:
    """Return the ratio of energies that is so many dB."""
    return float(10 ** (level / 10))


def floored(part: Scores, whole: Scores) -> Scores:
    """Return the ratio of two energies in dB, but at least the floor."""
    return np.maximum(decibels(part, whole), FLOOR_DB)
