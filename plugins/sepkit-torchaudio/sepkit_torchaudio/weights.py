"""A published file of torchaudio becomes the state dict of our network, which keeps torchaudio's as `network`."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from sepkit import ModelFileError
from sepkit.checkpoints import torch_file


def read(path: Path) -> dict[str, Tensor]:
    """Return the state dict of `HDemucsModule` or `ConvTasNetModule`. The file is verified.

    Raises:
        ModelFileError: the file holds more than weights.
    """
    tree = torch_file.load(path, old=True)
    if not isinstance(tree, dict):
        raise ModelFileError(f"{path}: holds a {type(tree).__name__}, no weights by name")
    return {f"network.{name}": tensor for name, tensor in tree.items()}
