"""The pluggy markers, one hook for each kind of component, and one for pretrained weights. Hooks take no arguments;
those of components return classes.
"""

from pluggy import HookimplMarker, HookspecMarker

from sepkit.component import AugmentationConfig, DatasetConfig, LossConfig, MetricConfig, ModelConfig
from sepkit.pretrained import Pretrained

hookspec = HookspecMarker("sepkit")
hookimpl = HookimplMarker("sepkit")


@hookspec
def sepkit_datasets() -> list[type[DatasetConfig]]:  # type: ignore[empty-body]
    """Return dataset classes."""


@hookspec
def sepkit_models() -> list[type[ModelConfig]]:  # type: ignore[empty-body]
    """Return model classes."""


@hookspec
def sepkit_losses() -> list[type[LossConfig]]:  # type: ignore[empty-body]
    """Return loss classes."""


@hookspec
def sepkit_metrics() -> list[type[MetricConfig]]:  # type: ignore[empty-body]
    """Return metric classes."""


@hookspec
def sepkit_augmentations() -> list[type[AugmentationConfig]]:  # type: ignore[empty-body]
    """Return augmentation classes."""


@hookspec
def sepkit_pretrained() -> list[Pretrained]:  # type: ignore[empty-body]
    """Return descriptions of pretrained weights. Nothing is downloaded before one is used by its name."""
