"""Separate signals with a model file, block by block, into stems that add up to the signal."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from sepkit import device as devices
from sepkit.arrays import Samples
from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import ModelFile
from sepkit.component import check_stem_name
from sepkit.errors import ConfigError, did_you_mean
from sepkit.separation.engine.engine import Engine
from sepkit.separation.stream import Recipe, separated
from sepkit.settings import SeparateSettings
from sepkit.songs.engines import Backend, Band, Networks

if TYPE_CHECKING:
    from torch import Tensor, device

    Signal = TypeVar("Signal", Tensor, Samples)

# A batch may hold songs of any number of rates and channel counts, and each has an engine of its own.
_MOST_ENGINES = 2


class SignalSeparator:
    """Separates signals with one model.

    The network runs at the song's own rate and on its own channels if the model can do that ("full" band);
    otherwise, or with `band="model"`, the song is resampled to the rate that the model was trained at, and back.
    """

    def __init__(
        self,
        model: ModelFile,
        device: device | str,
        *,
        band: Band = "full",
        backend: Backend = "auto",
        residual: str | None = None,
    ) -> None:
        """`residual` names mixture - targets; "" leaves it out; None takes the name in the model file."""
        self.model = model
        self.device = str(device)
        self.band = band
        self._networks = Networks(model, self.device, band, backend)
        self._engines: dict[tuple[int, int], Engine] = {}  # the two that were used last
        self.residual = self.settings.residual if residual is None else residual
        _check_residual(self.residual, self.sources)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", **options: Any) -> Self:
        """Load a model file on "auto", "cpu", "cuda" or "mps". Options as for the class.

        Raises:
            ModelFileError: the file is missing, corrupt, or needs a plugin that is not installed.
            ConfigError: the device is not available.
        """
        return cls(model_file.load(Path(path)), devices.choose(device), **options)

    @property
    def sources(self) -> tuple[str, ...]:
        """The stems that the network estimates."""
        return self.model.manifest.audio.sources

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems that a song is separated into by default: the sources, and the residual last if there is one."""
        return (*self.sources, self.residual) if self.residual else self.sources

    @property
    def adds_up(self) -> bool:
        """True if `stems` add up to the song: one of them is the residual, or the model shares out all of the song."""
        manifest = self.model.manifest
        return bool(self.residual) or (self.band == "full" and manifest.model.adds_up(manifest.audio))

    @property
    def available(self) -> tuple[str, ...]:
        """All stems that can be asked for: `stems`, and the complement of each source."""
        return tuple(self.recipes)

    def complement(self, source: str) -> str:
        """Return the name of the mixture minus one source: "instrumental" of vocals, "no_drums" of drums.

        Raises:
            ConfigError: the model has no such source.
        """
        self.check_stems([source], self.sources)
        taken = self.stems if len(self.sources) > 1 else self.sources  # of one source, it is the residual
        names = ("instrumental" if source == "vocals" else f"no_{source}", f"no_{source}", f"without_{source}")
        return next(name for name in names if name not in taken)

    @property
    def recipes(self) -> dict[str, Recipe]:
        """The way to make each of `available` from the sources and the mixture."""
        recipes: dict[str, Recipe] = {source: number for number, source in enumerate(self.sources)}
        if self.residual:
            recipes[self.residual] = slice(None)
        return recipes | {self.complement(source): slice(n, n + 1) for n, source in enumerate(self.sources)}

    @property
    def settings(self) -> SeparateSettings:
        """The chunk length and overlap that the model file asks for."""
        return self.model.manifest.separate

    def __call__(self, mixture: Signal, sample_rate: int) -> dict[str, Signal]:
        """Separate [channel, time] float into {stem: [channel, time]} of the same rate, channels and length.

        The sources and the residual add up to the mixture. A torch tensor gives torch tensors on the CPU, and a numpy
        array gives arrays, all float32.
        """
        samples: Samples
        samples, give = _as_array(mixture)
        nothing = np.empty((len(self.stems), len(samples), 0), np.float32)
        whole = np.concatenate([nothing, *self._stream([samples], sample_rate, self.stems)], -1)
        return {stem: give(signal) for stem, signal in zip(self.stems, whole, strict=True)}

    def stream(
        self, blocks: Iterable[Signal], sample_rate: int, stems: Sequence[str] = ()
    ) -> Generator[dict[str, Signal], None, None]:
        """Separate blocks [channel, any] of a song into blocks of its stems, as soon as these are known.

        `stems` are some of `available`; those of `stems` if empty. Memory does not depend on the length, and the
        samples do not depend on the blocks.
        """
        names = stems or self.stems
        give: Callable[[Samples], Any] = _same

        def arrays() -> Iterator[Samples]:
            nonlocal give
            for block in blocks:
                array: Samples
                array, give = _as_array(block)
                yield array

        for part in self._stream(arrays(), sample_rate, names):
            yield {stem: give(signal) for stem, signal in zip(names, part, strict=True)}

    def check_stems(self, names: Iterable[str], known: Sequence[str] = ()) -> None:
        """Raise ConfigError for a name that is none of `known` (`available` if empty)."""
        known = known or self.available
        for name in names:
            if name not in known:
                listed = ", ".join(known)
                raise ConfigError(f'the model makes no stem "{name}".{did_you_mean(name, known)} It makes: {listed}')

    def prepare(self) -> None:
        """Export the network now, if it needs that: several processes to come would all do it."""
        self._networks.prepare()

    def engine(self, sample_rate: int, channels: int) -> Engine:
        """Return the engine that runs the network for songs of a rate and a channel count."""
        kind = sample_rate, channels
        engine = self._engines.pop(kind, None) or self._networks.engine(*kind)
        self._engines = dict([*self._engines.items(), (kind, engine)][-_MOST_ENGINES:])
        return engine

    def _stream(
        self, blocks: Iterable[Samples], sample_rate: int, stems: Sequence[str]
    ) -> Generator[Samples, None, None]:
        """Yield blocks [stem, channel, any]."""
        coming = iter(blocks)
        first = next(coming, None)
        if first is not None:
            engine = self.engine(sample_rate, len(first))
            recipes = [self.recipes[stem] for stem in stems]
            yield from separated(engine, chain([first], coming), sample_rate, recipes)


def _as_array(signal: Any) -> tuple[Samples, Callable[[Samples], Any]]:
    """Return a signal as an array, and the function that converts arrays to the kind of the signal."""
    if isinstance(signal, np.ndarray):
        return signal.astype(np.float32, copy=False), _same
    import torch

    samples: Samples = signal.detach().float().cpu().numpy()
    return samples, lambda array: torch.from_numpy(np.ascontiguousarray(array))


def _same(array: Samples) -> Samples:
    return array


def _check_residual(name: str, sources: tuple[str, ...]) -> None:
    if name in sources:
        raise ConfigError(f'the residual cannot be called "{name}": the model has a source of that name')
    try:
        check_stem_name(name or "none")
    except ValueError as error:
        raise ConfigError(f"--residual: {error}") from None
