"""What a network costs, and what a model file says of itself."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sepkit.checkpoints import model_file
from sepkit.component import AudioSpec
from sepkit.errors import ConfigError
from sepkit.registry import MODELS

# Seconds of the signal whose FLOPs are counted, and scaled to a minute.
_PROBE_SECONDS = 12.0


def describe(subject: Path | str) -> dict[str, Any]:
    """Return the manifest of a file, or the defaults of a registered model, with parameters and FLOPs.

    Raises:
        ModelFileError: the file cannot be used.
        PluginError: no model has this name.
    """
    if isinstance(subject, Path):
        loaded = model_file.load(subject)
        manifest = loaded.manifest.model_dump(mode="json")
        return {"file": str(subject), **manifest, **cost(loaded.network(), loaded.manifest.audio)}
    entry = MODELS.get(subject)
    try:
        model, audio = entry.component.model_validate({"name": subject}), AudioSpec()
    except ValueError as error:
        raise ConfigError(
            f'the model "{subject}" has settings without defaults, so it cannot be described: {error}'
        ) from None
    provider = {"distribution": entry.plugin.distribution, "version": entry.plugin.version}
    values = {"model": model.model_dump(mode="json"), "provider": provider}
    return values | cost(model.build(audio), audio)


def cost(network: nn.Module, audio: AudioSpec) -> dict[str, Any]:
    """Return the number of parameters, and the FLOPs (a multiplication and an addition are two) of a minute of audio.

    FLOPs are those of convolutions and matrix products, as torch's own counter sees them.
    """
    network.eval()
    signal = torch.zeros(1, audio.channels, round(_PROBE_SECONDS * audio.sample_rate))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(signal)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "gflop_per_minute": round(counter.get_total_flops() * 60 / _PROBE_SECONDS / 1e9, 2),
    }
