"""The random choice of chunks: a pure function of (seed, index), whatever the number of workers or of ranks.

A chunk is either aligned (every stem from one place in one song) or remixed (each source, and the residual, from a
place in a song of its own: the voice of one song on the accompaniment of another). Places are drawn where the source
sounds; in a stated share of the chunks it is left out instead, so that a network learns silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sepkit.data.song import RESIDUAL, Part, Song
from sepkit.errors import CorpusError
from sepkit.settings import TrainSettings

# Two chunks of one stem that are mixed keep the energy of one.
HALF_ENERGY = 0.5**0.5


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in a part of a song, in samples, and the gain with which it is taken."""

    track: str
    part: Part
    start: int
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """The cuts that make a chunk: small enough to be sent to a worker with each chunk.

    Attributes:
        stems: For each source, and the residual last, the cuts whose sum it is; none are silence.
        present: For each source, True if it is known.
        seed: For everything else that is random in this chunk.
    """

    stems: tuple[tuple[Cut, ...], ...]
    present: tuple[bool, ...]
    seed: tuple[int, ...] = ()

    @property
    def tracks(self) -> tuple[str, ...]:
        """The names of its songs."""
        return tuple(dict.fromkeys(cut.track for cuts in self.stems for cut in cuts))


class Draw:
    """Draws recipes.

    Args:
        songs: To draw from.
        sources: In the order of a recipe.
        length: Samples of a chunk.
        weights: Of the datasets that the songs come from: the share of each in the chunks, relative to the others.
        settings: Share of remixed, silent and mixed-up chunks.
        seed: Determines the recipe, together with the index.

    Raises:
        CorpusError: a source that sounds in no song.
    """

    def __init__(
        self, songs: Sequence[Song], sources: tuple[str, ...], length: int, weights: Sequence[float],
        settings: TrainSettings, seed: int,
    ) -> None:  # fmt: skip
        self._songs = songs
        self._names = sources
        self._length = length
        self._settings = settings
        self._seed = seed
        self._sources = [_Places(songs, [s.sounding.get(source, ()) for s in songs], weights) for source in sources]
        left = any(song.parts[RESIDUAL].pieces for song in songs)  # else all stems are sources, and nothing is left
        spans = [((0, s.frames),) if s.pure and (s.parts[RESIDUAL].pieces or not left) else () for s in songs]
        self._residuals = _Places(songs, spans, weights)
        missing = [name for name, places in zip(sources, self._sources, strict=True) if not places]
        if missing:
            raise CorpusError(f"no training song has a stem for {', '.join(missing)} in which anything sounds")

    def __call__(self, index: int) -> Recipe:
        """Return the recipe of chunk `index`."""
        rng = np.random.default_rng((self._seed, index))
        if self._residuals and rng.random() < self._settings.remix:
            recipe = self._remixed(rng)
        else:  # one source, drawn evenly, decides the place; a song that has few of them is drawn as often
            recipe = aligned(*self._place(self._sources[rng.integers(len(self._sources))], rng), self._names)
        silent = rng.random(len(self._names)) < self._settings.silent
        sources = [() if quiet else cuts for quiet, cuts in zip(silent, recipe.stems[:-1], strict=True)]
        return Recipe((*sources, recipe.stems[-1]), recipe.present, (self._seed, index, 1))

    def _remixed(self, rng: np.random.Generator) -> Recipe:
        sources = [self._source(name, places, rng) for name, places in zip(self._names, self._sources, strict=True)]
        song, start = self._place(self._residuals, rng)
        return Recipe((*sources, (_cut(song, RESIDUAL, start),)), (True,) * len(sources))

    def _source(self, name: str, places: _Places, rng: np.random.Generator) -> tuple[Cut, ...]:
        count = 2 if rng.random() < self._settings.mixup else 1
        drawn = [self._place(places, rng) for _ in range(count)]
        return tuple(_cut(song, name, start, 1.0 if count == 1 else HALF_ENERGY) for song, start in drawn)

    def _place(self, places: _Places, rng: np.random.Generator) -> tuple[Song, int]:
        """Return a chunk that has a drawn sample in its middle half, as far as the song's ends allow."""
        number, moment = places(rng)
        start = moment - round(rng.uniform(0.25, 0.75) * self._length)
        return self._songs[number], max(0, min(start, self._songs[number].frames - self._length))


def aligned(song: Song, start: int, sources: tuple[str, ...]) -> Recipe:
    """Return the recipe of all stems of a song from one place."""
    present = tuple(source in song.parts for source in sources)
    cuts = [(_cut(song, name, start),) if known else () for name, known in zip(sources, present, strict=True)]
    return Recipe((*cuts, (_cut(song, RESIDUAL, start),)), present)


def _cut(song: Song, part: str, start: int, gain: float = 1.0) -> Cut:
    return Cut(song.name, song.part(part), start, gain)


class _Places:
    """Draws samples from spans: a dataset by its weight, then every sample in its spans evenly."""

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
        """Return the number of a song and a sample in it."""
        drawn = np.searchsorted(self._cumulated, rng.random() * self._cumulated[-1], side="right")
        row = min(int(drawn), len(self._songs) - 1)
        return int(self._songs[row]), int(rng.integers(self._first[row], self._stop[row]))
