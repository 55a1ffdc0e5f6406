"""Mean absolute error of STFT magnitudes."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.component import AudioSpec, Loss, LossConfig

if TYPE_CHECKING:
    from torch import Tensor


class L1Magnitude(LossConfig):
    """Mean | |STFT(estimate)| - |STFT(target)| |: blind to phase, strict on energy at each time and frequency.

    The window has unit energy, so noise has magnitudes as large as its samples, and the loss is the size of `l1`.
    """

    name: Literal["l1_magnitude"] = "l1_magnitude"
    n_fft: int = Field(default=1024, ge=16, description="length of the STFT window in samples")
    hop_length: int = Field(default=256, ge=1, description="samples between STFT frames")

    def build(self, audio: AudioSpec) -> "Loss":
        """Return the loss on waveforms [batch, source, channel, time]."""
        from sepkit.losses.chunks import as_chunks
        from sepkit.losses.magnitude import magnitude

        def loss(estimate: "Tensor", target: "Tensor") -> "Tensor":
            found, wanted = (magnitude(signal, self.n_fft, self.hop_length) for signal in as_chunks(estimate, target))
            return (found - wanted).abs().mean()

        return loss
