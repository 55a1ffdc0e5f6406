"""Discovers, loads, isolates and names plugins. Knows nothing of configs.

The built-in plugin is registered like any other, but first and alone: entry points are imported only for a name
that is not built in, or for a listing. A plugin whose distribution requires another sepkit is not imported at all.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, entry_points, version
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

import pluggy

from sepkit import hookspecs
from sepkit.component import (
    AugmentationConfig,
    Component,
    DatasetConfig,
    LossConfig,
    MetricConfig,
    ModelConfig,
)
from sepkit.errors import PluginError, reason
from sepkit.pretrained import Pretrained

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GROUP = "sepkit"
DISABLE = "SEPKIT_DISABLE_PLUGINS"


class Offer(Protocol):
    """An object that hooks return: a class of components, or a description of pretrained weights."""

    def registered_name(self) -> str:
        """Return its name in configs and commands."""


O = TypeVar("O", bound=Offer, covariant=True)  # noqa: E741, PLC0105  named for what it stands for

log = logging.getLogger(__name__)

# What the packages in the folder plugins/ provide, to be named where they are not installed.
PACKAGES = {
    "sepkit-spleeter": ("spleeter", "spleeter_4stems", "spleeter_5stems", "spleeter_unet"),
    "sepkit-openunmix": ("openunmix", "umx", "umxhq", "umxl", "umxse"),
    "sepkit-demucs": ("htdemucs", "htdemucs_6s", "htdemucs_ft"),
    "sepkit-torchaudio": (
        "conv_tasnet", "convtasnet_base_libri2mix", "hdemucs", "hdemucs_high_musdb", "hdemucs_high_musdb_plus"
    ),
    "sepkit-metrics-extra": ("log_wmse",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin that was found: its distribution, and the reason if it is not used.

    "disabled" by the user, "refused" as it requires another sepkit, or "broken".
    """

    distribution: str
    version: str
    entry: str
    error: str = ""
    state: Literal["used", "disabled", "refused", "broken"] = "used"

    @property
    def id(self) -> str:
        """The name it is registered under: two distributions may use one entry name."""
        return f"{self.distribution}:{self.entry}"


@dataclass(frozen=True, slots=True)
class Entry(Generic[O]):
    """A component class, or a description of pretrained weights, and the plugin that provides it."""

    component: O
    plugin: Plugin

    @property
    def name(self) -> str:
        """The name under which a config or a command asks for it."""
        return self.component.registered_name()


BUILTIN = Plugin("sepkit", version("sepkit"), "builtin")


@cache
def builtin() -> tuple[pluggy.PluginManager, tuple[Plugin, ...]]:
    """Return the manager of the components of sepkit itself."""
    manager = _manager()
    manager.register(import_module("sepkit.builtin"), name=BUILTIN.id)  # tests check it: to check imports everything
    return manager, (BUILTIN,)


@cache
def external() -> tuple[pluggy.PluginManager, tuple[Plugin, ...]]:
    """Import every entry point of the group, each on its own; one that fails costs one line of warning."""
    manager = _manager()
    found = []
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (_distribution(e), e.name)):
        plugin = _load(manager, entry)
        found.append(plugin)
        if plugin.state in ("refused", "broken"):
            log.warning(
                "plugin %s %s (entry point %s) is left out: %s",
                plugin.distribution, plugin.version, plugin.entry, plugin.error,
            )  # fmt: skip
    return manager, tuple(found)


def unused(distribution: str) -> Plugin | None:
    """Return the plugin of a distribution that is installed and yet not used; its `error` says why. None if none is."""
    from packaging.utils import canonicalize_name

    name = canonicalize_name(distribution)
    return next((p for p in external()[1] if p.error and canonicalize_name(p.distribution) == name), None)


def how_to_get(name: str) -> str:
    """Return a sentence that names the missing package of sepkit with a component or pretrained model, or "".

    A name that no package has stands for the closest one.
    """
    absent = {
        known: package
        for package, names in PACKAGES.items() if package not in {p.distribution for p in external()[1]}
        for known in names
    }  # fmt: skip
    for known in get_close_matches(name, absent, n=1, cutoff=0.8):
        meant = "It" if known == name else f'"{known}", if that is meant,'
        return f" {meant} comes with {absent[known]}: {install(absent[known])}."
    return ""


def install(package: str, version: str = "") -> str:
    """Return the command that installs a plugin package, one of sepkit's own from its checkout."""
    if package in PACKAGES:
        return f"pip install ./plugins/{package} in a checkout of sepkit"
    return f"pip install {package}=={version}" if version else f"pip install {package}"


def provided(manager: pluggy.PluginManager, found: tuple[Plugin, ...], hook: str) -> list[Entry[Any]]:
    """Call one hook of the plugins in `found` and return its results, with their origin."""
    by_id = {plugin.id: plugin for plugin in found}
    impls = [impl for impl in getattr(manager.hook, hook).get_hookimpls() if impl.plugin_name in by_id]
    return [Entry(component, by_id[impl.plugin_name]) for impl in impls for component in impl.function()]


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("sepkit")
    manager.add_hookspecs(hookspecs)
    return manager


def _load(manager: pluggy.PluginManager, entry: EntryPoint) -> Plugin:
    name = _distribution(entry)
    plugin = Plugin(name, entry.dist.version if entry.dist else "", entry.name)
    if {name, entry.name, plugin.id} & {part.strip() for part in os.environ.get(DISABLE, "").split(",")}:
        return replace(plugin, error=f"it stands in {DISABLE}", state="disabled")
    if entry.dist and (unwanted := _unwanted(entry.dist)):
        return replace(plugin, error=unwanted, state="refused")
    try:
        _register(manager, plugin, entry.load())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  a plugin's module may raise anything, SystemExit included
        return replace(plugin, error=reason(error), state="broken")
    return plugin


def _unwanted(distribution: Distribution) -> str:
    """Return the reason if a distribution requires another sepkit, else ""."""
    from packaging.utils import canonicalize_name

    wanted = [r for r in map(_requirement, distribution.requires or ()) if r and canonicalize_name(r.name) == "sepkit"]
    applying = [r for r in wanted if not r.marker or r.marker.evaluate({"extra": ""})]
    excluding = [r for r in applying if not r.specifier.contains(BUILTIN.version, prereleases=True)]
    if not excluding:
        return ""
    return (
        f"it requires sepkit{excluding[0].specifier}, and this is sepkit {BUILTIN.version}. Install a version that "
        f"fits: pip install --upgrade {distribution.name}; or the sepkit that it requires: "
        f"pip install 'sepkit{excluding[0].specifier}'"
    )


def _requirement(text: str) -> Requirement | None:
    """Return the requirement in a line of metadata; None if the line is invalid, which pip lets pass."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _register(manager: pluggy.PluginManager, plugin: Plugin, module: ModuleType) -> None:
    """Register and validate at once: pluggy alone lets a misspelt hook pass, and keeps what it rejected."""
    try:
        if manager.register(module, name=plugin.id) is None:
            raise PluginError("pluggy blocks it")
        manager.check_pending()
        _check_components(manager, plugin)
    except BaseException:
        if manager.has_plugin(plugin.id):
            manager.unregister(name=plugin.id)
        raise


def _check_components(manager: pluggy.PluginManager, plugin: Plugin) -> None:
    for hook, base in HOOKS.items():
        for offer in provided(manager, (plugin,), hook):
            if not (isinstance(offer.component, type) and issubclass(offer.component, base)):
                raise PluginError(f"{hook}() must return subclasses of {base.__name__}, not {offer.component!r}")
            if not isinstance(offer.component.model_fields["name"].default, str):
                raise PluginError(f'{offer.component.__name__} needs a field: name: Literal["..."] = "..."')
    for offer in provided(manager, (plugin,), PRETRAINED_HOOK):
        if not isinstance(offer.component, Pretrained):
            raise PluginError(f"{PRETRAINED_HOOK}() must return instances of Pretrained, not {offer.component!r}")


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "unknown"


HOOKS: dict[str, type[Component]] = {
    "sepkit_datasets": DatasetConfig,
    "sepkit_models": ModelConfig,
    "sepkit_losses": LossConfig,
    "sepkit_metrics": MetricConfig,
    "sepkit_augmentations": AugmentationConfig,
}
PRETRAINED_HOOK = "sepkit_pretrained"
