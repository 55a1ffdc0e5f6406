"""What plugin authors and users import. Never imports torch."""

from sepkit.component import (
    AudioSpec,
    AugmentationConfig,
    DatasetConfig,
    LossConfig,
    MetricConfig,
    ModelConfig,
    Section,
    Stream,
    Track,
)
from sepkit.errors import AudioError, ConfigError, CorpusError, ModelFileError, PluginError, SepkitError, TrainingError
from sepkit.hookspecs import hookimpl
from sepkit.pretrained import Pretrained, WeightFile
from sepkit.settings import SeparateSettings

__all__ = [
    "AudioError",
    "AudioSpec",
    "AugmentationConfig",
    "ConfigError",
    "CorpusError",
    "DatasetConfig",
    "LossConfig",
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
    "hookimpl",
]
