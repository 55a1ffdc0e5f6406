"""A component becomes a class of pytest tests, one for each promise that its kind makes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sepkit.component import AudioSpec, Component
from sepkit.testing.augmentation import AugmentationPromises
from sepkit.testing.dataset import DatasetPromises
from sepkit.testing.loss import LossPromises
from sepkit.testing.metric import MetricPromises
from sepkit.testing.model_file import ModelFilePromises
from sepkit.testing.network import NetworkPromises
from sepkit.testing.promises import Promises
from sepkit.testing.spectral_front import SpectralFrontPromises
from sepkit.testing.wide_network import WideNetworkPromises


class _ModelPromises(NetworkPromises, WideNetworkPromises, SpectralFrontPromises, ModelFilePromises):
    """All that a model promises."""


SUITES: dict[str, type[Promises]] = {
    "dataset": DatasetPromises,
    "model": _ModelPromises,
    "loss": LossPromises,
    "metric": MetricPromises,
    "augmentation": AugmentationPromises,
}


def conformance(
    component: Component,
    *,
    audio: AudioSpec | None = None,
    files: Callable[[Path], object] | None = None,
    mixture_is_sum: bool = True,
) -> type[Any]:
    """Make a class of tests for a component: `TestUNet = ...` with a call of this is all that a test file needs.

    Give it small settings: a model is built and run some dozens of times. The package must be installed, as its
    components are looked up by name.

    Args:
        component: What is tested, with its settings.
        audio: What all but datasets are built for; 8 kHz by default. Other channel counts and sources are tried too; a
            model or augmentation that cannot do them raises a ConfigError in build(), and that test is skipped.
        files: Of a dataset: writes a small example of the corpus below the folder that it is called with. Each test
            runs in that folder, so a relative root of the dataset is found in it.
        mixture_is_sum: Of an augmentation: whether the mixture that it returns is the sum of its stems.

    Raises:
        TypeError: not an instance of one of the five kinds of component.
    """
    suite = SUITES.get(getattr(component, "kind", ""))
    if suite is None or not isinstance(component, Component):
        raise TypeError(f"conformance() takes a component with its settings, such as UNet(width=4), not {component!r}")
    options = {"audio": audio, "files": staticmethod(files) if files else None, "mixture_is_sum": mixture_is_sum}
    given = {name: value for name, value in options.items() if value is not None}
    return type(f"Test{type(component).__name__}", (suite,), {"component": component, **given})
