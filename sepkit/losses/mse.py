"""Mean squared error of the waveform."""

from typing import Literal

from sepkit.component import AudioSpec, Loss, LossConfig


class MSE(LossConfig):
    """Mean (estimate - target)^2 over samples."""

    name: Literal["mse"] = "mse"

    def build(self, audio: AudioSpec) -> "Loss":
        """Return the loss on waveforms [batch, source, channel, time]."""
        from torch.nn.functional import mse_loss

        return mse_loss
