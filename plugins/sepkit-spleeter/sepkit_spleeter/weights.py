"""A published checkpoint of Spleeter becomes the state dict of our networks.

TensorFlow counts the layers of each kind through all sources: conv2d, conv2d_1 and so on, seven for each source, six
of conv2d_transpose, and twelve of batch_normalization, of which the sixth is computed and never used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sepkit import ModelFileError
from sepkit_spleeter.tensor_bundle import read as read_bundle

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LAYERS = 6
_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def read(paths: Sequence[Path], sources: int) -> dict[str, Tensor]:
    """Return the state dict of `SpleeterModule` from an index and its data, which are verified.

    Raises:
        ModelFileError: they are no such checkpoint.
    """
    index, data = paths
    tensors = read_bundle(index, data)
    weights: dict[str, Tensor] = {}
    for source in range(sources):
        for place, layer in _layers(source):
            weights |= {f"mask_network.sources.{source}.{place}.{name}": t for name, t in _of(index, tensors, layer)}
    return weights


def _layers(source: int) -> Iterator[tuple[str, str]]:
    """Yield the place of each layer in our network of a source, and the name of it in the checkpoint."""
    for layer in range(_LAYERS):
        yield f"convolutions.{layer}", _numbered("conv2d", (_LAYERS + 1) * source + layer)
        yield f"transposed.{layer}", _numbered("conv2d_transpose", _LAYERS * source + layer)
        norms = 2 * _LAYERS * source + layer
        yield f"transposed_norms.{layer}", _numbered("batch_normalization", norms + _LAYERS)
        if layer < _LAYERS - 1:
            yield f"norms.{layer}", _numbered("batch_normalization", norms)
    yield "last", _numbered("conv2d", (_LAYERS + 1) * source + _LAYERS)


def _numbered(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def _of(index: Path, tensors: Mapping[str, NDArray[Any]], layer: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a layer under our names."""

    def tensor(name: str) -> Tensor:
        if f"{layer}/{name}" not in tensors:
            raise ModelFileError(f"{index}: has no {layer}/{name}, so it is no checkpoint of Spleeter; fetch it again")
        return torch.from_numpy(tensors[f"{layer}/{name}"])

    if layer.startswith("batch_normalization"):
        yield from ((ours, tensor(theirs)) for ours, theirs in _NORM.items())
        yield "num_batches_tracked", torch.tensor(0)
    else:  # theirs run over frames, bins, channels
        yield "weight", tensor("kernel").permute(3, 2, 1, 0).contiguous()
        yield "bias", tensor("bias")
