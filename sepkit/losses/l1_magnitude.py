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
        """Return the loss on waveforms [batch, source, channel, time]. A full-scale sine has magnitude 1."""
        import torch

        window = torch.hann_window(self.n_fft)
        window = window * (2.0 / window.sum())

        def magnitude(signal: "Tensor") -> "Tensor":
            flat = signal.float().flatten(0, -2)
            return torch.stft(
                flat, self.n_fft, self.hop_length, window=window.to(flat.device), pad_mode="constant",
                return_complex=True,
            ).abs()  # fmt: skip

        def loss(estimate: "Tensor", target: "Tensor") -> "Tensor":
            return (magnitude(estimate) - magnitude(target)).abs().mean()

        return loss
