"""One song of a report: its signals, its scores over time, and the room that it may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sepkit.report.signal import Signal

PAGE_BYTES = 40_000_000
"""The largest page: eight minutes of four sources, or an excerpt of each of 50 songs."""

# Left for the page itself: its code and its tables.
_SHARE_OF_SECTIONS = 0.9


@dataclass(frozen=True, slots=True)
class Curve:
    """A score over time: one value for each frame of `frame_seconds`, None where it is undefined."""

    name: str
    unit: str
    frame_seconds: float
    values: tuple[float | None, ...]
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True, slots=True)
class Stem:
    """A stem: its estimate, and its reference if that is known.

    Attributes:
        name: Of the stem.
        estimate: As separated.
        reference: As it should be, or None.
        curves: Its scores over time, the most important first: excerpts are cut where they are worst.
        silences: From and to in seconds: where the reference is silent.
    """

    name: str
    estimate: Signal
    reference: Signal | None = None
    curves: tuple[Curve, ...] = ()
    silences: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class SeparatedSong:
    """A mixture and its estimated stems at one rate, all cut or padded to the length of the mixture."""

    name: str
    mixture: Signal
    stems: tuple[Stem, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a page.

    Attributes:
        page_bytes: The size of the whole page.
        songs: How many songs share it.
        excerpt_seconds: The length of an excerpt of a song that does not fit as a whole.
        excerpts: How many excerpts a song has at most.
    """

    page_bytes: int = PAGE_BYTES
    songs: int = 1
    excerpt_seconds: float = 8.0
    excerpts: int = 6

    @property
    def section_bytes(self) -> int:
        """The share of one song."""
        return int(self.page_bytes * _SHARE_OF_SECTIONS / max(1, self.songs))
