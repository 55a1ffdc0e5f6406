"""The separator: a model file and a song in, stems that add up to the song out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sepkit import device as devices
from sepkit.audio.read import read
from sepkit.audio.resample import resample
from sepkit.audio.write import BitDepth
from sepkit.checkpoints import model_file
from sepkit.checkpoints.model_file import ModelFile
from sepkit.component import AudioSpec, check_stem_name
from sepkit.errors import ConfigError, did_you_mean
from sepkit.separation.output import Written, plan, write_stems
from sepkit.separation.overlap_add import Chunking, overlap_add
from sepkit.settings import SeparateSettings


@dataclass(frozen=True, slots=True)
class Engine:
    """A network ready to run, and the rate and channel count at which it runs."""

    network: nn.Module
    sample_rate: int
    channels: int


class Separator:
    """Separates songs with one model.

    The network runs at the song's own rate and on its own channels where the model can do that ("full" band);
    otherwise, or with `band="model"`, the song is resampled to the rate that the model was trained at, and back.
    """

    def __init__(
        self, model: ModelFile, device: torch.device, *, band: str = "full", residual: str | None = None
    ) -> None:
        """`residual` names mixture - targets; "" leaves it out; None takes the name in the model file."""
        self.model = model
        self.device = device
        self._band = band
        self._engines: dict[tuple[int, int], Engine] = {}
        self.residual = self.settings.residual if residual is None else residual
        _check_residual(self.residual, self.sources)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", **options: Any) -> Separator:
        """Load a model file on "auto", "cpu", "cuda" or "mps".

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

    def __call__(self, mixture: Tensor, sample_rate: int) -> dict[str, Tensor]:
        """Separate [channel, time] float into {stem: [channel, time]} of the same rate, channels and length.

        The sources and the residual add up to the mixture.
        """
        engine = self._engine(sample_rate, mixture.shape[0])
        mixture = mixture.float().cpu()
        if engine.sample_rate == sample_rate:
            estimates = self._run(engine, mixture)
        else:
            down = torch.from_numpy(resample(mixture.numpy(), sample_rate, engine.sample_rate))
            low = self._run(engine, down)
            up = resample(low.flatten(0, 1).numpy(), engine.sample_rate, sample_rate)[:, : mixture.shape[-1]]
            estimates = torch.from_numpy(np.ascontiguousarray(up)).unflatten(0, low.shape[:2])
        stems = dict(zip(self.sources, estimates, strict=True))
        if self.residual:
            stems[self.residual] = mixture - estimates.sum(0)
        return stems

    def separate_file(
        self,
        path: str | Path,
        output: str | Path,
        *,
        stems: tuple[str, ...] = (),
        bit_depth: BitDepth = "16",
        overwrite: bool = False,
        track: str = "",
    ) -> Written:
        """Separate an audio file into `output`, a folder that gets `<track>/<stem>.wav`, or a file name ending in .wav
        that gets the first stem alone.

        Args:
            path: The song.
            output: Where the stems go.
            stems: Which stems to write; all if empty.
            bit_depth: Of the WAV files.
            overwrite: Replace earlier stems.
            track: The name of the track's folder; by default that of the file.

        Raises:
            AudioError: the song cannot be read, or the stems cannot be written.
            ConfigError: a stem that the model does not make, or output that exists.
        """
        source, wanted = Path(path), stems or self.stems
        self.check_stems(wanted)
        files = plan(source, Path(output), track or source.stem, wanted, overwrite=overwrite)
        mixture, sample_rate = read(source)
        separated = self(torch.from_numpy(mixture), sample_rate)
        return write_stems(files, {stem: separated[stem].numpy() for stem in files}, sample_rate, bit_depth)

    def check_stems(self, names: Iterable[str]) -> None:
        """Raise ConfigError for a name that is none of `stems`."""
        for name in names:
            if name not in self.stems:
                known = ", ".join(self.stems)
                raise ConfigError(
                    f'the model makes no stem "{name}".{did_you_mean(name, self.stems)} It makes: {known}'
                )

    def _engine(self, sample_rate: int, channels: int) -> Engine:
        if (sample_rate, channels) not in self._engines:
            self._engines[sample_rate, channels] = self._build(sample_rate, channels)
        return self._engines[sample_rate, channels]

    def _build(self, sample_rate: int, channels: int) -> Engine:
        trained = self.model.manifest.audio
        wanted = AudioSpec(sample_rate, channels, trained.sources)
        wide = self.model.full_band(wanted) if self._band == "full" and wanted != trained else None
        if wide is not None:
            return Engine(wide.to(self.device), sample_rate, channels)
        return Engine(self.model.network().to(self.device), trained.sample_rate, trained.channels)

    def _run(self, engine: Engine, mixture: Tensor) -> Tensor:
        """[channel, time] at the engine's rate -> [source, channel, time]."""
        chunking = Chunking.of(self.settings.chunk_seconds, self.settings.overlap, engine.sample_rate)

        def process(chunk: Tensor) -> Tensor:
            if len(chunk) == engine.channels:
                result: Tensor = engine.network(chunk[None].to(self.device))[0]
                return result.float().cpu()
            # One channel at a time keeps the stereo image of a model that hears fewer or more channels.
            batch = chunk[:, None].expand(-1, engine.channels, -1).to(self.device)
            estimates: Tensor = engine.network(batch).mean(2).transpose(0, 1)
            return estimates.float().cpu()

        with torch.inference_mode():
            return overlap_add(process, mixture, chunking)


def _check_residual(name: str, sources: tuple[str, ...]) -> None:
    if name in sources:
        raise ConfigError(f'the residual cannot be called "{name}": the model has a source of that name')
    try:
        check_stem_name(name or "none")
    except ValueError as error:
        raise ConfigError(f"--residual: {error}") from None
