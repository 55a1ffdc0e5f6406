"""Transposed convolutions as plain ones, which ONNX Runtime computes faster and in a fraction of the memory.

With stride s and padding p, output s * q + r of a transposed convolution takes the inputs q - j - (k - r - p) / s,
where k is the first tap with k = r + p modulo s, and j counts the taps k + s * j. So each phase r is a convolution of
its own, and the phases take turns in the output: sub-pixel convolution (W. Shi et al., "Is the deconvolution layer the
same as a convolutional layer?", 2016). Same multiplications, same results.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def in_phases(module: nn.Module) -> None:
    """Replace each plain transposed convolution of two dimensions within `module`, for inference only."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.ConvTranspose2d and _plain(child):
                setattr(parent, name, PhasedConvTranspose2d(child))


class PhasedConvTranspose2d(nn.Module):
    """[batch, channel, height, width] -> the result of the transposed convolution that it was made of."""

    def __init__(self, transposed: nn.ConvTranspose2d) -> None:
        super().__init__()
        (self._rows, self._columns), (pad_rows, pad_columns) = _pair(transposed.stride), _pair(transposed.padding)
        height, width = transposed.kernel_size
        rows = [_taps(r, self._rows, pad_rows, height) for r in range(self._rows)]
        columns = [_taps(r, self._columns, pad_columns, width) for r in range(self._columns)]
        self.convolutions = nn.ModuleList(_convolution(transposed, r[0], c[0]) for r in rows for c in columns)
        self._paddings = [(*_reach(c[1]), *_reach(r[1])) for r in rows for c in columns]

    def forward(self, x: Tensor) -> Tensor:
        """Compute each phase, and let them take turns."""
        phases = [_padded(x, conv, padding) for conv, padding in zip(self.convolutions, self._paddings, strict=True)]
        count = self._columns
        return _in_turn([_in_turn(phases[n : n + count], -1) for n in range(0, len(phases), count)], -2)


def _padded(x: Tensor, conv: nn.Module, padding: tuple[int, ...]) -> Tensor:
    if min(padding) < 0:
        cut: Tensor = conv(functional.pad(x, padding))
        return cut
    padded: Tensor = _PaddedConvolution.apply(x, conv.weight, conv.bias, padding)
    return padded


class _PaddedConvolution(torch.autograd.Function):
    """A convolution with its padding in front, which PyTorch writes as two operations and ONNX has as one.

    Between two of them ONNX Runtime would rearrange the memory of all channels, for each phase anew.
    """

    @staticmethod
    def forward(_: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, ...]) -> Tensor:
        return functional.conv2d(functional.pad(x, padding), weight, bias)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, bias: Any, padding: tuple[int, ...]) -> Any:
        left, right, top, bottom = padding
        return g.op("Conv", x, weight, bias, pads_i=[top, left, bottom, right])


def _plain(conv: nn.ConvTranspose2d) -> bool:
    """Return whether the output is exactly a stride times the input in each direction, with a tap in each phase."""
    sizes = zip(conv.kernel_size, _pair(conv.stride), _pair(conv.padding), strict=True)
    fits = all(kernel - stride == 2 * padding and kernel >= stride for kernel, stride, padding in sizes)
    return fits and conv.groups == 1 and set(conv.dilation) == {1} and set(_pair(conv.output_padding)) == {0}


def _taps(phase: int, stride: int, padding: int, kernel: int) -> tuple[list[int], list[int]]:
    """Return the taps of a phase, and where each one looks, relative to the place of the output in the input."""
    taps = list(range((phase + padding) % stride, kernel, stride))
    return taps, [(phase + padding - tap) // stride for tap in taps]


def _reach(offsets: list[int]) -> tuple[int, int]:
    """Return the padding before and after with which a convolution looks there; negative ones cut."""
    return -min(offsets), max(offsets)


def _convolution(transposed: nn.ConvTranspose2d, rows: list[int], columns: list[int]) -> nn.Conv2d:
    weight = transposed.weight.detach()[:, :, rows][..., columns].flip(2, 3).transpose(0, 1)
    bias = torch.zeros(transposed.out_channels) if transposed.bias is None else transposed.bias.detach().clone()
    with torch.device("meta"):  # where no weights are drawn
        conv = nn.Conv2d(transposed.in_channels, transposed.out_channels, (len(rows), len(columns)))
    conv.weight, conv.bias = nn.Parameter(weight.contiguous()), nn.Parameter(bias)
    return conv.eval()


def _in_turn(phases: list[Tensor], dimension: int) -> Tensor:
    """[..., n] each -> [..., n * phases], interleaved along a dimension counted from the end."""
    if len(phases) == 1:
        return phases[0]
    return torch.stack(phases, dimension).flatten(dimension - 1, dimension)


def _pair(value: tuple[int, ...] | int | str) -> tuple[int, int]:
    assert not isinstance(value, str)
    return (value, value) if isinstance(value, int) else (value[0], value[1])
