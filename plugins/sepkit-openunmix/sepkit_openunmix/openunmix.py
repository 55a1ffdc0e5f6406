"""The settings of Open-Unmix.

F.-R. Stöter, S. Uhlich, A. Liutkus, Y. Mitsufuji, "Open-Unmix: a reference implementation for music source separation",
Journal of Open Source Software 4(41), 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from sepkit import AudioSpec, ModelConfig
from sepkit.component import SpectralFront

if TYPE_CHECKING:
    from torch import nn

EXTENSION_HZ = 2000.0
"""Width of the top of the trained band."""


class OpenUnmix(ModelConfig):
    """Open-Unmix: for each source a recurrent network that estimates its magnitude."""

    name: Literal["openunmix"] = "openunmix"
    n_fft: int = Field(default=4096, ge=64, le=16384, multiple_of=2, description="length of the STFT window in samples")
    hop_length: int = Field(default=1024, ge=16, description="samples between STFT frames")
    hidden: int = Field(default=512, ge=2, multiple_of=2, description="width of the layers")
    layers: int = Field(default=3, ge=1, le=8, description="of the LSTM")
    unidirectional: bool = Field(default=False, description="use the past alone")
    bandwidth: float = Field(default=16000.0, gt=0, description="Hz up to which the network reads the input")
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
        from sepkit_openunmix.network import OpenUnmixModule

        return OpenUnmixModule(self, audio, *self._stft_at(audio, audio))

    def full_band(self, trained: AudioSpec, wanted: AudioSpec) -> nn.Module | None:
        """Return the same weights behind an STFT of equal bins (Hz) and frames (s) at the wanted rate.

        A network of one channel masks any number of them by their mean magnitude. One of several takes no other number.
        """
        from sepkit_openunmix.network import OpenUnmixModule

        if trained.channels not in (1, wanted.channels):
            return None
        return OpenUnmixModule(self, trained, *self._stft_at(trained, wanted))

    def spectral_front(self, trained: AudioSpec, wanted: AudioSpec) -> SpectralFront | None:
        """Return the STFT, the extension of the masks to the wanted band, the filter and the inverse STFT, in numpy."""
        from sepkit_openunmix.front import OpenUnmixFront

        if trained.channels not in (1, wanted.channels):
            return None
        n_fft, hop_length = self._stft_at(trained, wanted)
        bins, top = self.n_fft // 2 + 1, self.extension_bins(trained)
        return OpenUnmixFront(n_fft, hop_length, bins, trained.channels, top, self.n_fft / n_fft, self.niter)

    def extension_bins(self, trained: AudioSpec) -> int:
        """Return how many bins are the top of the trained band, whose mean mask goes on above it."""
        return max(1, round(EXTENSION_HZ * self.n_fft / trained.sample_rate))

    def _stft_at(self, trained: AudioSpec, wanted: AudioSpec) -> tuple[int, int]:
        """Return window and hop in samples at the wanted rate."""
        ratio = wanted.sample_rate / trained.sample_rate
        return 2 * round(self.n_fft * ratio / 2), round(self.hop_length * ratio)
