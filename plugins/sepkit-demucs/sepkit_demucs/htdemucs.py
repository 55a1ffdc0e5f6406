"""The settings of Hybrid Transformer Demucs.

S. Rouard, F. Massa, A. Defossez, "Hybrid transformers for music source separation", ICASSP 2023.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from sepkit import AudioSpec, ModelConfig

if TYPE_CHECKING:
    from torch import nn

# Each layer of the U-Nets has twice the channels of the one before it.
_DEPTH = 4


class HTDemucs(ModelConfig):
    """Hybrid Transformer Demucs: a waveform and a spectrogram U-Net whose middles attend to each other."""

    name: Literal["htdemucs"] = "htdemucs"
    channels: int = Field(
        default=48, ge=8, multiple_of=8, description="of the first layer; each further one has twice as many"
    )
    n_fft: Literal[2048, 4096] = Field(default=4096, description="length of the STFT window in samples")
    bottleneck: int = Field(
        default=512, ge=0, description="width of the transformer; 0: that of the last layer, 8 times the channels"
    )
    layers: int = Field(default=5, ge=1, le=16, description="of the transformer")
    heads: int = Field(default=8, ge=1, description="of its attention")
    dropout: float = Field(default=0.02, ge=0, lt=1, description="in the transformer")
    segment: float = Field(
        default=7.8, ge=0.1, le=60,
        description="seconds of the examples that it was trained on: shorter ones are filled up to it with silence",
    )  # fmt: skip
    specialists: bool = Field(
        default=False, description="a whole network for each source; of each of them its own source is kept"
    )

    @property
    def width(self) -> int:
        """Features of the transformer."""
        return self.bottleneck or self.channels * 2 ** (_DEPTH - 1)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"the width of the transformer, {self.width}, must be a multiple of heads and of 4")
        return self

    def build(self, audio: AudioSpec) -> nn.Module:
        """Return the network: [batch, channel, time] -> [batch, source, channel, time]."""
        from sepkit_demucs.network import HTDemucsModule

        return HTDemucsModule(self, audio)
