"""Logarithm of the mean absolute error relative to the target.

K. N. Watcharasupat et al., "A generalized bandsplit neural network for cinematic audio source separation", IEEE Open
Journal of Signal Processing 5, 2024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit.component import AudioSpec, Loss, LossConfig

if TYPE_CHECKING:
    from torch import Tensor


class L1SNR(LossConfig):
    """10 log10((mean |estimate - target| + eps) / (mean |target| + eps)) in dB: quiet chunks count like loud ones.

    A silent estimate has 0 dB. A perfect one has 10 log10(eps / (mean |target| + eps)); so has, nearly, any whose error
    is far below eps, and a silent target is scored by its error relative to eps.
    """

    name: Literal["l1_snr"] = "l1_snr"
    eps: float = Field(default=1e-3, ge=1e-9, description="mean |sample| that counts as nothing, in error and target")

    def build(self, audio: AudioSpec) -> Loss:
        """Return the loss on waveforms [batch, source, channel, time]."""
        from torch_l1_snr import L1SNRLoss

        from sepkit.losses.chunks import as_chunks

        l1_snr = L1SNRLoss(self.name, eps=self.eps)

        def loss(estimate: Tensor, target: Tensor) -> Tensor:
            decibels: Tensor = l1_snr(*as_chunks(estimate, target))
            return decibels

        return loss
