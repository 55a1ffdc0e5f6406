"""Mean absolute error of STFT magnitudes."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.component import AudioSpec, LossConfig

if TYPE_CHECKING:
    from torch import Tensor

    from sepkit.component import Loss


class L1Magnitude(LossConfig):
    """Mean | |STFT(estimate)| - |STFT(target)| |: blind to phase, strict on energy at each time and frequency."""

    name: Literal["l1_magnitude"] = "l1_magnitude"
    n_fft: int = Field(default=1024, ge=16)
    hop_length: int = Field(default=256, ge=1)

    def build(self, audio: AudioSpec) -> "Loss":
        """Return the loss on waveforms [batch, source, channel, time].

        The window has unit energy, so that noise has magnitudes as large as its samples, and the loss the size of `l1`:
        Adam divides by gradients plus 1e-8, and would hardly move for much smaller ones.
        """
        import torch

        window = torch.hann_window(self.n_fft)
        window = window / window.square().sum().sqrt()

        def magnitude(signal: "Tensor") -> "Tensor":
            flat = signal.float().flatten(0, -2)
            return torch.stft(
                flat, self.n_fft, self.hop_length, window=window.to(flat.device), pad_mode="constant",
                return_complex=True,
            ).abs()  # fmt: skip

        def loss(estimate: "Tensor", target: "Tensor") -> "Tensor":
            return (magnitude(estimate) - magnitude(target)).abs().mean()

        return loss
