"""The plugin that sepkit itself ships, registered like any other. Imports config classes only."""

from sepkit.component import AugmentationConfig, DatasetConfig, LossConfig, MetricConfig, ModelConfig
from sepkit.datasets.folder import Folder
from sepkit.hookspecs import hookimpl
from sepkit.losses.l1 import L1
from sepkit.losses.l1_magnitude import L1Magnitude
from sepkit.losses.mse import MSE
from sepkit.metrics.sdr import SDR
from sepkit.models.crnn import CRNN


@hookimpl
def sepkit_datasets() -> list[type[DatasetConfig]]:
    """Plain folders."""
    return [Folder]


@hookimpl
def sepkit_models() -> list[type[ModelConfig]]:
    """The light CRNN."""
    return [CRNN]


@hookimpl
def sepkit_losses() -> list[type[LossConfig]]:
    """Losses on the waveform and on magnitudes."""
    return [L1, L1Magnitude, MSE]


@hookimpl
def sepkit_metrics() -> list[type[MetricConfig]]:
    """Framewise SDR and SI-SDR."""
    return [SDR]


@hookimpl
def sepkit_augmentations() -> list[type[AugmentationConfig]]:
    """Gain."""
    return []
