"""Which chunk comes next: a pure function of (seed, index), whatever the number of workers or of ranks.

A chunk is either aligned (every part from one place in one song) or remixed (each source, and the rest, from a place in
a song of its own: the voice of one song on the accompaniment of another). Places are drawn where the source sounds; in
a stated share of the chunks it is left out instead, so that a network learns what silence is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sepkit.data.song import REST, Part, Song
from sepkit.errors import CorpusError
from sepkit.settings import TrainSettings

# Two chunks of one stem that are mixed keep the energy of one.
HALF_ENERGY = 0.5**0.5


@dataclass(frozen=True, slots=True)
class Clip:
    """A place in a part of a song, in frames, and how loud it is taken."""

    track: str
    part: Part
    start: int
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a chunk is made of: small enough to be sent to a worker with each chunk.

    Attributes:
        parts: For each source, and the rest last, the clips whose sum it is; none are silence.
        present: Which sources are known.
        seed: For what else is random in this chunk.
    """

    parts: tuple[tuple[Clip, ...], ...]
    present: tuple[bool, ...]
    seed: tuple[int, ...] = ()

    @property
    def tracks(self) -> tuple[str, ...]:
        """The names of the songs that are in it."""
        return tuple(dict.fromkeys(clip.track for clips in self.parts for clip in clips))


class Draw:
    """Draws recipes.

    Args:
        songs: To draw from.
        sources: In the order of a recipe.
        frames: Length of a chunk.
        weights: Of the datasets that the songs come from: the share of what is drawn, relative to the others.
        settings: Share of remixed, silent and mixed-up chunks.
        seed: All else follows from it and the index.

    Raises:
        CorpusError: a source that sounds in no song.
    """

    def __init__(
        self,
        songs: Sequence[Song],
        sources: tuple[str, ...],
        frames: int,
        weights: Sequence[float],
        settings: TrainSettings,
        seed: int,
    ) -> None:
        self._songs = songs
        self._names = sources
        self._frames = frames
        self._settings = settings
        self._seed = seed
        self._sources = [_Places(songs, [s.sounding.get(source, ()) for s in songs], weights) for source in sources]
        heard = any(song.parts[REST].pieces for song in songs)  # else all stems are sources, and nothing is left over
        spans = [((0, s.frames),) if s.pure and (s.parts[REST].pieces or not heard) else () for s in songs]
        self._rest = _Places(songs, spans, weights)
        missing = [name for name, places in zip(sources, self._sources, strict=True) if not places]
        if missing:
            raise CorpusError(f"no training song has a stem for {', '.join(missing)} in which anything sounds")

    def __call__(self, index: int) -> Recipe:
        """Return the recipe of chunk `index`."""
        rng = np.random.default_rng((self._seed, index))
        if self._rest and rng.random() < self._settings.remix:
            parts, present = self._remixed(rng)
        else:
            parts, present = self._aligned(rng)
        silent = rng.random(len(self._names)) < self._settings.silent
        parts[:-1] = [() if quiet else clips for quiet, clips in zip(silent, parts[:-1], strict=True)]
        return Recipe(tuple(parts), present, (self._seed, index, 1))

    def _remixed(self, rng: np.random.Generator) -> tuple[list[tuple[Clip, ...]], tuple[bool, ...]]:
        sources = [self._stem(name, places, rng) for name, places in zip(self._names, self._sources, strict=True)]
        song, start = self._place(self._rest, rng)
        return [*sources, (_clip(song, REST, start),)], (True,) * len(sources)

    def _stem(self, name: str, places: _Places, rng: np.random.Generator) -> tuple[Clip, ...]:
        count = 2 if rng.random() < self._settings.mixup else 1
        drawn = [self._place(places, rng) for _ in range(count)]
        return tuple(_clip(song, name, start, 1.0 if count == 1 else HALF_ENERGY) for song, start in drawn)

    def _aligned(self, rng: np.random.Generator) -> tuple[list[tuple[Clip, ...]], tuple[bool, ...]]:
        """One source, drawn evenly, says where; a song that has few of them is no worse for it."""
        song, start = self._place(self._sources[rng.integers(len(self._sources))], rng)
        return aligned(song, self._names, start)

    def _place(self, places: _Places, rng: np.random.Generator) -> tuple[Song, int]:
        """A chunk that has a drawn moment in its middle half, as far as the song's ends allow."""
        number, moment = places(rng)
        start = moment - round(rng.uniform(0.25, 0.75) * self._frames)
        return self._songs[number], max(0, min(start, self._songs[number].frames - self._frames))


def aligned(song: Song, sources: tuple[str, ...], start: int) -> tuple[list[tuple[Clip, ...]], tuple[bool, ...]]:
    """Return all parts of a song from one place, and which sources are known."""
    parts = [(_clip(song, source, start),) if source in song.parts else () for source in sources]
    return [*parts, (_clip(song, REST, start),)], tuple(source in song.parts for source in sources)


def _clip(song: Song, part: str, start: int, gain: float = 1.0) -> Clip:
    return Clip(song.name, song.part(part), start, gain)


class _Places:
    """Draws moments from spans of frames: a dataset by its weight, then any moment in its spans like any other."""

    def __init__(
        self, songs: Sequence[Song], spans: Sequence[Sequence[tuple[int, int]]], weights: Sequence[float]
    ) -> None:
        rows = [(number, *span) for number, found in enumerate(spans) for span in found]
        self._songs, self._first, self._stop = np.array(rows, np.int64).reshape(-1, 3).T
        lengths = (self._stop - self._first).astype(np.float64)
        datasets = np.array([songs[number].dataset for number in self._songs], np.int64)
        totals = np.bincount(datasets, lengths, len(weights))
        self._cumulated = np.cumsum(np.asarray(weights)[datasets] * lengths / totals[datasets])

    def __bool__(self) -> bool:
        return len(self._songs) > 0

    def __call__(self, rng: np.random.Generator) -> tuple[int, int]:
        """Return the number of a song and a frame in it."""
        drawn = np.searchsorted(self._cumulated, rng.random() * self._cumulated[-1], side="right")
        row = min(int(drawn), len(self._songs) - 1)
        return int(self._songs[row]), int(rng.integers(self._first[row], self._stop[row]))
