"""Which chunk comes next: a pure function of (seed, index), whatever the number of workers or of ranks.

A chunk is either aligned (every part from one place in one song) or remixed (each source, and the rest, from a place in
a song of its own: the voice of one song on the accompaniment of another).
"""

from dataclasses import dataclass

import numpy as np

from sepkit.data.song import Song
from sepkit.errors import CorpusError


@dataclass(frozen=True, slots=True)
class Place:
    """A frame in a song."""

    song: int
    start: int


class Draw:
    """Draws places for each source, and for the rest last."""

    def __init__(self, songs: list[Song], sources: tuple[str, ...], frames: int, remix: float, seed: int) -> None:
        self._lengths = [song.frames for song in songs]
        self._frames = frames
        self._remix = remix
        self._seed = seed
        weights = np.array([song.weight * song.frames for song in songs])
        self._aligned = _Choice([bool(song.sources) for song in songs], weights)
        self._sources = [_Choice([source in song.sources for song in songs], weights) for source in sources]
        self._rest = _Choice([song.pure for song in songs], weights)
        if not all(choice.possible for choice in self._sources):
            missing = [s for s, choice in zip(sources, self._sources, strict=True) if not choice.possible]
            raise CorpusError(f"no training song has a stem for {', '.join(missing)}")

    def __call__(self, index: int) -> tuple[list[Place], np.random.Generator]:
        """Return the places of chunk `index`, and the generator for what else is random in it."""
        rng = np.random.default_rng((self._seed, index))
        if self._rest.possible and rng.random() < self._remix:
            return [self._place(choice, rng) for choice in (*self._sources, self._rest)], rng
        place = self._place(self._aligned, rng)
        return [place] * (len(self._sources) + 1), rng

    def _place(self, choice: "_Choice", rng: np.random.Generator) -> Place:
        song = choice(rng)
        return Place(song, int(rng.integers(max(1, self._lengths[song] - self._frames + 1))))


class _Choice:
    """A weighted choice among the songs that qualify."""

    def __init__(self, qualifies: list[bool], weights: np.ndarray) -> None:
        self._indices = np.flatnonzero(qualifies)
        self._cumulated = np.cumsum(weights[self._indices])

    @property
    def possible(self) -> bool:
        return len(self._indices) > 0

    def __call__(self, rng: np.random.Generator) -> int:
        drawn = np.searchsorted(self._cumulated, rng.random() * self._cumulated[-1], side="right")
        return int(self._indices[min(int(drawn), len(self._indices) - 1)])
