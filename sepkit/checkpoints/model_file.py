"""A trained model on disk: weights, and a manifest that says how to build the network they belong to.

Nothing in a file can run code: the network is built from validated settings by an installed component.
"""

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from sepkit.atomic import Commit
from sepkit.checkpoints import tensor_file
from sepkit.component import AudioSpec
from sepkit.config import AnyModel, RunConfig
from sepkit.config_errors import explain
from sepkit.errors import ModelFileError, PluginError, reason
from sepkit.plugins import install, unused
from sepkit.registry import MODELS
from sepkit.settings import SeparateSettings


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
    """A loaded file: `manifest`, `weights` as the network's state dict, and the file's sha256 where it is known."""

    path: Path
    manifest: Manifest
    weights: dict[str, Tensor]
    checksum: str = ""

    def network(self) -> nn.Module:
        """Return the network in evaluation mode, with its weights.

        Raises:
            ModelFileError: the weights do not fit the network that this version of its component builds.
        """
        try:
            with torch.device("meta"):
                expected = self.manifest.model.build(self.manifest.audio).state_dict()
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise ModelFileError(f"{self.path}: its network cannot be built ({reason(error)})") from None
        check_weights(self.path, expected, self.weights)
        return self._filled(self.manifest.model.build(self.manifest.audio))

    def full_band(self, wanted: AudioSpec) -> nn.Module | None:
        """Return the network with its weights at another rate and channel count, or None if it cannot do that.

        Raises:
            ModelFileError: as for `network`.
        """
        wide = self.manifest.model.full_band(self.manifest.audio, wanted)
        if wide is not None:
            check_weights(self.path, wide.state_dict(), self.weights)
            self._filled(wide)
        return wide

    def _filled(self, network: nn.Module) -> nn.Module:
        network.load_state_dict(self.weights, strict=True)
        return network.eval()


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


def stage(commit: Commit, path: Path, network: nn.Module, manifest: dict[str, Any]) -> None:
    """Stage a file of the weights of `network` and the manifest, to become `path` with the commit."""
    tensor_file.stage(commit, path, network.state_dict(), manifest)


def load(path: Path) -> ModelFile:
    """Read a model file, or the model in the state file of a run.

    Raises:
        ModelFileError: the file is missing, corrupt or of a newer format, or its model's plugin is missing or not used.
    """
    values, tensors = tensor_file.read(path)
    if "state" in values:
        tensors = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelFileError(f"{path}: weights that are not finite ({name}); use an earlier file")
    return ModelFile(path, parse_manifest(path, values), tensors, _checksum(path, values))


def _checksum(path: Path, values: dict[str, Any]) -> str:
    """Return the sha256 in a file, or nothing where another file has replaced it since its manifest was read."""
    try:
        with safe_open(path, "pt") as file:
            manifest = json.loads(file.metadata()["sepkit"])
        checksum = str(manifest.pop("sha256"))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return ""
    return checksum if manifest == values else ""


def parse_manifest(path: Path, values: dict[str, Any]) -> Manifest:
    """Validate the manifest of a file, or name what it lacks."""
    try:
        provider = Provider.model_validate(values.get("provider"))
        model = values.get("model")
        _require(path, str(model.get("name") if isinstance(model, dict) else model), provider)
        return Manifest.model_validate(values)
    except ValidationError as error:
        raise ModelFileError(f"{path}: its manifest does not fit this version: {explain(error)}") from None


def _require(path: Path, model: str, provider: Provider) -> None:
    try:
        MODELS.get(model)
    except PluginError as error:
        needs = f'{path}: needs the model "{model}" of {provider.distribution} {provider.version}'
        if (plugin := unused(provider.distribution)) is not None:
            installed = f"{plugin.distribution} {plugin.version}"
            raise ModelFileError(f"{needs}. {installed} is installed, but {plugin.state}: {plugin.error}") from None
        command = install(provider.distribution, provider.version)
        raise ModelFileError(f"{needs}. Install it: {command} ({error})") from None


def check_weights(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Raise ModelFileError unless both state dicts have the same names, shapes and dtypes."""
    faults = sorted(misfits(expected, found).values())
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise ModelFileError(f"{path}: weights do not fit the model: {', '.join(faults[:5])}{more}")


def misfits(expected: dict[str, Tensor], found: dict[str, Tensor]) -> dict[str, str]:
    """Return {name: what is wrong} where two state dicts differ in names, shapes or dtypes."""

    def described(tensor: Tensor) -> str:
        return f"{tuple(tensor.shape)} {tensor.dtype}".replace("torch.", "")

    want, have = ({name: described(t) for name, t in weights.items()} for weights in (expected, found))
    faults = {name: f"{name} missing" for name in want.keys() - have.keys()}
    faults |= {name: f"{name} unknown" for name in have.keys() - want.keys()}
    both = sorted(want.keys() & have.keys())
    return faults | {n: f"{n} is {have[n]}, not {want[n]}" for n in both if want[n] != have[n]}
