"""Batches for the training loop and for validation, loaded by worker processes."""

import gc
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import count, islice

from sepkit.component import AugmentationConfig
from sepkit.config import RunConfig
from sepkit.data import prepared
from sepkit.data.chunks import Batch, Chunks, RankSlice, to_tensors
from sepkit.data.corpus import training_songs, validation_songs, validation_tracks
from sepkit.data.draw import Draw, Recipe, aligned
from sepkit.data.workers import in_order


class Data:
    """The corpus of a run: an endless series of training batches, and the validation batches.

    Several ranks share every batch: `rank` of `ranks` makes its own part of it, and together they make the batch that
    one would make alone.

    Raises:
        CorpusError: no songs to train on, or none to validate on; files that cannot be read, all of them listed.
    """

    def __init__(self, config: RunConfig, rank: int = 0, ranks: int = 1) -> None:
        self._config = config
        self._rank, self._ranks = rank, ranks
        self._length = round(config.train.chunk_seconds * config.audio.sample_rate)
        self.validation_tracks = validation_tracks(config)
        self.validation_songs = validation_songs(config)
        self.train_songs = training_songs(config)  # last: scanning new songs may take minutes
        weights = [dataset.weight for dataset in config.datasets]
        self._draw = Draw(
            self.train_songs, config.audio.sources, self._length, weights, config.train, config.seed
        )  # fmt: skip
        samples = sum(song.frames for song in self.train_songs)
        self.steps_per_epoch = config.train.steps_per_epoch or max(
            1, samples // (self._length * config.train.batch_size)
        )

    def train_batches(
        self, first_step: int, waiting: Callable[[], None] = lambda: None
    ) -> Generator[Batch, None, None]:
        """Return the endless series of batches from `first_step` on: a batch depends on the seed and its step alone.

        `waiting` is called until the workers have the next batch, and may raise to end that.
        """
        if self._config.train.workers:
            gc.collect()
            gc.freeze()  # else each collection writes to all songs, and forked workers get a copy of them
        recipes = map(self._draw, count(first_step * self._config.train.batch_size))
        return self._load(recipes, self._config.augmentations, waiting)

    def validation_batches(self, waiting: Callable[[], None] = lambda: None) -> Generator[Batch, None, None]:
        """Return the validation songs in consecutive chunks, each song from its first sample to its last."""
        recipes = (
            aligned(song, start, self._config.audio.sources)
            for song in self.validation_songs
            for start in range(0, song.frames, self._length)
        )
        return self._load(recipes, (), waiting)

    def advice(self) -> str:
        """Return advice to prepare the songs that are not prepared; nothing if all are."""
        songs = [*self.train_songs, *self.validation_songs]
        missing = [song for song in songs if not song.prepared]
        if not missing:
            return ""
        size = sum(prepared.size(song, self._config.audio) for song in missing)
        return (
            f"{len(missing)} of {len(songs)} songs are not prepared: `sepkit data prepare`, with the same config, "
            f"--data-dir and --target, decodes them once ({prepared.gigabytes(size)} on disk)"
        )

    def _load(
        self, recipes: Iterable[Recipe], augmentations: tuple[AugmentationConfig, ...], waiting: Callable[[], None]
    ) -> Generator[Batch, None, None]:
        chunks = Chunks(self._config.audio, self._length, augmentations)
        slices = self._slices(iter(recipes))
        return in_order(chunks, slices, self._config.train.workers, received=to_tensors, waiting=waiting)

    def _slices(self, recipes: Iterator[Recipe]) -> Iterator[RankSlice]:
        """Yield this rank's part of each batch; of a last one that is not full, a rank may get nothing."""
        while batch := list(islice(recipes, self._config.train.batch_size)):
            first, stop = (len(batch) * n // self._ranks for n in (self._rank, self._rank + 1))
            if stop > first:
                yield RankSlice(batch, first, stop)
