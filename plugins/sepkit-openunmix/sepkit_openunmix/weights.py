"""Published files of Open-Unmix, one for each source, become the state dict of our network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from sepkit import ModelFileError
from sepkit.checkpoints import torch_file

# What networks of earlier versions kept beside their weights: the rate, and windows of their transforms.
_OTHER = ("sample_rate", "stft", "transform")


def read(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Return the state dict of `OpenUnmixModule`; the sources are in the order of the files, which are verified.

    Raises:
        ModelFileError: a file holds more than weights.
    """
    weights = {}
    for number, path in enumerate(paths):
        tree = torch_file.load(path, old=True)
        if not isinstance(tree, dict):
            raise ModelFileError(f"{path}: holds a {type(tree).__name__}, no weights by name")
        for name, tensor in tree.items():
            if name.partition(".")[0] not in _OTHER:
                weights[f"mask_network.targets.{number}.{name}"] = tensor
    return weights
