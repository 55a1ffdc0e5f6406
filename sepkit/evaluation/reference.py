"""A song with its known stems in memory: what estimates are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sepkit.audio.channels import to_channels
from sepkit.audio.read import read
from sepkit.audio.resample import resample
from sepkit.component import AudioFile, Track
from sepkit.errors import CorpusError

if TYPE_CHECKING:
    from sepkit.component import Samples


@dataclass(frozen=True)
class Reference:
    """A mixture and its stems, all [channel, time] at one rate. An absent stem has no entry."""

    name: str
    sample_rate: int
    mixture: Samples
    stems: dict[str, Samples]

    def residual(self, sources: tuple[str, ...]) -> Samples | None:
        """Return the mixture minus `sources`, or None if one of them is absent and may hide in the mixture."""
        if not all(source in self.stems for source in sources):
            return None
        rest: Samples = self.mixture - np.sum([self.stems[source] for source in sources], axis=0)
        return rest


def load(track: Track) -> Reference:
    """Decode all files of a track, at the rate and channels of its mixture, padded to the longest.

    Raises:
        AudioError: a file cannot be read.
        CorpusError: there is nothing to decode.
    """
    files = [path for paths in track.stems.values() for path in paths]
    first = track.mixture or next(iter(files), None)
    if first is None:
        raise CorpusError(f"{track.name}: no mixture and no stems")
    reference, rate = read(first)
    decoded = {path: _read_like(path, rate, len(reference)) for path in files}
    time = max(reference.shape[1], *(samples.shape[1] for samples in decoded.values()), 1)
    padded = {path: np.pad(samples, ((0, 0), (0, time - samples.shape[1]))) for path, samples in decoded.items()}
    stems: dict[str, Samples] = {
        stem: np.sum([padded[path] for path in paths], axis=0, dtype=np.float32) for stem, paths in track.stems.items()
    }
    mixture: Samples
    if track.mixture is None:
        mixture = np.sum(list(stems.values()), axis=0, dtype=np.float32)
    else:
        mixture = np.pad(reference, ((0, 0), (0, time - reference.shape[1])))
    return Reference(track.name, rate, mixture, stems)


def _read_like(file: AudioFile, sample_rate: int, channels: int) -> Samples:
    samples, rate = read(file)
    return resample(to_channels(samples, channels), rate, sample_rate)
