"""A song on disk: its files, and the rates and channel counts that they may have.

It imports the standard library alone, for processes that read files without components.
"""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import NamedTuple
from warnings import warn

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
        mixture: The mixture's own file, or None if the mixture is the sum of the stems.
        group: Songs of one group (a singer, say) are never split between training and validation.
        complete: True if the stems add up to the mixture: the residual is the sum of all stems but the targets.
            Otherwise it is the mixture minus the targets.
        corpus_stems: The names that stems of this corpus have. One of them that is not a key of `stems` does not sound
            in this song; any other may be hidden in its stems, as a guitar is in `other`.
        artist: The artist, if the corpus names one.
        title: The song's title, if the corpus states one.
        note: Publicly known faults of this song.
        overlapping: Files that hold several stems, such as `instrumental` beside drums and bass: no part of any sum.
            They may be targets.
        told_apart: The former name of `corpus_stems`, deprecated.
    """

    name: str
    stems: Mapping[str, tuple[AudioFile, ...]]
    mixture: AudioFile | None = None
    group: str = ""
    complete: bool = False
    corpus_stems: tuple[str, ...] = ()
    artist: str = ""
    title: str = ""
    note: str = ""
    overlapping: Mapping[str, tuple[AudioFile, ...]] = field(default_factory=dict)
    told_apart: InitVar[tuple[str, ...] | None] = None

    def __post_init__(self, told_apart: tuple[str, ...] | None) -> None:
        if told_apart is not None:
            warn("Track(told_apart=...) is now Track(corpus_stems=...)", DeprecationWarning, stacklevel=3)
            object.__setattr__(self, "corpus_stems", told_apart)

    @property
    def targets(self) -> dict[str, tuple[AudioFile, ...]]:
        """All stems that a run can train for, overlapping ones included."""
        return {**self.stems, **self.overlapping}
