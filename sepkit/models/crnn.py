"""The settings of the built-in CRNN. The network itself is in `crnn_network`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from sepkit.component import AudioSpec, ModelConfig, SpectralFront

if TYPE_CHECKING:
    from torch import nn

EXTENSION_HZ = 2000.0
"""Width of the top of the trained band, whose mean mask decides the mask above it."""


class CRNN(ModelConfig):
    """Convolutional recurrent network that estimates a mask on the magnitude and keeps the mixture's phase.

    A CNN encoder compresses frequency (and halves the frame rate twice), a bidirectional GRU runs over time, a
    transposed-CNN decoder returns to the spectrogram; skips from encoder to decoder are added.
    """

    name: Literal["crnn"] = "crnn"
    n_fft: int = Field(default=1024, ge=64, le=16384, description="length of the STFT window in samples")
    hop_length: int = Field(default=256, ge=16, description="samples between STFT frames")
    channels: tuple[int, ...] = Field(default=(32, 48, 64, 96), min_length=1, description="of each encoder layer")
    frequency_strides: tuple[int, ...] = Field(default=(4, 2, 2, 2), description="of each encoder layer")
    time_strides: tuple[int, ...] = Field(default=(2, 2, 1, 1), description="of each encoder layer")
    projection: int = Field(default=256, ge=1, description="width of the input of the GRU")
    hidden: int = Field(default=192, ge=1, description="units of each direction of the GRU")
    layers: int = Field(default=3, ge=1, le=8, description="layers of the GRU")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="between the layers of the GRU")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not len(self.channels) == len(self.frequency_strides) == len(self.time_strides):
            raise ValueError("channels, frequency_strides and time_strides need one entry for each encoder layer")
        if min(*self.channels, *self.frequency_strides, *self.time_strides) < 1:
            raise ValueError("channels and strides must be at least 1")
        total = 1
        for stride in self.frequency_strides:
            total *= stride
        if self.n_fft % 2 or (self.n_fft // 2) % total:
            raise ValueError(f"n_fft / 2 = {self.n_fft / 2:g} must be a multiple of all frequency strides, {total}")
        if self.hop_length > self.n_fft // 2:
            raise ValueError(f"hop_length must be at most n_fft / 2 = {self.n_fft // 2}, or samples are lost")
        return self

    def build(self, audio: AudioSpec) -> nn.Module:
        """Return the network: [batch, channel, time] -> [batch, source, channel, time]."""
        return self.full_band(audio, audio)

    def full_band(self, trained: AudioSpec, wanted: AudioSpec) -> nn.Module:
        """Return the same weights behind an STFT of equal bins (Hz) and frames (s) at the wanted rate."""
        from sepkit.models.crnn_network import CRNNModule

        return CRNNModule(self, trained, *self._stft_at(trained, wanted))

    def spectral_front(self, trained: AudioSpec, wanted: AudioSpec) -> SpectralFront:
        """Return the STFT, the extension of the mask to the wanted band, and the inverse STFT, in numpy."""
        from sepkit.models.crnn_front import CRNNFront

        return CRNNFront(*self._stft_at(trained, wanted), self.n_fft // 2, self.extension_bins(trained))

    def extension_bins(self, trained: AudioSpec) -> int:
        """Return the number of bins at the top of the trained band, which decide the mask above it."""
        return max(1, round(EXTENSION_HZ * self.n_fft / trained.sample_rate))

    def _stft_at(self, trained: AudioSpec, wanted: AudioSpec) -> tuple[int, int]:
        """Return window and hop in samples at the wanted rate."""
        ratio = wanted.sample_rate / trained.sample_rate
        return 2 * round(self.n_fft * ratio / 2), round(self.hop_length * ratio)
