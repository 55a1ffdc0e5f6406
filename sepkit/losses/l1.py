"""Mean absolute error of the waveform."""

from typing import Literal

from sepkit.component import AudioSpec, Loss, LossConfig


class L1(LossConfig):
    """Mean |estimate - target| over samples."""

    name: Literal["l1"] = "l1"

    def build(self, audio: AudioSpec) -> "Loss":
        """Return the loss on waveforms [batch, source, channel, time]."""
        from torch.nn.functional import l1_loss

        return l1_loss
