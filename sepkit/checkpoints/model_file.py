"""A trained model on disk: weights, and a manifest from which their network is built.

Nothing in a file can run code: the network is built from validated settings by an installed component.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sepkit.atomic import Commit
from sepkit.checkpoints import tensor_file
from sepkit.checkpoints.stored_tensors import StoredTensor
from sepkit.component import AudioSpec
from sepkit.config import AnyModel, RunConfig
from sepkit.config_errors import explain
from sepkit.errors import ModelFileError, PluginError, reason
from sepkit.plugins import install, unused
from sepkit.registry import MODELS
from sepkit.settings import SeparateSettings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Provider(BaseModel):
    """The package that a model component comes from."""

    model_config = ConfigDict(frozen=True)

    distribution: str
    version: str


class Manifest(BaseModel):
    """The description of a model in its file. Unknown keys pass: a state file holds more.

    Attributes:
        learned_from: The corpora, each with its licence.
        score: A measured score with its songs, as text.
    """

    model_config = ConfigDict(frozen=True)

    format: int = tensor_file.FORMAT
    sepkit: str
    provider: Provider
    audio: AudioSpec
    model: AnyModel
    separate: SeparateSettings
    licence: str = ""
    learned_from: tuple[str, ...] = ()
    score: str = ""
    epoch: int = 0
    step: int = 0
    metrics: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True)
class ModelFile:
    """A loaded file: its manifest, and its sha256. A model that exists in memory alone has its `state` instead.

    The weights are read when a network is built, as separation without PyTorch needs none.
    """

    path: Path
    manifest: Manifest
    state: dict[str, Tensor] | None = None
    checksum: str = ""

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The network's state dict.

        Raises:
            ModelFileError: another file has replaced this one since it was loaded.
        """
        if self.state is not None:
            return self.state
        weights: dict[str, Tensor] = {}

        def keep(name: str, stored: StoredTensor) -> None:
            weights[name] = stored.tensor()

        values = tensor_file.verify(self.path, keep)
        if values["sha256"] != self.checksum:
            raise ModelFileError(f"{self.path}: has been replaced while it was in use; start again")
        return _of_model(values, weights)

    def network(self) -> nn.Module:
        """Return the network in evaluation mode, with its weights.

        Raises:
            ModelFileError: the weights do not fit the network that this version of its component builds.
        """
        import torch

        try:
            with torch.device("meta"):
                expected = self.manifest.model.build(self.manifest.audio).state_dict()
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise ModelFileError(f"{self.path}: its network cannot be built ({reason(error)})") from None
        weights = self.weights_for(expected)
        check_weights(self.path, expected, weights)
        return _filled(self.manifest.model.build(self.manifest.audio), weights)

    def full_band(self, wanted: AudioSpec) -> nn.Module | None:
        """Return the network with its weights at another rate and channel count, or None if it cannot do that.

        Raises:
            ModelFileError: as for `network`.
        """
        wide = self.manifest.model.full_band(self.manifest.audio, wanted)
        if wide is not None:
            weights = self.weights_for(wide.state_dict())
            check_weights(self.path, wide.state_dict(), weights)
            _filled(wide, weights)
        return wide

    def weights_for(self, expected: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights for a network with this state dict: where it computes in float32, half precision, which
        only makes a file smaller, becomes float32.
        """
        return {
            name: weight.float() if name in expected and _is_half(weight, expected[name]) else weight
            for name, weight in self.weights.items()
        }


def _is_half(stored: Tensor, expected: Tensor) -> bool:
    halves = ("torch.float16", "torch.bfloat16")
    return str(stored.dtype) in halves and str(expected.dtype) == "torch.float32"


def _filled(network: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    network.load_state_dict(weights, strict=True)
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
    finite: dict[str, bool] = {}

    def look(name: str, stored: StoredTensor) -> None:
        finite[name] = stored.is_finite()

    values = tensor_file.verify(path, look)
    for name, is_finite in _of_model(values, finite).items():
        if not is_finite:
            raise ModelFileError(f"{path}: weights that are not finite ({name}); use an earlier file")
    checksum = values.pop("sha256")
    return ModelFile(path, parse_manifest(path, values), None, checksum)


def _of_model(values: dict[str, Any], entries: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of the network: in the state of a run they are some of all."""
    if "state" not in values:
        return entries
    return {name.removeprefix("model."): entry for name, entry in entries.items() if name.startswith("model.")}


def parse_manifest(path: Path, values: dict[str, Any]) -> Manifest:
    """Validate the manifest of a file, or name its faults."""
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
    """Return {name: fault} for the differences of two state dicts in names, shapes or dtypes."""

    def described(tensor: Tensor) -> str:
        return f"{tuple(tensor.shape)} {tensor.dtype}".replace("torch.", "")

    want, have = ({name: described(t) for name, t in weights.items()} for weights in (expected, found))
    faults = {name: f"{name} missing" for name in want.keys() - have.keys()}
    faults |= {name: f"{name} unknown" for name in have.keys() - want.keys()}
    both = sorted(want.keys() & have.keys())
    return faults | {n: f"{n} is {have[n]}, not {want[n]}" for n in both if want[n] != have[n]}
