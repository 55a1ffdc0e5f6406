"""RunConfig: a TOML file plus overrides -> one frozen, validated object. Owns the error text and the JSON schema.

Never builds anything. Components are resolved by name through the registries, so a plugin's settings are validated,
dumped and described like our own.
"""

import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny, TypeAdapter, ValidationError, model_validator

from sepkit.component import (
    AudioSpec,
    AugmentationConfig,
    DatasetConfig,
    LossConfig,
    MetricConfig,
    ModelConfig,
    Section,
)
from sepkit.config_errors import explain
from sepkit.errors import ConfigError, did_you_mean, did_you_mean_path
from sepkit.registry import AUGMENTATIONS, DATASETS, LOSSES, METRICS, MODELS
from sepkit.settings import SeparateSettings, TrainSettings
from sepkit.terminal import command

AnyDataset = Annotated[SerializeAsAny[DatasetConfig], BeforeValidator(DATASETS.resolve)]
AnyModel = Annotated[SerializeAsAny[ModelConfig], BeforeValidator(MODELS.resolve)]
AnyLoss = Annotated[SerializeAsAny[LossConfig], BeforeValidator(LOSSES.resolve)]
AnyMetric = Annotated[SerializeAsAny[MetricConfig], BeforeValidator(METRICS.resolve)]
AnyAugmentation = Annotated[SerializeAsAny[AugmentationConfig], BeforeValidator(AUGMENTATIONS.resolve)]


def _only(name: str) -> Any:
    """One component with its defaults, as a config names it; resolved like what a user writes."""
    return ({"name": name},)


class RunConfig(Section):
    """A whole run: signals, datasets, network, losses, training and separation."""

    seed: int = Field(default=0, ge=0, lt=2**63, description="of everything random in a run")
    audio: AudioSpec = Field(default=AudioSpec(), description="signals of the network: rate, channels and sources")
    datasets: tuple[AnyDataset, ...] = Field(
        default_factory=lambda: _only("folder"), min_length=1, description='corpora to learn from; by default "folder"'
    )
    model: AnyModel = Field(default_factory=lambda: _only("crnn")[0], description='the network; by default "crnn"')
    losses: tuple[AnyLoss, ...] = Field(
        default_factory=lambda: _only("l1"),
        min_length=1,
        description='their weighted sum is minimised; by default "l1"',
    )
    metrics: tuple[AnyMetric, ...] = Field(
        default_factory=lambda: _only("sdr"), min_length=1, description='scores of `evaluate`; by default "sdr"'
    )
    augmentations: tuple[AnyAugmentation, ...] = Field(
        default=(), description="random changes of training chunks, in their order; by default none"
    )
    train: TrainSettings = Field(default=TrainSettings(), description="how to train")
    separate: SeparateSettings = Field(default=SeparateSettings(), description="how to separate afterwards")

    @model_validator(mode="after")
    def _residual_is_no_source(self) -> "RunConfig":
        if self.separate.residual in self.audio.sources:
            raise ValueError(
                f'[separate] residual = "{self.separate.residual}" is also a source; '
                'name it otherwise, or write residual = ""'
            )
        return self

    @model_validator(mode="after")
    def _losses_count(self) -> "RunConfig":
        if not any(loss.weight for loss in self.losses):
            raise ValueError("losses: at least one must have a weight above 0")
        return self

    @model_validator(mode="after")
    def _weights_are_for_sources(self) -> "RunConfig":
        weights = self.train.source_weights
        for name in weights.keys() - set(self.audio.sources):
            known = ", ".join(self.audio.sources)
            raise ValueError(
                f'train.source_weights: "{name}" is no source.{did_you_mean(name, self.audio.sources)} Sources: {known}'
            )
        if weights and not any(weights.get(source, 1) for source in self.audio.sources):
            raise ValueError("train.source_weights: at least one source must count")
        return self


_LISTS = ("datasets", "losses", "metrics", "augmentations")


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """Values that the command line has short options for; None leaves the config as it is."""

    data_dir: Path | None = None
    target: str | None = None
    batch_size: int | None = None
    epochs: int | None = None

    def apply(self, values: dict[str, Any]) -> None:
        """Write the options into the tables of a config."""
        for key, value in (("train.batch_size", self.batch_size), ("train.epochs", self.epochs)):
            if value is not None:
                set_value(values, key, value)
        if self.target is not None:
            set_value(values, "audio.sources", [self.target])
        if self.data_dir is not None:
            values["datasets"] = [_folder_settings(values) | {"name": "folder", "root": str(self.data_dir)}]


def load(path: Path | None, overrides: Sequence[str] = (), shortcuts: Shortcuts | None = None) -> RunConfig:
    """Read a TOML file (None: the defaults), apply `KEY=VALUE` overrides and shortcuts, and validate.

    Raises:
        ConfigError: the file is missing or no TOML, or a value does not fit; every fault is named with its location.
    """
    values = read_toml(path) if path else {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not all(key.strip().split(".")):
            raise ConfigError(f'--set takes KEY=VALUE, such as train.epochs=10; got "{override}"')
        set_value(values, key.strip(), _parse(text))
    if shortcuts:
        shortcuts.apply(values)
    return validate(values, str(path or "defaults"))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file, or raise ConfigError."""
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is no config file, but a folder or something special")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        beside = sorted(p.name for p in path.parent.glob("*.toml"))
        hint = did_you_mean_path(path) or (f" In {path.parent}: {', '.join(beside)}." if beside else "")
        folder = "" if path.parent.is_dir() else f"mkdir -p {shlex.quote(str(path.parent))}; "
        hint = hint or f" Write one with every default: {folder}{command('config', 'show')} > {shlex.quote(str(path))}"
        raise ConfigError(f"no config file {path}.{hint}") from None
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"cannot read the config file {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def validate(values: dict[str, Any], origin: str) -> RunConfig:
    """Return the RunConfig of plain `values`, or raise one ConfigError that names every fault."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {explain(error)}") from None


def set_value(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a value in nested tables and lists; `key` is a path such as `losses.0.weight`."""
    here: Any = values
    *parents, last = key.split(".")
    for part in parents:
        if isinstance(here, dict) and part in _LISTS and part not in here:
            raise ConfigError(f"--set {key}: {part} has no entry yet; write --set '{part}=[{{...}}]'")
        here = here[_index(here, part, key)] if isinstance(here, list) else here.setdefault(part, {})
        if not isinstance(here, dict | list):
            raise ConfigError(f'--set {key}: "{part}" is a value, not a table')
    here[_index(here, last, key) if isinstance(here, list) else last] = value


def dump_toml(config: RunConfig) -> str:
    """Return `config`, every default included, as TOML that `load` reads back to an equal config."""
    import tomlkit

    return tomlkit.dumps(config.model_dump(mode="json"))


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a config file, each registered component included, for editors."""
    schema = RunConfig.model_json_schema()
    for key, registry in (
        ("datasets", DATASETS), ("model", MODELS), ("losses", LOSSES),
        ("metrics", METRICS), ("augmentations", AUGMENTATIONS),
    ):  # fmt: skip
        options = [TypeAdapter(e.component).json_schema() | {"title": e.name} for e in registry.entries()]
        field = schema["properties"][key]
        field.update({"items": {"anyOf": options}} if field.get("type") == "array" else {"anyOf": options})
        field.pop("$ref", None)
        for option in options:  # references count from the root
            schema["$defs"].update(option.pop("$defs", {}))
    return schema


def _folder_settings(values: dict[str, Any]) -> dict[str, Any]:
    """The settings of the config's own plain folder, such as its groups, which outlive a change of its root."""
    datasets = values.get("datasets", [])
    first = datasets[0] if isinstance(datasets, list) and len(datasets) == 1 else {}
    return first if isinstance(first, dict) and first.get("name") == "folder" else {}


def _index(here: list[Any], part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(here):
        raise ConfigError(f'--set {key}: "{part}" is not one of the {len(here)} entries (counted from 0)')
    return int(part)


def _parse(text: str) -> Any:
    """Return a TOML value; a bare word that is none is a string."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text.strip()
    return parsed["value"] if len(parsed) == 1 else text.strip()
