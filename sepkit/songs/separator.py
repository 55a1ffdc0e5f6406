"""The separator: a model file and a song in, stems that add up to the song out, block by block."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sepkit import device as devices
from sepkit.audio.resample import resampled
from sepkit.audio.writing.encoding import BitDepth, Format
from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import ModelFile
from sepkit.component import check_stem_name
from sepkit.errors import ConfigError, did_you_mean
from sepkit.separation.engine.engine import Engine
from sepkit.separation.engine.memory import give_back
from sepkit.separation.fifo import Fifo
from sepkit.separation.in_order import in_order
from sepkit.separation.overlap_add import Chunk, cross_fade, cut
from sepkit.settings import SeparateSettings
from sepkit.songs.batch import separate_one
from sepkit.songs.engines import Backend, Band, build
from sepkit.songs.inputs import Song, track_name
from sepkit.songs.job import Wish, Written
from sepkit.songs.output import Output

log = logging.getLogger(__name__)

Stems = dict[str, Tensor]

# A batch may hold songs of any number of rates and channel counts, and each has a network of its own.
_MOST_ENGINES = 2
# Blocks, two of each chunk, after which memory is tidied: a fifteenth of the time, and some tens of megabytes in songs
# of hours.
_TIDY = 2


class Separator:
    """Separates songs with one model.

    The network runs at the song's own rate and on its own channels where the model can do that ("full" band);
    otherwise, or with `band="model"`, the song is resampled to the rate that the model was trained at, and back.
    """

    def __init__(
        self,
        model: ModelFile,
        device: torch.device,
        *,
        band: Band = "full",
        backend: Backend = "auto",
        residual: str | None = None,
    ) -> None:
        """`residual` names mixture - targets; "" leaves it out; None takes the name in the model file."""
        self.model = model
        self.device = device
        self.band = band
        self._backend: Backend = backend
        self._engines: dict[tuple[int, int], Engine] = {}  # the two that were used last
        self.residual = self.settings.residual if residual is None else residual
        _check_residual(self.residual, self.sources)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", **options: Any) -> Separator:
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
        """All stems that a song is separated into: the sources, and the residual last if there is one."""
        return (*self.sources, self.residual) if self.residual else self.sources

    @property
    def settings(self) -> SeparateSettings:
        """The chunk length and overlap that the model file asks for."""
        return self.model.manifest.separate

    def __call__(self, mixture: Tensor, sample_rate: int) -> Stems:
        """Separate [channel, time] float into {stem: [channel, time]} of the same rate, channels and length.

        The sources and the residual add up to the mixture.
        """
        mixture = mixture.float().cpu()
        parts = list(self.stream([mixture], sample_rate))
        return {stem: torch.cat([mixture[..., :0], *(part[stem] for part in parts)], -1) for stem in self.stems}

    def stream(self, blocks: Iterable[Tensor], sample_rate: int) -> Generator[Stems, None, None]:
        """Separate a song that comes in blocks [channel, any] into blocks of its stems, as soon as they are known.

        Memory does not depend on the length, and the samples do not depend on the blocks.
        """
        mixture = Fifo()
        for estimates in self._estimates(_kept(blocks, mixture), sample_rate):
            piece = mixture.take(estimates.shape[-1])
            stems = dict(zip(self.sources, estimates[..., : piece.shape[-1]], strict=True))
            if self.residual:
                stems[self.residual] = piece - _sum([stems[source] for source in self.sources])
            yield stems

    def separate_file(
        self,
        path: str | Path,
        output: str | Path,
        *,
        stems: tuple[str, ...] = (),
        format: Format | None = None,  # noqa: A002
        bit_depth: BitDepth | None = None,
        template: str = "",
        start: float = 0.0,
        duration: float = 0.0,
        overwrite: bool = False,
        track: str = "",
    ) -> Written:
        """Separate an audio file of any length into `output`.

        Args:
            path: The song.
            output: A folder that gets `<track>/<stem>.<format>`, or a file name with an audio ending that gets the
                first stem alone.
            stems: Which stems to write; all if empty.
            format: "wav" (the default), "flac", "mp3", "ogg", "aiff" or "stem.mp4".
            bit_depth: "16" (the default), "24" or "float", where the format has one.
            template: Names the files in the folder, such as "{artist} - {title}/{stem}".
            start: Seconds of the song that are left out at its beginning.
            duration: Seconds to separate; 0: up to the end.
            overwrite: Replace earlier stems.
            track: The name of the track; by default that of the file.

        Raises:
            AudioError: the song cannot be read, or the stems cannot be written.
            ConfigError: a stem that the model does not make, or output that exists.
        """
        to = Output.of(Path(output), format, bit_depth, template)
        wish = Wish(to, stems, start, duration, overwrite)
        return separate_one(self, Song(Path(path), track or track_name(Path(path))), wish)

    def check_stems(self, names: Iterable[str]) -> None:
        """Raise ConfigError for a name that is none of `stems`."""
        for name in names:
            if name not in self.stems:
                known = ", ".join(self.stems)
                raise ConfigError(
                    f'the model makes no stem "{name}".{did_you_mean(name, self.stems)} It makes: {known}'
                )

    def engine(self, sample_rate: int, channels: int) -> Engine:
        """Return what runs the network for songs of this kind."""
        kind = sample_rate, channels
        engine = self._engines.pop(kind, None) or build(self.model, self.device, self.band, self._backend, *kind)
        self._engines = dict([*self._engines.items(), (kind, engine)][-_MOST_ENGINES:])
        return engine

    def _estimates(self, blocks: Iterator[Tensor], sample_rate: int) -> Iterator[Tensor]:
        """Yield estimates [source, channel, any] of the sources, at the rate of the song."""
        first = next(blocks, None)
        if first is None:
            return
        engine = self.engine(sample_rate, len(first))
        whole = chain([first], blocks)
        if engine.sample_rate == sample_rate:
            yield from _run(engine, whole, len(first))
            return
        low = resampled((block.numpy() for block in whole), sample_rate, engine.sample_rate)
        estimates = _run(engine, map(torch.from_numpy, low), len(first))
        flat = (estimate.flatten(0, 1).numpy() for estimate in estimates)
        for block in resampled(flat, engine.sample_rate, sample_rate):
            yield torch.from_numpy(block).unflatten(0, (len(self.sources), len(first)))


def _run(engine: Engine, blocks: Iterable[Tensor], channels: int) -> Iterator[Tensor]:
    """Yield the estimates [source, channel, any] of a network for blocks [channel, any] at its rate."""
    threads = engine.threads
    with devices.threads(max(1, torch.get_num_threads() // threads)):
        batches = _batches(cut(blocks, engine.chunking), engine.batch(channels))
        done = in_order(lambda chunks: engine(_stacked([chunk.samples for chunk in chunks])), batches, threads)
        yield from _tidied(cross_fade(_single(done), engine.chunking))


def _tidied(blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """Pass blocks on, and now and then return to the system what threads have left between what is in use."""
    for number, block in enumerate(blocks, 1):
        yield block
        if not number % _TIDY:
            give_back()


def _batches(chunks: Iterator[Chunk], size: int) -> Iterator[tuple[Chunk, ...]]:
    """Yield up to `size` chunks of one length at a time: the last one may be shorter."""
    while some := tuple(islice(chunks, size)):
        for _, equal in groupby(some, lambda chunk: chunk.samples.shape[-1]):
            yield tuple(equal)


def _stacked(chunks: list[Tensor]) -> Tensor:
    return chunks[0][None] if len(chunks) == 1 else torch.stack(chunks)


def _sum(sources: list[Tensor]) -> Tensor:
    return sources[0] if len(sources) == 1 else torch.stack(sources).sum(0)


def _single(batches: Iterable[tuple[tuple[Chunk, ...], Tensor]]) -> Iterator[tuple[Chunk, Tensor]]:
    for chunks, estimates in batches:
        yield from zip(chunks, _finite(estimates), strict=True)


def _finite(estimates: Tensor) -> Tensor:
    """A network may overflow where a song is far beyond full scale; what it cannot tell goes to the residual."""
    if estimates.sum().isfinite() or estimates.isfinite().all():  # the first is quicker, and surer than it needs to be
        return estimates
    log.warning("the network gave samples that are not finite (NaN or infinity); they are taken as silence")
    return estimates.nan_to_num(0.0, 0.0, 0.0)


def _kept(blocks: Iterable[Tensor], fifo: Fifo) -> Iterator[Tensor]:
    """Pass blocks on, and keep them until the estimates that belong to them have come."""
    for block in blocks:
        fifo.put(block)
        yield block


def _check_residual(name: str, sources: tuple[str, ...]) -> None:
    if name in sources:
        raise ConfigError(f'the residual cannot be called "{name}": the model has a source of that name')
    try:
        check_stem_name(name or "none")
    except ValueError as error:
        raise ConfigError(f"--residual: {error}") from None
