"""Mean absolute error of the waveform."""

from typing import TYPE_CHECKING, Literal

from sepkit.component import AudioSpec, LossConfig

if TYPE_CHECKING:
    from sepkit.component import Loss


class L1(LossConfig):
    """Mean |estimate - target| over samples."""

    name: Literal["l1"] = "l1"

    def build(self, audio: AudioSpec) -> "Loss":
        """Return the loss on waveforms [batch, source, channel, time]."""
        from torch.nn.functional import l1_loss

        return l1_loss
