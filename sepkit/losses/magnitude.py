"""Magnitudes of a short-time Fourier transform under a Hann window of unit energy.

With that energy, the mean square of the magnitudes is about that of the samples (Parseval), whatever the size of the
FFT. So losses and floors on magnitudes have the scale of samples: Adam divides by gradients plus 1e-8, and would hardly
move for much smaller ones.
"""

from typing import Any

import torch
from torch import Tensor


def magnitude(signal: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """[chunk, channel, time] -> [chunk, channel, frequency, frame]. Frame i is centred on sample i hop_length.

    The signal is padded with silence, so it may be shorter than the window. The gradient of a magnitude of 0 is 0.
    """
    window = torch.hann_window(n_fft, dtype=signal.dtype, device=signal.device)
    window = window / window.square().sum().sqrt()
    spectrum = torch.stft(
        signal.flatten(0, 1), n_fft, hop_length, window=window, pad_mode="constant", return_complex=True
    )
    magnitudes: Tensor = _Magnitude.apply(spectrum).unflatten(0, signal.shape[:2])
    return magnitudes


class _Magnitude(torch.autograd.Function):
    """|z| with the gradient z / max(|z|, 1e-20).

    That of torch's abs() is z / |z|, and NaN if 1 / |z| is not finite, below 3e-39, which a nearly closed mask reaches.
    At 1e-20 (-400 dBFS) the quotient has room for a steep loss and its scale on top.
    """

    @staticmethod
    def forward(ctx: Any, spectrum: Tensor) -> Tensor:
        magnitudes = spectrum.abs()
        ctx.save_for_backward(spectrum, magnitudes)
        return magnitudes

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        spectrum, magnitudes = ctx.saved_tensors
        slopes: Tensor = spectrum * (grad / magnitudes.clamp(min=1e-20))
        return slopes
