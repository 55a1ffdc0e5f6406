"""The choice of an engine for songs of a rate and a channel count: full band, and ONNX Runtime, where possible."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from sepkit.checkpoints.model_file import ModelFile
from sepkit.component import AudioSpec, SpectralFront
from sepkit.errors import ConfigError, SepkitError, reason
from sepkit.export.kept import kept_export
from sepkit.separation.engine.engine import Engine
from sepkit.separation.engine.memory import give_back
from sepkit.separation.engine.onnx_engine import MaskNetwork, OnnxEngine
from sepkit.separation.overlap_add import Chunking

log = logging.getLogger(__name__)

Band = Literal["full", "model"]
Backend = Literal["auto", "torch", "onnx"]


@dataclass
class Networks:
    """Makes the engines of one model on one device."""

    model: ModelFile
    device: str
    band: Band
    backend: Backend
    _masks: MaskNetwork | None = field(default=None, init=False)

    def engine(self, sample_rate: int, channels: int) -> Engine:
        """Return an engine for songs of a rate and a channel count.

        Raises:
            ModelFileError: the weights do not fit the network.
            ConfigError: the backend cannot run this model here.
        """
        try:
            wanted = AudioSpec(sample_rate, channels, self.model.manifest.audio.sources)
        except ValueError:
            raise ConfigError(f"songs of {channels} channels at {sample_rate} Hz are not separated here") from None
        if self.backend == "torch":
            return self._torch(wanted)
        try:
            front, audio = self._front(wanted)
            obstacle = self._obstacle(front)
            if front is not None and not obstacle:
                return OnnxEngine(front, self._mask_network(), *self._shape(audio))
        except Exception as error:
            why = str(error) if isinstance(error, SepkitError) else reason(error)
            if self.backend == "onnx":
                raise ConfigError(f"ONNX Runtime cannot run this model ({why}); --backend torch can") from error
            engine = self._torch(wanted)
            log.warning("ONNX Runtime cannot run this model (%s), so PyTorch does, which is slower", why)
            return engine
        if self.backend == "onnx":
            raise ConfigError(f"ONNX Runtime cannot run this model: {obstacle}; --backend torch can")
        return self._torch(wanted)

    def prepare(self) -> None:
        """Export the network now if it is to run in ONNX Runtime, for processes to come; engines report an error."""
        if self.backend == "torch":
            return
        with suppress(Exception):
            trained = self.model.manifest.audio
            if not self._obstacle(self.model.manifest.model.spectral_front(trained, trained)):
                kept_export(self.model)

    def _mask_network(self) -> MaskNetwork:
        """One serves all rates and channel counts."""
        self._masks = self._masks or MaskNetwork(kept_export(self.model))
        return self._masks

    def _obstacle(self, front: SpectralFront | None) -> str:
        """Return the reason why ONNX Runtime cannot run the model, or nothing."""
        if self.device != "cpu":
            return f"it runs on the CPU, not on {self.device}"
        if front is None:
            return f'the model "{self.model.manifest.model.name}" has no spectral front'
        if not self.model.checksum:
            return "it is no file, and an export is kept by the checksum of the model file"
        return ""

    def _front(self, wanted: AudioSpec) -> tuple[SpectralFront | None, AudioSpec]:
        """Return the spectral front, and its rate and channels."""
        model, trained = self.model.manifest.model, self.model.manifest.audio
        wide = model.spectral_front(trained, wanted) if self.band == "full" else None
        return (model.spectral_front(trained, trained), trained) if wide is None else (wide, wanted)

    def _torch(self, wanted: AudioSpec) -> Engine:
        import torch

        from sepkit.separation.engine.torch_engine import TorchEngine

        trained = self.model.manifest.audio
        wide = self.model.full_band(wanted) if self.band == "full" and wanted != trained else None
        network, audio = (self.model.network(), trained) if wide is None else (wide, wanted)
        engine = TorchEngine(network, torch.device(self.device), *self._shape(audio))
        give_back()  # weights pass through several forms on their way into an engine
        return engine

    def _shape(self, audio: AudioSpec) -> tuple[int, int, Chunking]:
        settings = self.model.manifest.separate
        chunking = Chunking.of(settings.chunk_seconds, settings.overlap, audio.sample_rate)
        return audio.sample_rate, audio.channels, chunking
