"""Batches for the training loop and for validation, loaded by worker processes."""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Sampler

from sepkit.config import RunConfig
from sepkit.data.chunks import Chunk, ConsecutiveChunks, RandomChunks
from sepkit.data.draw import Draw
from sepkit.data.song import Song, prepare
from sepkit.errors import CorpusError, SepkitError


class Data:
    """The corpus of a run: an endless series of training batches, and the validation batches.

    Raises:
        CorpusError: no songs to train on, or none to validate on.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._frames = round(config.train.chunk_seconds * config.audio.sample_rate)
        self.train_songs = self._songs("train")
        self.validation_songs = self._songs("validation")
        if len(config.audio.sources) == 1 and not any(song.rest.plus for song in self.train_songs):
            raise CorpusError(
                f"no training song has anything beside {config.audio.sources[0]}; add a mixture or the other stems"
            )
        self.steps_per_epoch = config.train.steps_per_epoch or self._steps_to_cover()

    def train_batches(self, first_step: int, steps: int) -> Iterator[Chunk]:
        """Return batches `first_step` to `first_step + steps` of the series: they depend on the seed and step alone."""
        size = self._config.train.batch_size
        draw = Draw(
            self.train_songs, self._config.audio.sources, self._frames, self._config.train.remix, self._config.seed
        )
        chunks = RandomChunks(self.train_songs, self._config.audio, self._frames, draw, self._config.augmentations)
        return self._load(chunks, _Range(first_step * size, (first_step + steps) * size))

    def validation_batches(self) -> Iterator[Chunk]:
        """Return the validation songs in consecutive chunks."""
        chunks = ConsecutiveChunks(self.validation_songs, self._config.audio, self._frames)
        return self._load(chunks, _Range(0, len(chunks)))

    def _songs(self, split: str) -> list[Song]:
        audio = self._config.audio
        tracks = [(dataset, dataset.tracks(split)) for dataset in self._config.datasets]
        songs = [song for dataset, found in tracks for song in prepare(found, audio, dataset.weight)]
        if not any(song.sources for song in songs):
            raise CorpusError(_nothing_to(split, [dataset.name for dataset in self._config.datasets]))
        return songs

    def _steps_to_cover(self) -> int:
        frames = sum(song.frames for song in self.train_songs)
        return max(1, frames // (self._frames * self._config.train.batch_size))

    def _load(self, chunks: RandomChunks | ConsecutiveChunks, indices: "_Range") -> Iterator[Chunk]:
        loader = DataLoader(
            chunks,
            batch_size=self._config.train.batch_size,
            sampler=indices,
            num_workers=self._config.train.workers,
            pin_memory=torch.cuda.is_available(),
        )
        try:
            yield from loader
        except SepkitError as error:  # from a worker it comes with that worker's traceback in its message
            raise type(error)(str(error).strip().splitlines()[-1].removeprefix(f"{_full_name(error)}: ")) from None


class _Range(Sampler[int]):
    """Indices in order."""

    def __init__(self, first: int, stop: int) -> None:
        self._range = range(first, stop)

    def __iter__(self) -> Iterator[int]:
        return iter(self._range)

    def __len__(self) -> int:
        return len(self._range)


def _full_name(error: Exception) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _nothing_to(split: str, names: list[str]) -> str:
    what = {"train": "train", "validation": "validate"}[split]
    return (
        f"no songs to {what} on (datasets: {', '.join(names)}). A plain folder needs two songs or more: "
        "one is set aside for validation. Give it a validation/ folder, or more songs"
    )
