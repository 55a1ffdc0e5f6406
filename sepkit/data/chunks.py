"""Recipes -> batches of chunks. Holds settings only: what a worker reads comes with each recipe."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import ceil
from typing import NamedTuple, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sepkit.arrays import Samples
from sepkit.component import AudioSpec, Augmentation, AugmentationConfig
from sepkit.data.draw import Clip, Recipe
from sepkit.precision import threads


class Batch(TypedDict):
    """One rank's share of a batch: mixture [batch, channel, time], targets [batch, source, channel, time], present
    [batch, source].

    Present is false where a source is absent, which is not silent: its target means nothing. Of the shares of all
    ranks there are `present_everywhere`, and the `tracks` that each chunk is made of.
    """

    mixture: Tensor
    targets: Tensor
    present: Tensor
    present_everywhere: Tensor
    tracks: list[tuple[str, ...]]


class Arrays(TypedDict):
    """The same as it comes from a worker."""

    mixture: NDArray[np.float32]
    targets: NDArray[np.float32]
    present: NDArray[np.bool_]
    present_everywhere: NDArray[np.bool_]
    tracks: list[tuple[str, ...]]


def tensors(batch: Arrays) -> Batch:
    """Return a batch as tensors, its audio in pinned memory where there is CUDA to copy from it."""
    mixture, targets = torch.from_numpy(batch["mixture"]), torch.from_numpy(batch["targets"])
    if torch.cuda.is_available():
        mixture, targets = mixture.pin_memory(), targets.pin_memory()
    return {
        "mixture": mixture,
        "targets": targets,
        "present": torch.from_numpy(batch["present"]),
        "present_everywhere": torch.from_numpy(batch["present_everywhere"]),
        "tracks": batch["tracks"],
    }


def on_device(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return mixture and targets on a device. What is present decides what is computed, and stays with the CPU."""
    return batch["mixture"].to(device, non_blocking=True), batch["targets"].to(device, non_blocking=True)


class Share(NamedTuple):
    """The recipes of a batch, of which this rank makes those from `first` to `stop`."""

    recipes: Sequence[Recipe]
    first: int
    stop: int


class Chunks:
    """Makes batches of chunks of `frames` frames, each changed by the augmentations as its own seed says."""

    def __init__(self, audio: AudioSpec, frames: int, augmentations: tuple[AugmentationConfig, ...] = ()) -> None:
        self._audio = audio
        self._frames = frames
        self._settings = augmentations

    def __call__(self, share: Share) -> Arrays:
        """Return one batch, computed by one thread: sums by several differ in the last bit."""
        with threads(1):  # as in a worker, where nothing is to be done
            return self._batch(share)

    def _batch(self, share: Share) -> Arrays:
        audio, recipes = self._audio, share.recipes[share.first : share.stop]
        count = len(recipes)
        targets = np.empty((count, len(audio.sources), audio.channels, self._frames), np.float32)
        mixture = np.empty((count, audio.channels, self._frames), np.float32)
        for number, recipe in enumerate(recipes):
            parts, mixed = self._make(recipe)
            targets[number] = parts[:-1, :, : self._frames]
            mixture[number] = mixed[:, : self._frames]
        return {
            "mixture": mixture,
            "targets": targets,
            "present": np.array([recipe.present for recipe in recipes]),
            "present_everywhere": np.array([recipe.present for recipe in share.recipes]),
            "tracks": [recipe.tracks for recipe in share.recipes],
        }

    def __getstate__(self) -> dict[str, object]:
        """Leave out the built augmentations: each worker builds its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_augmentations"}

    @cached_property
    def _augmentations(self) -> list[Augmentation]:
        return [settings.build(self._audio) for settings in self._settings]

    def _make(self, recipe: Recipe) -> tuple[Samples, Samples]:
        rng = np.random.default_rng(recipe.seed)
        chosen = [rng.random() < settings.probability for settings in self._settings]
        stretches = [settings.stretch for settings, on in zip(self._settings, chosen, strict=True) if on]
        frames = ceil(self._frames * float(np.prod(stretches)))
        parts = np.stack([self._sum(clips, frames) for clips in recipe.parts])
        mixture = parts.sum(0)
        for augment, on in zip(self._augmentations, chosen, strict=True):
            if on:
                parts, mixture = augment(parts, mixture, rng)
        return parts, mixture

    def _sum(self, clips: tuple[Clip, ...], frames: int) -> Samples:
        if len(clips) == 1 and clips[0].gain == 1:
            return clips[0].part.read(self._audio, clips[0].start, frames)
        total = np.zeros((self._audio.channels, frames), np.float32)
        for clip in clips:
            total += np.float32(clip.gain) * clip.part.read(self._audio, clip.start, frames)
        return total
