"""Which network runs a song, and what runs the network: its own rate and ONNX Runtime where they are possible."""

import logging
from typing import Literal

import torch
from torch import nn

from sepkit.checkpoints.model_file import ModelFile
from sepkit.component import AudioSpec
from sepkit.errors import ConfigError, SepkitError, reason
from sepkit.export import sealed
from sepkit.separation.engine.engine import Engine
from sepkit.separation.engine.folding import fold
from sepkit.separation.engine.memory import give_back
from sepkit.separation.engine.onnx_network import OnnxNetwork, available
from sepkit.separation.overlap_add import Chunking

log = logging.getLogger(__name__)

Band = Literal["full", "model"]
Backend = Literal["auto", "torch", "onnx"]


def build(
    model: ModelFile, device: torch.device, band: Band, backend: Backend, sample_rate: int, channels: int
) -> Engine:
    """Return an engine for songs of a rate and a channel count.

    Raises:
        ModelFileError: the weights do not fit the network.
        ConfigError: the backend cannot run this model here.
    """
    try:
        wanted = AudioSpec(sample_rate, channels, model.manifest.audio.sources)
    except ValueError:
        raise ConfigError(f"songs of {channels} channels at {sample_rate} Hz are not separated here") from None
    network, audio = _network(model, band, wanted)
    settings = model.manifest.separate
    chunking = Chunking.of(settings.chunk_seconds, settings.overlap, audio.sample_rate)
    engine = Engine(network, device, audio.sample_rate, audio.channels, chunking)
    obstacle = _obstacle(model, network, device) if backend != "torch" else "it was not asked for"
    if backend == "onnx" and obstacle:
        raise ConfigError(f"ONNX Runtime cannot run this model: {obstacle}; --backend torch can")
    if obstacle or not _taken_over(model, network, engine.threads, optional=backend == "auto"):
        fold(network)
    network.to(device)
    give_back()  # weights pass through several forms on their way into an engine
    return engine


def _network(model: ModelFile, band: Band, wanted: AudioSpec) -> tuple[nn.Module, AudioSpec]:
    """Return the network, and what it hears."""
    trained = model.manifest.audio
    wide = model.full_band(wanted) if band == "full" and wanted != trained else None
    return (model.network(), trained) if wide is None else (wide, wanted)


def _obstacle(model: ModelFile, network: nn.Module, device: torch.device) -> str:
    """Return why ONNX Runtime cannot run a network, or nothing."""
    if device.type != "cpu":
        return f"it runs on the CPU, not on {device.type}"
    if not available():
        return "it is not installed (pip install 'sepkit[onnx]')"
    if not hasattr(network, "mask_network"):
        return f'the model "{model.manifest.model.name}" has no part that can be exported, a mask_network'
    if not model.checksum:
        return "it is no file, and what is exported is kept by its checksum"
    return ""


def _taken_over(model: ModelFile, network: nn.Module, threads: int, *, optional: bool) -> bool:
    """Put ONNX Runtime in the place of the mask network, and return whether that worked."""
    try:
        exported = sealed.cached(model, network)
        network.mask_network = OnnxNetwork(exported, max(1, torch.get_num_threads() // threads))
    except Exception as error:
        why = str(error) if isinstance(error, SepkitError) else reason(error)
        if not optional:
            raise ConfigError(f"ONNX Runtime cannot run this model ({why}); --backend torch can") from error
        log.warning("ONNX Runtime cannot run this model (%s), so PyTorch does, which is slower", why)
        return False
    return True
