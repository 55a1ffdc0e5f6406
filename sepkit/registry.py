"""Five registries: the name of a component -> its class and plugin; and one of pretrained weights: their name -> their
description. They never build or download anything.

Built-ins are looked up first; third-party packages are imported only for names that are not built in. A plugin never
shadows a built-in, and two plugins that offer one name are an error as soon as that name is asked for.
"""

from typing import Any, Generic, TypeVar

from sepkit import plugins
from sepkit.component import (
    AugmentationConfig,
    Component,
    DatasetConfig,
    LossConfig,
    MetricConfig,
    ModelConfig,
)
from sepkit.errors import PluginError, did_you_mean
from sepkit.plugins import DISABLE, PRETRAINED_HOOK, Entry, O
from sepkit.pretrained import Pretrained
from sepkit.terminal import command

C = TypeVar("C", bound=Component)


class Registry(Generic[O]):
    """The results of one hook of all plugins, by name."""

    def __init__(self, kind: str, hook: str) -> None:
        self.kind = kind
        self._hook = hook

    def get(self, name: str) -> Entry[O]:
        """Return the entry of a name.

        Raises:
            PluginError: no plugin has it, or two have.
        """
        matches = [e for e in self._builtin() if e.name == name] or [e for e in self._external() if e.name == name]
        if not matches:
            raise PluginError(self._unknown(name))
        if len(matches) > 1:
            owners = " and ".join(f"{e.plugin.distribution} {e.plugin.version}" for e in matches)
            raise PluginError(
                f'{self.kind} "{name}" is offered by {owners}. Block one: {DISABLE}={matches[-1].plugin.distribution}'
            )
        return matches[0]

    def entries(self) -> list[Entry[O]]:
        """Return all entries, built-ins first; names that two plugins have occur twice."""
        names = {e.name for e in self._builtin()}
        return self._builtin() + [e for e in self._external() if e.name not in names]

    def shadowed(self) -> list[Entry[O]]:
        """Return the entries of plugins under the name of a built-in, which are never used."""
        names = {e.name for e in self._builtin()}
        return [e for e in self._external() if e.name in names]

    def _builtin(self) -> list[Entry[O]]:
        return plugins.provided(*plugins.builtin(), self._hook)

    def _external(self) -> list[Entry[O]]:
        return plugins.provided(*plugins.external(), self._hook)

    def _unknown(self, name: str) -> str:
        names = sorted({e.name for e in self.entries()})
        broken = sorted({p.distribution for p in plugins.external()[1] if p.error})
        hint = f" Not loaded: {', '.join(broken)} (see: {command('plugins', 'list')})." if broken else ""
        known = f" Known: {', '.join(names)}." if names else ""
        return (
            f'unknown {self.kind} "{name}".{did_you_mean(name, names)}{plugins.how_to_get(name)}{known}{hint}'.rstrip(
                "."
            )
        )


class ComponentRegistry(Registry[type[C]]):
    """The components of one kind."""

    def __init__(self, base: type[C], hook: str) -> None:
        super().__init__(base.kind, hook)
        self.base = base

    def resolve(self, value: Any) -> Any:
        """Turn the table `{name = "...", ...}` of a config into a validated component; let components pass."""
        if isinstance(value, self.base):
            return value
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            names = ", ".join(sorted({e.name for e in self._builtin()}))
            raise ValueError(f"a {self.kind} is a table with a name, such as one of: {names}; got {value!r}")
        try:
            component = self.get(value["name"]).component
        except PluginError as error:  # a ValueError, so that pydantic adds the location
            raise ValueError(str(error)) from error
        return component.model_validate(value)


DATASETS = ComponentRegistry(DatasetConfig, "sepkit_datasets")
MODELS = ComponentRegistry(ModelConfig, "sepkit_models")
LOSSES = ComponentRegistry(LossConfig, "sepkit_losses")
METRICS = ComponentRegistry(MetricConfig, "sepkit_metrics")
AUGMENTATIONS = ComponentRegistry(AugmentationConfig, "sepkit_augmentations")
COMPONENT_REGISTRIES: tuple[ComponentRegistry[Any], ...] = (DATASETS, MODELS, LOSSES, METRICS, AUGMENTATIONS)
PRETRAINED: Registry[Pretrained] = Registry(Pretrained.kind, PRETRAINED_HOOK)
REGISTRIES: tuple[Registry[Any], ...] = (*COMPONENT_REGISTRIES, PRETRAINED)
