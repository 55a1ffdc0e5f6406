"""A song with its known stems in memory, as the reference of estimates."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sepkit.arrays import Samples
from sepkit.audio.probe import probe
from sepkit.audio.read import Piece, read_sum
from sepkit.data.partition import faults, inner_products
from sepkit.data.song import SAME_LENGTH
from sepkit.datasets.stem_names import MIXTURE
from sepkit.errors import CorpusError
from sepkit.track import Track

log = logging.getLogger(__name__)

LENGTH_TOLERANCE = 1.0
"""Seconds by which parts of a song may differ in length: codecs and chunks add or drop as much."""


@dataclass(frozen=True)
class Reference:
    """A mixture and its stems, all [channel, time] at one rate. An absent stem has no entry.

    `complete` as for `Track`: the stems are all that sounds.
    """

    name: str
    sample_rate: int
    mixture: Samples
    stems: dict[str, Samples]
    complete: bool = False

    def residual(self, sources: Sequence[str]) -> Samples:
        """Return the mixture minus `sources`, [channel, time]. All of them must be known."""
        residual: Samples = self.mixture - np.sum([self.stems[name] for name in sources], axis=0, dtype=np.float32)
        return residual


def load(track: Track) -> Reference:
    """Decode all files of a track, at the rate, channels and length of its mixture.

    Without a mixture file, at the highest rate, the most channels and the greatest length among its stems.

    Raises:
        AudioError: a file cannot be read.
        CorpusError: the track has no files.
    """
    stems = {stem: [Piece(file, probe(file)) for file in files] for stem, files in track.stems.items()}
    mixture = [Piece(track.mixture, probe(track.mixture))] if track.mixture else []
    pieces = [*mixture, *(piece for stem in stems.values() for piece in stem)]
    if not pieces:
        raise CorpusError(f"{track.name}: no mixture and no stems")
    rate = max(piece.info.sample_rate for piece in mixture or pieces)
    channels = max(piece.info.channels for piece in mixture or pieces)
    frames = max(piece.frames_at(rate) for piece in mixture or pieces)
    _warn_of_lengths(track, mixture, stems)
    decoded = {stem: read_sum(files, rate, channels, 0, frames) for stem, files in stems.items()}
    if mixture:
        mixed = read_sum(mixture, rate, channels, 0, frames)
        _warn_of_faults(track, {MIXTURE: mixed, **decoded})
        return Reference(track.name, rate, mixed, decoded, track.complete)
    _warn_of_faults(track, decoded)
    total: Samples = np.sum(list(decoded.values()), axis=0, dtype=np.float32)
    return Reference(track.name, rate, total, decoded, complete=True)


def _warn_of_lengths(track: Track, mixture: Sequence[Piece], stems: Mapping[str, Sequence[Piece]]) -> None:
    """Warn of stems that do not end with the mixture."""
    for song in mixture:
        for stem, pieces in stems.items():
            longest = max(piece.info.seconds for piece in pieces)
            if abs(longest - song.info.seconds) > SAME_LENGTH:
                lengths = f"{stem} lasts {longest:.1f} s, the mixture {song.info.seconds:.1f} s"
                longer = longest > song.info.seconds
                done = "the stem is cut" if longer else "silence is added to the stem"
                log.warning("%s: %s; %s", track.name, lengths, done)


def _warn_of_faults(track: Track, signals: Mapping[str, Samples]) -> None:
    """Warn of stems that do not add up to the mixture: floor, ceilings and bleed would be wrong."""
    found = [f"{fault.name}: {fault.text}" for fault in faults(list(signals), inner_products(list(signals.values())))]
    if found:
        log.warning("%s: %s", track.name, ". ".join(found))
