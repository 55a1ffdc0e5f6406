"""Published files of Demucs, safetensors in half precision, become the state dict of our network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor


def read(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Return the state dict of `HTDemucsModule` in single precision: one network for each file.

    Nothing in a safetensors file can run code, and what else is in these ones, as the class to build, is not looked at.
    """
    return {
        f"networks.{number}.{name}": tensor.float()
        for number, path in enumerate(paths)
        for name, tensor in load_file(path).items()
    }
