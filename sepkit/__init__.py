"""The public names for plugin authors and users. Importing them never imports torch.

Names are imported when they are asked for, as `sepkit --help` and the process that decodes need none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sepkit.component import (
        AudioSpec,
        AugmentationConfig,
        DatasetConfig,
        LossConfig,
        MetricConfig,
        ModelConfig,
        Section,
    )
    from sepkit.errors import (
        AudioError,
        ConfigError,
        CorpusError,
        ModelFileError,
        PluginError,
        SepkitError,
        TrainingError,
    )
    from sepkit.hookspecs import hookimpl
    from sepkit.pretrained import Member, Pretrained, WeightFile, Wheel
    from sepkit.settings import SeparateSettings
    from sepkit.track import Stream, Track

__all__ = [
    "AudioError",
    "AudioSpec",
    "AugmentationConfig",
    "ConfigError",
    "CorpusError",
    "DatasetConfig",
    "LossConfig",
    "Member",
    "MetricConfig",
    "ModelConfig",
    "ModelFileError",
    "PluginError",
    "Pretrained",
    "Section",
    "SeparateSettings",
    "SepkitError",
    "Stream",
    "Track",
    "TrainingError",
    "WeightFile",
    "Wheel",
    "hookimpl",
]

_HOMES = ("errors", "track", "component", "hookspecs", "pretrained", "settings")


def __getattr__(name: str) -> object:
    """Return a name of `__all__` from the module that defines it (PEP 562)."""
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"sepkit.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
