"""The settings of Conv-TasNet.

Y. Luo, N. Mesgarani, "Conv-TasNet: surpassing ideal time-frequency magnitude masking for speech separation",
IEEE/ACM TASLP 27(8), 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit import AudioSpec, ModelConfig

if TYPE_CHECKING:
    from torch import nn


class ConvTasNet(ModelConfig):
    """Conv-TasNet: a learned transform and a temporal convolutional mask network."""

    name: Literal["conv_tasnet"] = "conv_tasnet"
    kernel_size: int = Field(
        default=16, ge=2, multiple_of=2, description="of the transform, in samples; its hop is half"
    )
    features: int = Field(default=512, ge=1, description="of the transform")
    bottleneck: int = Field(default=128, ge=1, description="features between the blocks")
    hidden: int = Field(default=512, ge=1, description="features within a block")
    layers: int = Field(default=8, ge=1, description="blocks in a stack; the dilation doubles with each")
    stacks: int = Field(default=3, ge=1)

    def build(self, audio: AudioSpec) -> nn.Module:
        """Return the network: [batch, channel, time] -> [batch, source, channel, time], each channel on its own."""
        from sepkit_torchaudio.networks import ConvTasNetModule

        return ConvTasNetModule(self, audio)
