"""A song on disk: its files, and the rates and channel counts that they may have.

It imports the standard library alone, for the processes that read files and know nothing of components.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

LOWEST_RATE, HIGHEST_RATE = 1000, 384_000
"""Hz"""
MOST_CHANNELS = 64


class Stream(NamedTuple):
    """One audio stream of a file that holds several, such as a `.stem.mp4`; audio streams are counted from 0."""

    path: Path
    number: int

    def __str__(self) -> str:
        return f"{self.path} (audio stream {self.number})"


AudioFile = Path | Stream


@dataclass(frozen=True, slots=True)
class Track:
    """One song of a corpus on disk: paths and numbers only, so it is cheap to send to a worker.

    Attributes:
        name: Unique within its corpus.
        stems: Stem name -> the files whose sum is the stem; they may differ in rate, channels and length. A stem that
            is not a key is absent, which is not silent.
        mixture: The mixture's own file, or None where the mixture is the sum of the stems.
        group: What must never be split between training and validation (the song itself, or its singer, say).
        complete: The stems are all that sounds: what is not the target is the sum of the other stems. Otherwise it is
            the mixture minus the target.
        told_apart: The names that stems of this corpus have. One of them that is not a key of `stems` does not sound in
            this song; any other may be hidden in its stems, as a guitar is in `other`.
        artist: Who plays, where the corpus says.
        title: The song's title, where the corpus says.
        note: What is publicly known to be wrong with this song.
        overlapping: Files that hold several stems, such as `instrumental` beside drums and bass: no part of any sum.
            They may be targets.
    """

    name: str
    stems: Mapping[str, tuple[AudioFile, ...]]
    mixture: AudioFile | None = None
    group: str = ""
    complete: bool = False
    told_apart: tuple[str, ...] = ()
    artist: str = ""
    title: str = ""
    note: str = ""
    overlapping: Mapping[str, tuple[AudioFile, ...]] = field(default_factory=dict)

    @property
    def targets(self) -> dict[str, tuple[AudioFile, ...]]:
        """All that a run can be for: the stems, and what overlaps them."""
        return {**self.stems, **self.overlapping}
