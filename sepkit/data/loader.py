"""Batches for the training loop and for validation, loaded by worker processes."""

import gc
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import count, islice

from sepkit.config import RunConfig
from sepkit.data import prepared
from sepkit.data.chunks import Batch, Chunks, Share, tensors
from sepkit.data.corpus import training_songs, validation_songs, validation_tracks
from sepkit.data.draw import Draw, Recipe, aligned
from sepkit.data.workers import in_order


class Data:
    """The corpus of a run: an endless series of training batches, and the validation batches.

    Several ranks share every batch: `rank` of `ranks` makes its own part of it, and together they make what one would
    make alone.

    Raises:
        CorpusError: no songs to train on, or none to validate on; files that cannot be read, all of them listed.
    """

    def __init__(self, config: RunConfig, rank: int = 0, ranks: int = 1) -> None:
        self._config = config
        self._rank, self._ranks = rank, ranks
        self._frames = round(config.train.chunk_seconds * config.audio.sample_rate)
        self.validation_tracks = validation_tracks(config)
        self.validation_songs = validation_songs(config)
        self.train_songs = training_songs(config)  # last: it may take minutes to listen to new songs
        self._chunks = Chunks(config.audio, self._frames, config.augmentations)
        weights = [dataset.weight for dataset in config.datasets]
        self._draw = Draw(
            self.train_songs, config.audio.sources, self._frames, weights, config.train, config.seed
        )  # fmt: skip
        self.steps_per_epoch = config.train.steps_per_epoch or self._steps_to_cover()

    def train_batches(
        self, first_step: int, waiting: Callable[[], None] = lambda: None
    ) -> Generator[Batch, None, None]:
        """Return the endless series of batches from `first_step` on: a batch depends on the seed and its step alone.

        `waiting` is called while workers let the caller wait, and may raise to end that.
        """
        size = self._config.train.batch_size
        if self._config.train.workers:
            gc.collect()
            gc.freeze()  # else each collection writes to all songs, and forked workers get a copy of them
        return self._load(self._chunks, map(self._draw, count(first_step * size)), waiting)

    def validation_batches(self, waiting: Callable[[], None] = lambda: None) -> Generator[Batch, None, None]:
        """Return the validation songs in consecutive chunks, each song from its first frame to its last."""
        sources = self._config.audio.sources
        recipes = (
            Recipe(tuple(parts), present)
            for song in self.validation_songs
            for start in range(0, song.frames, self._frames)
            for parts, present in [aligned(song, sources, start)]
        )
        return self._load(Chunks(self._config.audio, self._frames), recipes, waiting)

    def advice(self) -> str:
        """Return how to prepare the songs that are not; nothing if all are."""
        songs = [*self.train_songs, *self.validation_songs]
        missing = [song for song in songs if not song.prepared]
        if not missing:
            return ""
        size = sum(prepared.size(song, self._config.audio) for song in missing)
        return (
            f"{len(missing)} of {len(songs)} songs are not prepared: `sepkit data prepare`, with the same config, "
            f"--data-dir and --target, decodes them once ({prepared.gigabytes(size)} on disk)"
        )

    def _steps_to_cover(self) -> int:
        frames = sum(song.frames for song in self.train_songs)
        return max(1, frames // (self._frames * self._config.train.batch_size))

    def _load(
        self, chunks: Chunks, recipes: Iterable[Recipe], waiting: Callable[[], None]
    ) -> Generator[Batch, None, None]:
        return in_order(
            chunks, self._shares(recipes), self._config.train.workers, received=tensors, waiting=waiting
        )  # fmt: skip

    def _shares(self, recipes: Iterable[Recipe]) -> Iterator[Share]:
        """Batches in turn; of a last one that is not full, a rank may get nothing, and is passed over."""
        series = iter(recipes)
        while batch := list(islice(series, self._config.train.batch_size)):
            first, stop = (len(batch) * n // self._ranks for n in (self._rank, self._rank + 1))
            if stop > first:
                yield Share(batch, first, stop)
