"""Negative scale-invariant signal-to-distortion ratio.

J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?", ICASSP 2019, equation 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sepkit.component import AudioSpec, Loss, LossConfig

if TYPE_CHECKING:
    from torch import Tensor

SILENCE = 1e-6
"""RMS below which a target is silent, -120 dBFS: below the noise of 16-bit files, above the remains of filters."""


class SISDRLoss(LossConfig):
    """-SI-SDR in dB, all channels of a source as one signal: blind to level and polarity.

    A silent target has no SI-SDR: its chunk counts as 0 dB for any estimate, and has no gradient. So if sources are
    silent at times, add a loss that is defined there, such as `l1`. A silent estimate has 0 dB too, and no
    estimate has more than 69 dB in single precision.
    """

    name: Literal["si_sdr"] = "si_sdr"

    def build(self, audio: AudioSpec) -> Loss:
        """Return the loss on waveforms [batch, source, channel, time].

        The library adds the precision of the type to each energy. So the target is scaled to energy 1, and a louder
        estimate is too: quiet chunks are scored like loud ones, and no gain pays. A quieter estimate is scaled like the
        target: its gradient grows as it fades, and the added precision bounds it.
        """
        import torch
        from torch.linalg import vector_norm
        from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

        from sepkit.losses.chunks import as_chunks

        def loss(estimate: Tensor, target: Tensor) -> Tensor:
            found, wanted = (signal.flatten(1) for signal in as_chunks(estimate, target))
            level = vector_norm(wanted, dim=1, keepdim=True)
            audible = level >= SILENCE * wanted.shape[1] ** 0.5
            level = torch.where(audible, level, 1.0)
            louder = vector_norm(found, dim=1, keepdim=True).maximum(level)
            decibels = scale_invariant_signal_distortion_ratio(found / louder, wanted / level)
            return torch.where(audible[:, 0], -decibels, 0.0).mean()

        return loss
