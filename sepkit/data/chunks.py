"""Recipes -> batches of chunks. It holds settings only: the files to read come with each recipe."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import ceil
from typing import Any, NamedTuple, TypedDict, cast

import numpy as np
import torch
from torch import Tensor

from sepkit.arrays import Samples
from sepkit.component import AudioSpec, Augmentation, AugmentationConfig
from sepkit.data.draw import Cut, Recipe
from sepkit.precision import threads


class Batch(TypedDict):
    """One rank's part of a batch: mixture [batch, channel, time], targets [batch, source, channel, time], present
    [batch, source].

    `present` is false for a source that is absent, which is not silent: its target means nothing. `present_everywhere`
    and the `tracks` that each chunk is made of are those of the parts of all ranks.
    """

    mixture: Tensor
    targets: Tensor
    present: Tensor
    present_everywhere: Tensor
    tracks: list[tuple[str, ...]]


def to_tensors(arrays: dict[str, Any]) -> Batch:
    """Return a batch of arrays as tensors, its audio in pinned memory if there is CUDA to copy from it."""
    batch = {key: value if key == "tracks" else torch.from_numpy(value) for key, value in arrays.items()}
    if torch.cuda.is_available():
        batch |= {key: batch[key].pin_memory() for key in ("mixture", "targets")}
    return cast("Batch", batch)


def on_device(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mixture and targets on a device. `present` stays on the CPU, where it selects sources."""
    return batch["mixture"].to(device, non_blocking=True), batch["targets"].to(device, non_blocking=True)


class RankSlice(NamedTuple):
    """The recipes of a batch, of which this rank makes those from `first` to `stop`."""

    recipes: Sequence[Recipe]
    first: int
    stop: int


class Chunks:
    """Makes batches of chunks of `length` samples, each changed by the augmentations as its own seed says."""

    def __init__(self, audio: AudioSpec, length: int, augmentations: tuple[AugmentationConfig, ...] = ()) -> None:
        self._audio = audio
        self._length = length
        self._settings = augmentations

    def __call__(self, part: RankSlice) -> dict[str, Any]:
        """Return the arrays of one `Batch`, computed by one thread: sums by several differ in the last bit."""
        recipes, audio = part.recipes[part.first : part.stop], self._audio
        mixture = np.empty((len(recipes), audio.channels, self._length), np.float32)
        targets = np.empty((len(recipes), len(audio.sources), audio.channels, self._length), np.float32)
        with threads(1):
            for number, recipe in enumerate(recipes):
                stems, mixed = self._make(recipe)
                targets[number] = stems[:-1, :, : self._length]
                mixture[number] = mixed[:, : self._length]
        return {
            "mixture": mixture,
            "targets": targets,
            "present": np.array([recipe.present for recipe in recipes]),
            "present_everywhere": np.array([recipe.present for recipe in part.recipes]),
            "tracks": [recipe.tracks for recipe in part.recipes],
        }

    @cached_property
    def _augmentations(self) -> list[Augmentation]:
        """Built by each worker for itself."""
        return [settings.build(self._audio) for settings in self._settings]

    def _make(self, recipe: Recipe) -> tuple[Samples, Samples]:
        rng = np.random.default_rng(recipe.seed)
        chosen = [rng.random() < settings.probability for settings in self._settings]
        stretches = [settings.stretch for settings, on in zip(self._settings, chosen, strict=True) if on]
        length = ceil(self._length * float(np.prod(stretches)))
        stems = np.stack([self._sum(cuts, length) for cuts in recipe.stems])
        mixture = stems.sum(0)
        for augment, on in zip(self._augmentations, chosen, strict=True):
            if on:
                stems, mixture = augment(stems, mixture, rng)
        return stems, mixture

    def _sum(self, cuts: tuple[Cut, ...], length: int) -> Samples:
        if len(cuts) == 1 and cuts[0].gain == 1:
            return cuts[0].part.read(self._audio, cuts[0].start, length)
        total = np.zeros((self._audio.channels, length), np.float32)
        for cut in cuts:
            total += np.float32(cut.gain) * cut.part.read(self._audio, cut.start, length)
        return total
