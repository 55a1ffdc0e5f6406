"""The settings of Open-Unmix.

F.-R. Stöter, S. Uhlich, A. Liutkus, Y. Mitsufuji, "Open-Unmix: a reference implementation for music source separation",
Journal of Open Source Software 4(41), 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from sepkit import AudioSpec, ModelConfig

if TYPE_CHECKING:
    from torch import nn


class OpenUnmix(ModelConfig):
    """Open-Unmix: for each source a recurrent network that estimates its magnitude."""

    name: Literal["openunmix"] = "openunmix"
    n_fft: int = Field(default=4096, ge=64, le=16384, multiple_of=2, description="length of the STFT window in samples")
    hop_length: int = Field(default=1024, ge=16, description="samples between STFT frames")
    hidden: int = Field(default=512, ge=2, multiple_of=2, description="width of the layers")
    layers: int = Field(default=3, ge=1, le=8, description="of the LSTM")
    unidirectional: bool = Field(default=False, description="hear the past alone")
    bandwidth: float = Field(default=16000.0, gt=0, description="Hz up to which the network listens")
    niter: int = Field(
        default=0, ge=0, le=8,
        description="iterations of the multichannel Wiener filter that separation ends with; 0: phase of the mixture",
    )  # fmt: skip

    @model_validator(mode="after")
    def _overlaps(self) -> Self:
        if self.hop_length > self.n_fft // 2:
            raise ValueError(f"hop_length must be at most n_fft / 2 = {self.n_fft // 2}, or samples get lost")
        return self

    def build(self, audio: AudioSpec) -> nn.Module:
        """Return the network: [batch, channel, time] -> [batch, source, channel, time]."""
        from sepkit_openunmix.network import OpenUnmixModule, STFTSize

        return OpenUnmixModule(self, audio, STFTSize(self.n_fft, self.hop_length))

    def full_band(self, trained: AudioSpec, wanted: AudioSpec) -> nn.Module | None:
        """Return the same weights behind an STFT of equal bins (Hz) and frames (s) at the wanted rate.

        A network of one channel masks any number of them by their mean magnitude. One of several hears no other number.
        """
        from sepkit_openunmix.network import OpenUnmixModule, STFTSize

        if trained.channels not in (1, wanted.channels):
            return None
        ratio = wanted.sample_rate / trained.sample_rate
        size = STFTSize(2 * round(self.n_fft * ratio / 2), round(self.hop_length * ratio))
        return OpenUnmixModule(self, trained, size)
