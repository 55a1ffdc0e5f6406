"""torch datasets of chunks: random ones to train on, consecutive ones to validate on."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sepkit.audio.read import read_at
from sepkit.component import AudioSpec, AugmentationConfig
from sepkit.data.draw import Draw, Place
from sepkit.data.song import Part, Song

if TYPE_CHECKING:
    from sepkit.component import Augmentation, Samples


class Chunk(TypedDict):
    """One example; a batch has a batch dimension in front.

    mixture [channel, time], targets [source, channel, time], present [source]: false where a source is absent.
    """

    mixture: Tensor
    targets: Tensor
    present: Tensor


class RandomChunks(Dataset[Chunk]):
    """Chunk `index` of an endless series. Holds paths, numbers and settings, so it is cheap to send to a worker."""

    def __init__(
        self,
        songs: list[Song],
        audio: AudioSpec,
        frames: int,
        draw: Draw,
        augmentations: tuple[AugmentationConfig, ...],
    ) -> None:
        self._songs = songs
        self._audio = audio
        self._frames = frames
        self._draw = draw
        self._settings = augmentations

    def __getitem__(self, index: int) -> Chunk:
        places, rng = self._draw(index)
        parts, present = read_parts(self._songs, places, self._audio, self._frames)
        mixture = parts.sum(0)
        for settings, augment in zip(self._settings, self._augmentations, strict=True):
            if rng.random() < settings.probability:
                parts, mixture = augment(parts, mixture, rng)
        return _chunk(parts, mixture, present)

    def __getstate__(self) -> dict[str, object]:
        """Leave out the built augmentations: each worker builds its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_augmentations"}

    @cached_property
    def _augmentations(self) -> list[Augmentation]:
        return [settings.build(self._audio) for settings in self._settings]


class ConsecutiveChunks(Dataset[Chunk]):
    """Every song that has a source, cut into chunks from its first frame to its last; the last is padded with zeros."""

    def __init__(self, songs: list[Song], audio: AudioSpec, frames: int) -> None:
        self._songs = songs
        self._audio = audio
        self._frames = frames
        self._places = [
            Place(i, start) for i, song in enumerate(songs) if song.sources for start in range(0, song.frames, frames)
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Chunk:
        places = [self._places[index]] * (len(self._audio.sources) + 1)
        parts, present = read_parts(self._songs, places, self._audio, self._frames)
        return _chunk(parts, parts.sum(0), present)


def read_parts(songs: list[Song], places: list[Place], audio: AudioSpec, frames: int) -> tuple[Samples, list[bool]]:
    """Return each source and the rest as [source + 1, channel, time], and which sources are present."""
    parts = [songs[p.song].sources.get(s) for s, p in zip(audio.sources, places, strict=False)]
    rest = songs[places[-1].song].rest
    blocks = [
        _read_part(part or Part(()), place.start, audio, frames)
        for part, place in zip([*parts, rest], places, strict=True)
    ]
    return np.stack(blocks), [part is not None for part in parts]


def _read_part(part: Part, start: int, audio: AudioSpec, frames: int) -> Samples:
    total = np.zeros((audio.channels, frames), np.float32)
    for path in part.plus:
        total += read_at(path, audio.sample_rate, audio.channels, start, frames)
    for path in part.minus:
        total -= read_at(path, audio.sample_rate, audio.channels, start, frames)
    return total


def _chunk(parts: Samples, mixture: Samples, present: list[bool]) -> Chunk:
    return {
        "mixture": torch.from_numpy(np.ascontiguousarray(mixture)),
        "targets": torch.from_numpy(np.ascontiguousarray(parts[:-1])),
        "present": torch.tensor(present),
    }
