"""The settings of Hybrid Demucs.

A. Defossez, "Hybrid spectrogram and waveform source separation", MDX workshop at ISMIR 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sepkit import AudioSpec, ModelConfig

if TYPE_CHECKING:
    from torch import nn


class HDemucs(ModelConfig):
    """Hybrid Demucs: a waveform and a spectrogram U-Net that meet in the middle."""

    name: Literal["hdemucs"] = "hdemucs"
    channels: int = Field(
        default=48, ge=4, multiple_of=4, description="of the first layer; each further one has twice as many"
    )
    nfft: Literal[1024, 2048, 4096] = Field(
        default=4096,
        description="STFT window in samples: 1024 for about 8 kHz, 2048 for 16 to 32 kHz, 4096 for 44.1 kHz",
    )

    def build(self, audio: AudioSpec) -> nn.Module:
        """Return the network: [batch, channel, time] -> [batch, source, channel, time]."""
        from sepkit_torchaudio.networks import HDemucsModule

        return HDemucsModule(self, audio)
