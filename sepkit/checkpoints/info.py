"""The parameters and FLOPs of a network, and the manifest of a model file."""

import json
from collections import Counter
from math import isfinite, prod
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import safe_open
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sepkit.cache.speeds import speed_of
from sepkit.checkpoints import model_file
from sepkit.component import AudioSpec
from sepkit.config_errors import explain
from sepkit.errors import ConfigError
from sepkit.registry import MODELS

# Seconds of the signal whose FLOPs are counted, and scaled to a minute.
_PROBE_SECONDS = 12.0


def describe(subject: Path | str) -> dict[str, Any]:
    """Return the content and manifest of a file, or the defaults of a registered model; with parameters and FLOPs.

    Raises:
        ModelFileError: the file cannot be used.
        PluginError: no model has this name.
    """
    if isinstance(subject, Path):
        loaded = model_file.load(subject)
        manifest = _finite(loaded.manifest.model_dump(mode="json"))
        network = loaded.network()
        return {"file": str(subject), **_content(subject), **manifest, **cost(network, loaded.manifest.audio)}
    entry = MODELS.get(subject)
    try:
        model, audio = entry.component.model_validate({"name": subject}), AudioSpec()
    except ValidationError as error:
        raise ConfigError(
            f'the model "{subject}" has settings without defaults, so it cannot be described: {explain(error)}'
        ) from None
    provider = {"distribution": entry.plugin.distribution, "version": entry.plugin.version}
    values = {"model": model.model_dump(mode="json"), "provider": provider}
    return values | cost(model.build(audio), audio)


def _content(path: Path) -> dict[str, Any]:
    """Return kind, size and dtypes of a file that was verified: the sha256 is the one in its manifest."""
    with safe_open(path, "pt") as file:
        manifest = json.loads(file.metadata()["sepkit"])
        dtypes = Counter(str(file.get_tensor(name).dtype).removeprefix("torch.") for name in file.keys())  # noqa: SIM118
    return {
        "kind": "state of a run" if "state" in manifest else "model",
        "bytes": path.stat().st_size,
        "sha256": manifest["sha256"],
        "speed": speed_of(manifest["sha256"]),
        "tensors": dtypes.total(),
        "dtypes": dict(sorted(dtypes.items())),
    }


def _finite(value: Any) -> Any:
    """Return plain values with None, as strict JSON has it, for NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def cost(network: nn.Module, audio: AudioSpec) -> dict[str, Any]:
    """Return the number of parameters, and the FLOPs (a multiplication and an addition are two) of a minute of audio.

    FLOPs are those of convolutions and matrix products, as torch's own counter sees them.
    """
    network.eval()
    signal = torch.zeros(1, audio.channels, round(_PROBE_SECONDS * audio.sample_rate))
    lstm = {torch.ops.aten.mkldnn_rnn_layer: _lstm_flops}  # one operation on a CPU that the counter lacks
    with FlopCounterMode(display=False, custom_mapping=lstm) as counter, torch.no_grad():
        network(signal)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "gflop_per_minute": round(counter.get_total_flops() * 60 / _PROBE_SECONDS / 1e9, 2),
    }


def _lstm_flops(steps: list[int], inputs: list[int], hidden: list[int], *_: Any, **__: Any) -> int:
    """Return the FLOPs of a layer in one direction, from the shapes [time, batch, input] and of its two weights."""
    return 2 * steps[0] * steps[1] * (prod(inputs) + prod(hidden))
